//! Finds out what became of changes whose end nobody saw: the storage did not answer, the commit failed, or the process was
//! killed. Nothing is changed in the storage here; the database is told what lies there.

use super::{Change, Note, notes, row};
use crate::clock;
use crate::db::Db;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::storage::{Object, Storage};
use crate::index::Item;

/// What a storage took just before it hung may be done when it comes back, so what is not there yet is waited for.
const WAITED_FOR: i64 = 1_200 * clock::SECOND;
/// Clocks may differ by so much.
const CLOCKS: i64 = 300 * clock::SECOND;

/// Settles all notes that nobody is at work on. `ended` (microseconds since 1970 UTC): whoever was at work then is not any
/// more. Harmless at any time, on any instance.
///
/// # Errors
/// The database's. What the storage does not tell is asked again the next time.
pub async fn all(db: &Db, storage: &Storage, ended: i64) -> AppResult<()> {
    let mut conn = db.conn().await?;
    let left = notes::left(&mut conn, ended).await?;
    drop(conn);
    for note in left {
        match settle(db, storage, &note).await {
            Ok(()) => {}
            // The next would wait as long for nothing.
            Err(AppError::StorageAway(cause)) => {
                log::warn!("changes are not settled yet: {cause}");
                return Ok(());
            }
            Err(error) => {
                let cause = error.cause().unwrap_or_else(|| error.to_string());
                log::warn!("the change of {} is not settled yet: {cause}", note.path);
            }
        }
    }
    Ok(())
}

/// Settles deletions of what lay at `path`. After something else was put there, nobody could tell any more.
pub(super) async fn deletions_at(db: &Db, storage: &Storage, path: &ItemPath) -> AppResult<()> {
    let mut conn = db.conn().await?;
    let left = notes::left_at(&mut conn, path).await?;
    drop(conn);
    for note in left {
        if matches!(note.change, Change::Delete { .. }) {
            settle(db, storage, &note).await?;
        }
    }
    Ok(())
}

async fn settle(db: &Db, storage: &Storage, note: &Note) -> AppResult<()> {
    let before = row(db, &note.path).await?;
    let object = match storage.look(&note.path).await {
        Ok(object) => Some(object),
        Err(AppError::NotFound) => None,
        Err(error) => return Err(error),
    };
    match (&note.change, object) {
        (Change::Delete { .. }, None) => {
            note.deleted(db, &before).await?;
            log::info!("{} is gone, as was wanted; that is written down", note.path);
            return Ok(());
        }
        (Change::Publish { .. }, Some(object))
            if is_of(note, storage, &object, &before).await? =>
        {
            let placed = storage.found(&note.path, object);
            note.published(db, &placed).await?;
            log::info!(
                "{} is there, as was wanted; that is written down",
                note.path
            );
            return Ok(());
        }
        _ => {}
    }
    if note.begun_at < clock::now() - WAITED_FOR {
        note.forget(db).await;
        log::info!("the change of {} did not happen", note.path);
    }
    Ok(())
}

/// Whether what lies there is what this note wanted to put there, and is not somebody else's of the same content.
async fn is_of(
    note: &Note,
    storage: &Storage,
    object: &Object,
    row: &Option<Item>,
) -> AppResult<bool> {
    let Change::Publish { size, sha256, .. } = &note.change else {
        return Ok(false);
    };
    // A row without a checksum is an older file's, of which a listing found out that it was replaced.
    let is_anothers = row.as_ref().is_some_and(|row| {
        row.missing_since == 0
            && row.modified_at == object.modified_at
            && row.sha256.as_ref() == Some(sha256)
    });
    if is_anothers || object.size != *size || object.modified_at + CLOCKS < note.begun_at {
        return Ok(false);
    }
    Ok(*sha256 == storage.sha256(&note.path, object).await?)
}
