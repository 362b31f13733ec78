//! The memory of all zips together: what goes into one has to be known until its end. Without a bound, zips that are
//! begun and never read could take what all share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{AppError, AppResult};

/// All of them, in bytes.
const ALL: usize = 96 * 1024 * 1024;
/// Those of one person, in bytes.
const OF_ONE: usize = 32 * 1024 * 1024;
/// So many are planned at once, one for each person: walking through folders takes memory and the disk's time.
const PLANS: usize = 4;
/// How long a person waits for the turn to have one planned.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is left of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    plans: Arc<Semaphore>,
    /// Who has one planned or waits for it, by lower-case address.
    planning: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<String, usize>,
}

/// What one zip takes; dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    room: Room,
    email: String,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            plans: Arc::new(Semaphore::new(PLANS)),
            planning: Arc::default(),
            taken: Arc::default(),
        }
    }
}

impl Room {
    /// The turn of that person (lower-case address) to look for what goes into a zip, which lasts until it is dropped.
    /// Their others wait for it, and not in the line in which everybody waits.
    ///
    /// # Errors
    /// [`AppError::ZipsFull`] after a minute.
    pub async fn plan(&self, email: &str) -> AppResult<[OwnedSemaphorePermit; 2]> {
        let own = self.of(email);
        let both = async {
            let own = own.acquire_owned().await.ok()?;
            let one_of_all = self.plans.clone().acquire_owned().await.ok()?;
            Some([own, one_of_all])
        };
        let turn = tokio::time::timeout(PATIENCE, both).await.ok().flatten();
        turn.ok_or(AppError::ZipsFull)
    }

    fn of(&self, email: &str) -> Arc<Semaphore> {
        let mut planning = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        planning.retain(|_, one| one.strong_count() > 0);
        if let Some(one) = planning.get(email).and_then(Weak::upgrade) {
            return one;
        }
        let one = Arc::new(Semaphore::new(1));
        planning.insert(email.to_owned(), Arc::downgrade(&one));
        one
    }

    /// Room for a zip of that person (lower-case address).
    ///
    /// # Errors
    /// [`AppError::ZipsFull`].
    pub fn take(&self, email: &str, bytes: usize) -> AppResult<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = taken.of.get(email).copied().unwrap_or(0);
        if taken.all + bytes > ALL || of_one + bytes > OF_ONE {
            return Err(AppError::ZipsFull);
        }
        taken.all += bytes;
        taken.of.insert(email.to_owned(), of_one + bytes);
        Ok(Share {
            room: self.clone(),
            email: email.to_owned(),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = (self.room.taken.lock()).unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.bytes;
        if let Some(of_one) = taken.of.get_mut(&self.email) {
            *of_one -= self.bytes;
            if *of_one == 0 {
                taken.of.remove(&self.email);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_person_has_one_zip_planned_at_a_time_and_the_others_have_theirs() {
        let room = Room::default();
        let first = room.plan("ada").await.unwrap();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let room = room.clone();
                tokio::spawn(async move { room.plan("ada").await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let began = tokio::time::Instant::now();
        let others = [
            room.plan("karl").await,
            room.plan("grace").await,
            room.plan("eve").await,
        ];
        assert!(others.iter().all(Result::is_ok));
        assert!(
            began.elapsed().is_zero(),
            "they waited {:?}",
            began.elapsed()
        );
        assert!(
            room.plan("ada").await.is_err(),
            "a second one beside the first"
        );
        for one in waiting {
            assert!(one.await.unwrap().is_err());
        }
        drop(first);
        let again = room.plan("ada").await;
        assert!(again.is_ok() && room.plan("frank").await.is_err());
        drop((again, others));
        assert!(room.plan("frank").await.is_ok());
        assert_eq!(
            room.planning.lock().unwrap().len(),
            1,
            "who is done is forgotten"
        );
    }

    #[test]
    fn one_person_leaves_room_for_others_and_what_ended_gives_it_back() {
        let room = Room::default();
        let first = room.take("ada", OF_ONE).unwrap();
        assert!(room.take("ada", 1).is_err());
        let others = [room.take("karl", OF_ONE), room.take("grace", OF_ONE)];
        assert!(room.take("eve", 1).is_err(), "all of it is taken");
        drop((first, others));
        assert!(room.taken.lock().unwrap().of.is_empty());
        assert!(room.take("ada", OF_ONE).is_ok());
    }
}
