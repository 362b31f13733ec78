//! Takes back renames whose transaction did not happen: because the database refused it, or because the process ended.

use std::time::Duration;

use cap_std::fs::Dir;

use super::begun::{self, Begun};
use crate::app::State;
use crate::clock;
use crate::db::{Conn, Db, Lock};
use crate::error::{AppError, AppResult};
use crate::files::{Files, moving};

/// How often, and how long apart, the database is asked at once what became of a change.
const ASKED_AT_ONCE: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// A note younger than this may belong to a change that waits for its turn.
pub const YOUNG: i64 = 60 * clock::SECOND;

/// Takes back everything that was begun and not finished. Harmless at any time, on any instance, as long as notes written
/// down after `before` (microseconds since 1970 UTC) are left to those whose change waits for its turn.
///
/// # Errors
/// The database's and the disk's; what is left is tried again the next time.
pub async fn mend_all(db: &Db, files: &Files, before: i64) -> AppResult<()> {
    let mut conn = db.conn().await?;
    let notes = begun::all(&mut conn).await?;
    drop(conn);
    for note in notes {
        // One that cannot be taken back keeps no other from it.
        if let Err(error) = mend(db, files, &note.id, before).await {
            log::warn!(
                "the change of {} was not taken back yet: {error}",
                note.source
            );
        }
    }
    Ok(())
}

/// Takes back the change with this note, now or, while the database gives no answer, later.
pub(super) async fn mend_soon(state: &State, id: &str) {
    for _ in 0..ASKED_AT_ONCE {
        match mend(&state.db, &state.files, id, i64::MAX).await {
            Ok(()) => return,
            Err(error) => log::warn!("whether a change was made is not known yet: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Under the lock that every change holds from its first row to its commit: a note that stands now is of no change that is
/// being made, so its rename is taken back, if it happened.
async fn mend(db: &Db, files: &Files, id: &str, before: i64) -> AppResult<()> {
    db.exclusive(Lock::Publish, async |conn: &mut Conn| {
        let Some(note) = begun::of(conn, id).await? else {
            return Ok(());
        };
        let is_young = note.begun_at > before;
        let looked = note.clone();
        let happened = files.run(move |dir| take_back(dir, &looked)).await?;
        if happened || !is_young {
            begun::cross_out(conn, id).await?;
        }
        Ok::<_, AppError>(())
    })
    .await
}

/// Returns whether there was something to take back.
fn take_back(dir: &Dir, note: &Begun) -> AppResult<bool> {
    let is_it = |found: Option<u64>| found.is_some_and(|found| found.to_string() == note.inode);
    if !is_it(moving::inode(dir, &note.target)?) {
        return Ok(false);
    }
    let mut back = note.source.clone();
    // Somebody else may have taken the old name past the portal; theirs stays.
    if moving::inode(dir, &back)?.is_some() {
        back.push_str(" (brought back)");
    }
    moving::rename(dir, &note.target, &back).map_err(|error| moving::refused(error, &back))?;
    log::info!(
        "{} was brought back from {}, since its change was not finished",
        back,
        note.target
    );
    Ok(true)
}
