//! Removing for good: the row says so first, so that nothing that was removed comes back, and nothing that was not is lost.

use actix_web::web;

use super::{Entry, store};
use crate::app::{State, finish};
use crate::audit::{self, Action, Actor, Event};
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, Db, Lock};
use crate::error::{AppError, AppResult};
use crate::files::{Files, ItemPath, moving};
use crate::index;

/// Removes an entry now.
///
/// # Errors
/// 404 for one that is not there any more; 501 where the files lie in object storage.
pub async fn remove_for_good(state: &web::Data<State>, admin: &Admin, id: i64) -> AppResult<()> {
    let (state, actor) = (state.clone(), admin.actor());
    super::needs_folder(&state)?;
    finish(async move {
        let mut conn = state.db.conn().await?;
        let entry = store::of(&mut conn, id).await?.ok_or(AppError::NotFound)?;
        drop(conn);
        mark(&state.db, &actor, &entry).await?;
        clear(&state.db, &state.files, &entry).await
    })
    .await
}

/// Writes down that an entry is removed for good, with its audit row.
///
/// # Errors
/// 404 for one that somebody else brought back or removed.
pub async fn mark(db: &Db, actor: &Actor, entry: &Entry) -> AppResult<()> {
    db.exclusive(Lock::Publish, async |conn: &mut Conn| {
        conn.lock(Lock::Index).await?;
        if !store::mark_removed(conn, entry.id, clock::now()).await? {
            return Err(AppError::NotFound);
        }
        index::put_out(conn, &entry.place).await?;
        let event = Event::new(Action::RemovedForGood, &entry.origin, "removed")
            .bytes(u64::try_from(entry.size).unwrap_or(0))
            .with("files", entry.files)
            .with("deleted_by", entry.deleted_by.as_str());
        Ok(audit::record(conn, actor, &event).await?)
    })
    .await
}

/// Removes from the disk what was marked, and then its row.
///
/// # Errors
/// The disk's and the database's; it is tried again later.
pub async fn clear(db: &Db, files: &Files, entry: &Entry) -> AppResult<()> {
    let place = entry.place.clone();
    // Whatever another program wrote into the table, only what lies hidden in a trash is removed.
    let is_in_trash = place.rsplit_once('/').is_some_and(|(room, name)| {
        room.ends_with(".portcullis/trash") && ItemPath::parse(name).is_some()
    });
    if !is_in_trash {
        return Err(AppError::Internal(format!(
            "{place} is no place in the trash"
        )));
    }
    let gone = files.run(move |dir| Ok(moving::remove_from_trash(dir, &place)?));
    if gone.await? {
        let mut conn = db.conn().await?;
        store::forget(&mut conn, entry.id).await?;
    }
    Ok(())
}
