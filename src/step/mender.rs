//! Takes back what was begun and whose transaction did not happen, because the database refused it or because the process
//! ended, and removes what a publication replaced.

use std::time::Duration;

use super::begun::{self, Begun};
use super::{Step, disk, overtaken};
use crate::app::State;
use crate::audit::Actor;
use crate::clock;
use crate::db::{Conn, Db, DbResult, Lock};
use crate::error::{AppError, AppResult};
use crate::files::Files;
use crate::rules::{self, is_within};

/// How often, and how long apart, the database is asked at once what became of a change.
const ASKED_AT_ONCE: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// A note younger than this may belong to a change that waits for its turn.
pub const YOUNG: i64 = 60 * clock::SECOND;
/// For how long a note that was given up is there for whoever wrote it down.
const KEPT: i64 = 24 * 3600 * clock::SECOND;

/// Takes back everything that was begun and not finished. Harmless at any time, on any instance, as long as notes written
/// down after `before` (microseconds since 1970 UTC) are left to those whose change waits for its turn.
///
/// # Errors
/// The database's and the disk's; what is left is tried again the next time.
pub async fn mend_all(db: &Db, files: &Files, before: i64) -> AppResult<()> {
    let mut conn = db.conn().await?;
    let notes = begun::all(&mut conn).await?;
    drop(conn);
    let any = !notes.is_empty();
    for note in notes {
        // One that cannot be taken back keeps no other from it.
        if let Err(error) = mend(db, files, &note.id, Some(before)).await {
            log::warn!("the change of {} is not settled yet: {error}", note.source);
        }
    }
    if any {
        files.rules.forget();
    }
    Ok(())
}

/// Removes what a publication replaced that is known to be made. No lock is needed: whoever comes second finds nothing.
pub(super) async fn tidy_up(state: &State, id: &str, aside: &str) {
    let aside = aside.to_owned();
    let tidied = async {
        state.files.run(move |dir| disk::tidy(dir, &aside)).await?;
        let mut conn = state.db.conn().await?;
        begun::cross_out(&mut conn, id).await?;
        Ok::<_, AppError>(())
    };
    if let Err(error) = tidied.await {
        log::warn!("what was replaced stays under its second name for now: {error}");
    }
}

/// Settles the change with this note, now or, while the database gives no answer, later.
pub(super) async fn mend_soon(state: &State, id: &str) {
    for _ in 0..ASKED_AT_ONCE {
        match mend(&state.db, &state.files, id, None).await {
            Ok(()) => return,
            Err(error) => log::warn!("whether a change was made is not known yet: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Under the lock that every change holds from its first row to its commit: a note that stands now is of no change that is
/// being made, so its rename is taken back, if it happened. Without `before` the note is one's own.
async fn mend(db: &Db, files: &Files, id: &str, before: Option<i64>) -> AppResult<()> {
    db.exclusive(Lock::Publish, async |conn: &mut Conn| {
        let Some(note) = begun::of(conn, id).await? else {
            return Ok(());
        };
        let was_made = settle(conn, files, &note).await?;
        match before {
            Some(before) if !was_made => leave(conn, &note, before).await?,
            _ => begun::cross_out(conn, id).await?,
        }
        Ok::<_, AppError>(())
    })
    .await
}

/// What becomes of somebody else's note when there was nothing to do. An instance that stood still, and whose transaction
/// the server ended meanwhile, may yet rename, and takes that back by its note.
async fn leave(conn: &mut Conn, note: &Begun, before: i64) -> DbResult<()> {
    match note.given_up_at() {
        Some(at) if at <= before - KEPT => begun::cross_out(conn, &note.id).await,
        None if note.begun_at <= before => begun::give_up(conn, &note.id).await,
        _ => Ok(()),
    }
}

/// Under the lock, before `step` is written down or made: takes back the publications that somebody left half done where
/// the step leads from or to.
///
/// # Errors
/// 409 while a rename there waits to be taken back: rules may have to come along, in a transaction that is about nothing else.
pub(super) async fn make_way(
    conn: &mut Conn,
    files: &Files,
    step: &Step,
    others: &[Begun],
) -> AppResult<()> {
    for note in others.iter().filter(|note| meets(step, note)) {
        if note.done_at <= 0 && !disk::is_publication(note) {
            let looked = note.clone();
            let way_back = files.run(move |dir| disk::way_back(dir, &looked));
            if way_back.await?.is_some() {
                return Err(overtaken());
            }
        } else if settle(conn, files, note).await? {
            begun::cross_out(conn, &note.id).await?;
        }
    }
    Ok(())
}

/// Under the lock, when `step` is being made and [the way is free](make_way): settles the notes of changes that cannot be
/// made after it. A note says that its file or folder lies where it was unless its own change moved it, and nobody could
/// tell afterwards who did.
pub(super) async fn overtake(conn: &mut Conn, step: &Step, others: &[Begun]) -> AppResult<()> {
    for note in others {
        let is_same = note.target == step.to && note.inode == step.inode.to_string();
        if is_same || is_within(&step.from, &note.source) {
            begun::cross_out(conn, &note.id).await?;
        } else if is_within(&step.from, &note.target) {
            begun::give_up(conn, &note.id).await?;
        }
    }
    Ok(())
}

/// Whether one of their paths is, or lies in, one of the other's.
fn meets(step: &Step, note: &Begun) -> bool {
    let near = |one: &str, other: &str| is_within(one, other) || is_within(other, one);
    let of_note = [&note.source, &note.target];
    let mut of_step = [&step.from, &step.to].into_iter();
    of_step.any(|path| of_note.iter().any(|other| near(path, other)))
}

/// Returns whether there was something to do.
async fn settle(conn: &mut Conn, files: &Files, note: &Begun) -> AppResult<bool> {
    let looked = note.clone();
    if note.done_at > 0 {
        let aside = looked.aside.unwrap_or_default();
        files.run(move |dir| disk::tidy(dir, &aside)).await?;
        return Ok(true);
    }
    if disk::is_publication(note) {
        return files.run(move |dir| disk::unpublish(dir, &looked)).await;
    }
    let Some(back) = files.run(move |dir| disk::way_back(dir, &looked)).await? else {
        return Ok(false);
    };
    if back != note.source {
        conn.lock(Lock::FolderRules).await?;
        rules::store::copied(conn, &Actor::portal(), &note.source, &back).await?;
    }
    let looked = note.clone();
    files
        .run(move |dir| disk::bring_back(dir, &looked, &back))
        .await?;
    Ok(true)
}
