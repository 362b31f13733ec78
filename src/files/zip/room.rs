//! The memory of all zips together: what goes into one has to be known until its end. Without a bound, zips that are
//! begun and never read could take what all share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{AppError, AppResult};

/// All of them, in bytes.
const ALL: usize = 96 * 1024 * 1024;
/// Those of one person, in bytes.
const OF_ONE: usize = 32 * 1024 * 1024;
/// So many are planned at once: walking through folders takes memory and the disk's time.
const PLANS: usize = 4;

/// What is left of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    plans: Arc<Semaphore>,
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
            taken: Arc::default(),
        }
    }
}

impl Room {
    /// The turn to look for what goes into a zip, which lasts until it is dropped.
    pub async fn plan(&self) -> Option<OwnedSemaphorePermit> {
        self.plans.clone().acquire_owned().await.ok()
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
