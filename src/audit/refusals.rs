//! Keeps refusals from filling the audit: whoever is refused again and again is written down often enough to be seen,
//! with a number for the rest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows a minute that one person can cause by being refused.
const MOST: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// People remembered; more than this only means that some of them begin a new minute early.
const PEOPLE: usize = 10_000;

/// Counts refusals by person.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<String, Minute>>);

struct Minute {
    began: Instant,
    refused: u32,
}

impl Refusals {
    /// Whether this one is to be written down; if so, how many of the person's were left out since the last one that was.
    pub fn count(&self, person: &str) -> Option<u32> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= PEOPLE {
            people.retain(|_, minute| minute.began.elapsed() < WINDOW);
        }
        let minute = people.entry(person.to_owned()).or_insert_with(|| Minute {
            began: Instant::now(),
            refused: 0,
        });
        if minute.began.elapsed() >= WINDOW {
            let left_out = minute.refused.saturating_sub(MOST);
            minute.began = Instant::now();
            minute.refused = 1;
            return Some(left_out);
        }
        minute.refused = minute.refused.saturating_add(1);
        (minute.refused <= MOST).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thirty_first_refusal_of_a_minute_is_only_counted() {
        let refusals = Refusals::default();
        for _ in 0..MOST {
            assert_eq!(refusals.count("karl"), Some(0));
        }
        assert_eq!(refusals.count("karl"), None);
        assert_eq!(refusals.count("karl"), None);
        assert_eq!(refusals.count("grace"), Some(0));
        if let Some(minute) = refusals.0.lock().unwrap().get_mut("karl") {
            minute.began -= WINDOW;
        }
        assert_eq!(refusals.count("karl"), Some(2));
        assert_eq!(refusals.count("karl"), Some(0));
    }
}
