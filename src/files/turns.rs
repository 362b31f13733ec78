//! How many downloads one person may have open. Each holds a connection, a file and memory for as long as its client
//! likes, so without a bound one person could take what all share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{AppError, AppResult};

/// Downloads that one person may have open at once, over all sessions. Browsers open six per site, download managers
/// sixteen or so.
pub const MOST: usize = 100;

/// The open downloads of everybody, by lower-case address.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<String, usize>>>);

/// One open download; dropping it makes room for another.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    email: String,
}

impl Turns {
    /// Counts a download that begins.
    ///
    /// # Errors
    /// [`AppError::TooManyDownloads`].
    pub fn take(&self, email: &str) -> AppResult<Turn> {
        let mut open = self.lock();
        let count = open.entry(email.to_owned()).or_default();
        if *count >= MOST {
            return Err(AppError::TooManyDownloads(MOST));
        }
        *count += 1;
        Ok(Turn {
            turns: self.clone(),
            email: email.to_owned(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.turns.lock();
        if let Some(count) = open.get_mut(&self.email) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.email);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Turns};

    #[test]
    fn each_person_has_turns_of_their_own_and_what_ended_makes_room() {
        let turns = Turns::default();
        let mut open: Vec<_> = (0..MOST).map(|_| turns.take("ada").unwrap()).collect();
        assert!(turns.take("ada").is_err());
        let other = turns.take("karl").unwrap();
        open.pop();
        open.push(turns.take("ada").unwrap());
        assert!(turns.take("ada").is_err());
        drop((open, other));
        assert!(turns.lock().is_empty(), "somebody who left is remembered");
    }
}
