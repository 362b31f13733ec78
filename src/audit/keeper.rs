//! What the audit needs done in the background: sealing every second, and every hour the head told to the log,
//! where nobody with rights on the tables alone can change it, and retention.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::{daily, retention, seal};
use crate::clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::roles::cache::People;

const SEAL_EVERY: Duration = Duration::from_secs(1);
const HOURLY: Duration = Duration::from_secs(3600);

/// Works until the process ends. `keep` is how long rows stay; for ever without.
pub async fn watch(db: Db, people: Arc<People>, keep: Option<Duration>) {
    let mut tick = tokio::time::interval(SEAL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut last_hourly) = (false, None::<Instant>);
    loop {
        tick.tick().await;
        if !people.is_available() {
            continue;
        }
        let mut done = seal::seal(&db).await.map(drop);
        if done.is_ok() && last_hourly.is_none_or(|last| last.elapsed() >= HOURLY) {
            last_hourly = Some(Instant::now());
            done = hourly(&db, keep).await;
        }
        match done {
            Ok(()) => said = false,
            Err(error) if said => log::debug!("the audit waits to be sealed: {error}"),
            Err(error) => {
                log::error!("the audit waits to be sealed: {error}");
                said = true;
            }
        }
    }
}

async fn hourly(db: &Db, keep: Option<Duration>) -> DbResult<()> {
    let mut conn = db.conn().await?;
    let head = seal::head(&mut conn).await?;
    drop(conn);
    log::info!(
        "the head of the audit is {head}; check with `portcullis audit verify --head {head}`"
    );
    let now = clock::now();
    let cutoff = keep.map(|keep| now - clock::span(keep));
    if let Some(cutoff) = cutoff {
        let removed = retention::remove(db, cutoff).await?;
        if removed > 0 {
            log::info!("{removed} audit rows older than AUDIT_RETENTION were removed");
        }
    }
    db.transaction::<_, DbError>(async |conn: &mut Conn| {
        daily::forget(conn, clock::day(now), cutoff.map(clock::day)).await
    })
    .await
}
