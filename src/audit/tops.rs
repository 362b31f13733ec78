//! The files and people with most downloads. To know them, all figures of the days have to be added up, which takes a
//! moment where there are many; then what was read last is shown, and read anew beside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::daily::{self, Top};
use crate::db::{Db, DbResult};

/// Fewer figures are added up anew each time.
const MANY: i64 = 20_000;
/// How old may be shown what is slow to read.
const FRESH: Duration = Duration::from_secs(60);

/// What was slow to read, by fact and number of days. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tops(Arc<Mutex<HashMap<(&'static str, i64), Kept>>>);

struct Kept {
    read_at: Instant,
    tops: Vec<Top>,
}

impl Tops {
    /// The first `limit` of the last `days` until `today` (since 1970, UTC), by [`daily::FILE`] or [`daily::PERSON`];
    /// about a minute old at most, as long as somebody looks.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(
        &self,
        db: &Db,
        fact: &'static str,
        (today, days): (i64, i64),
        limit: i64,
    ) -> DbResult<Vec<Top>> {
        let first = today - days + 1;
        let Some((tops, is_due)) = self.kept((fact, days)) else {
            return self.read(db, fact, (first, days), limit).await;
        };
        if is_due {
            let (again, db) = (self.clone(), db.clone());
            tokio::spawn(async move {
                if let Err(error) = again.read(&db, fact, (first, days), limit).await {
                    log::warn!("most downloads are not counted anew: {error}");
                }
            });
        }
        Ok(tops)
    }

    /// What was kept, and whether the caller is the one to read it anew.
    fn kept(&self, key: (&'static str, i64)) -> Option<(Vec<Top>, bool)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get_mut(&key)?;
        let is_due = kept.read_at.elapsed() > FRESH;
        if is_due {
            // Others go on with it meanwhile.
            kept.read_at = Instant::now();
        }
        Some((kept.tops.clone(), is_due))
    }

    async fn read(
        &self,
        db: &Db,
        fact: &'static str,
        (first, days): (i64, i64),
        limit: i64,
    ) -> DbResult<Vec<Top>> {
        let mut conn = db.conn().await?;
        let tops = daily::top(&mut conn, fact, first, limit).await?;
        let is_slow = tops.first().is_some_and(|top| top.figures > MANY);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match is_slow {
            true => {
                let kept = Kept {
                    read_at: Instant::now(),
                    tops: tops.clone(),
                };
                all.insert((fact, days), kept);
            }
            false => drop(all.remove(&(fact, days))),
        }
        Ok(tops)
    }
}
