//! The rules in memory, for at most `ROLE_CACHE_TTL`; a change drops them at once, on every instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{Rule, Sight, store};
use crate::db::{Db, DbResult};
use crate::roles::cache::Person;

/// What a notification says when a rule changed. No address looks like this.
pub const CHANGED: &str = "/folders";

/// The rules, read again whenever they may have changed.
pub struct Rulebook {
    db: Db,
    ttl: Duration,
    changes: AtomicU64,
    known: Mutex<Option<Known>>,
}

struct Known {
    rules: Arc<[Rule]>,
    read_at: Instant,
    changes: u64,
}

impl Rulebook {
    /// An empty one, over `db`.
    pub fn new(db: Db, ttl: Duration) -> Self {
        Self {
            db,
            ttl,
            changes: AtomicU64::new(0),
            known: Mutex::new(None),
        }
    }

    /// What `person` may see.
    ///
    /// # Errors
    /// The database's: nothing is shown for lack of an answer.
    pub async fn sight(&self, person: &Person) -> DbResult<Sight> {
        Ok(Sight::new(&self.rules().await?, person))
    }

    /// The rules as they are now.
    ///
    /// # Errors
    /// The database's.
    pub async fn rules(&self) -> DbResult<Arc<[Rule]>> {
        let mut known = self.known.lock().await;
        // Counted before the reading: a change that comes in meanwhile makes what was read old.
        let changes = self.changes.load(Ordering::SeqCst);
        if let Some(known) = known.as_ref()
            && known.changes == changes
            && known.read_at.elapsed() <= self.ttl
        {
            return Ok(known.rules.clone());
        }
        let read_at = Instant::now();
        let mut conn = self.db.conn().await?;
        let rules: Arc<[Rule]> = store::in_force(&mut conn).await?.rules().into();
        *known = Some(Known {
            rules: rules.clone(),
            read_at,
            changes,
        });
        Ok(rules)
    }

    /// Drops what is known.
    pub fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}
