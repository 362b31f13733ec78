//! The trash: what was deleted lies in a hidden folder of FILES_DIR for thirty days, and can be brought back by whoever may
//! see the place that it came from. A row tells what it is; the index keeps the rows of its files under its hidden place.

pub mod api;
mod delete;
pub mod keeper;
pub mod pages;
mod purge;
mod restore;
pub mod store;

pub use delete::delete;
pub use purge::remove_for_good;
pub use restore::restore;
pub use store::Entry;

use crate::app::State;
use crate::changing::relocate::Eyes;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;

/// How long it is kept, in microseconds.
pub const KEPT: i64 = KEPT_DAYS * 86_400 * clock::SECOND;
/// How long it is kept, in days.
pub const KEPT_DAYS: i64 = 30;

/// Whether these eyes see an entry: its place of origin, and of a folder everything that was below.
pub fn shows(eyes: &Eyes, entry: &Entry) -> bool {
    let hides = entry.is_folder() && eyes.sight.hides_below(&entry.origin);
    eyes.sight.shows(&entry.origin) && !hides
}

/// The entry with that number, for somebody who may see it.
///
/// # Errors
/// 404 for every other one; 501 where the files lie in object storage.
pub async fn entry(state: &State, eyes: &Eyes, id: i64) -> AppResult<Entry> {
    needs_folder(state)?;
    let mut conn = state.db.conn().await?;
    let entry = store::of(&mut conn, id).await?;
    entry
        .filter(|entry| shows(eyes, entry))
        .ok_or(AppError::NotFound)
}

/// 501 where the files lie in object storage: what was deleted of a folder before is not in reach.
fn needs_folder(state: &State) -> AppResult<()> {
    match state.files.storage() {
        Some(_) => Err(AppError::NeedsFolder),
        None => Ok(()),
    }
}

/// Where it came from.
///
/// # Errors
/// 500 for what no file can be called; another program wrote the row.
pub fn origin(entry: &Entry) -> AppResult<ItemPath> {
    ItemPath::parse(&entry.origin)
        .ok_or_else(|| AppError::Internal(format!("a place of origin is none: {}", entry.origin)))
}
