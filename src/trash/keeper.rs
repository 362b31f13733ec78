//! What changes and the trash need done in the background: changes that were not finished are taken back, what is older
//! than thirty days is removed, and what was removed leaves the disk. Of several instances one does it at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{KEPT, purge, store};
use crate::audit::Actor;
use crate::clock;
use crate::db::{Db, Lock};
use crate::error::{AppError, AppResult};
use crate::files::Files;
use crate::metrics::Metrics;
use crate::roles::cache::People;
use crate::step::mender;
use crate::step::stored::settle;

const EVERY: Duration = Duration::from_secs(60);
/// Entries removed in one go.
const BATCH: i64 = 100;

/// Takes back what a process before this one did not finish. Only where nobody shares the files all notes are of one that
/// ended; elsewhere they are left to [`watch`]. The index looks at the files after that.
pub async fn begin(db: &Db, files: &Files, people: &People) {
    if !files.alone {
        return;
    }
    let started = clock::now();
    available(people).await;
    let mended = match files.storage() {
        Some(storage) => settle::all(db, storage, started).await,
        None => mender::mend_all(db, files, started).await,
    };
    if let Err(error) = mended {
        tell(&error);
    }
}

/// Works until the process ends.
pub async fn watch(db: Db, files: Files, people: Arc<People>, metrics: Arc<Metrics>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        available(&people).await;
        match tend(&db, &files).await {
            Ok(true) => metrics.trash_tended.set(clock::now() / clock::SECOND),
            Ok(false) => {}
            Err(error) => tell(&error),
        }
    }
}

async fn available(people: &People) {
    while !people.is_available() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn tell(error: &AppError) {
    let cause = error.cause().unwrap_or_else(|| error.to_string());
    log::warn!("the trash was not tended: {cause}");
}

/// Does all of it once, unless another instance is at it. Returns whether it was done.
///
/// # Errors
/// The database's and the disk's; what is left is done the next time.
pub async fn tend(db: &Db, files: &Files) -> AppResult<bool> {
    let Some(_held) = db.hold(Lock::Trash).await? else {
        return Ok(false);
    };
    if let Some(storage) = files.storage() {
        // It has no trash. What lies in that of a folder waits until this is the place of the files again.
        settle::all(db, storage, 0).await?;
        return Ok(true);
    }
    mender::mend_all(db, files, clock::now() - mender::YOUNG).await?;
    loop {
        let mut conn = db.conn().await?;
        let old = store::older(&mut conn, clock::now() - KEPT, BATCH).await?;
        drop(conn);
        for entry in &old {
            match purge::mark(db, &Actor::portal(), entry).await {
                // Brought back at this very moment.
                Ok(()) | Err(AppError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        if old.is_empty() {
            break;
        }
    }
    clear_all(db, files).await?;
    Ok(true)
}

/// Removes from the disk what was removed for good. One entry that cannot be removed, as when somebody else owns a folder
/// in it, keeps no other from it.
async fn clear_all(db: &Db, files: &Files) -> AppResult<()> {
    let (mut after, mut left, mut first) = (0, 0, None);
    loop {
        let mut conn = db.conn().await?;
        let removed = store::removed(&mut conn, after, BATCH).await?;
        drop(conn);
        let Some(last) = removed.last() else {
            break;
        };
        after = last.id;
        for entry in &removed {
            if let Err(error) = purge::clear(db, files, entry).await {
                let cause = error.cause().unwrap_or_else(|| error.to_string());
                log::warn!("{} stays on the disk for now: {cause}", entry.place);
                left += 1;
                first = first.or(Some(error));
            }
        }
    }
    if left > 1 {
        log::warn!("{left} things that were removed for good stay on the disk for now");
    }
    first.map_or(Ok(()), Err)
}
