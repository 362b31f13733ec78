//! Reads one folder: every name is looked at, and rows whose name is not there any more are marked.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::seen::{self, look_at};
use super::share::{self, Care};
use super::{Index, folders, state};
use crate::clock;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, Lock, either};
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::files::look;

/// Names looked at in one step.
const CHUNK: usize = 1_000;
/// A folder that changed so shortly before it was read may change again without another time of change.
const UNSETTLED: i64 = 2 * clock::SECOND;

/// What a reading found.
#[derive(Debug, Default)]
pub struct Reading {
    /// The real folders in it.
    pub folders: Vec<ItemPath>,
    /// Those that were not known before.
    pub new_folders: Vec<ItemPath>,
    /// Folders that are gone.
    pub gone_folders: Vec<ItemPath>,
    /// How many names it holds.
    pub names: usize,
    /// How many rows were written.
    pub changes: usize,
    /// Whether it holds more names than were read.
    pub cut: bool,
    /// Whether there is no such folder (any more).
    pub gone: bool,
}

/// Reads `folder` (`None`: the root), at most `most` names of it.
///
/// # Errors
/// 503 when FILES_DIR is empty or another one than it was; the disk's and the database's. What was written until then stays,
/// and is true.
pub async fn folder(index: &Index, folder: Option<&ItemPath>, most: usize) -> AppResult<Reading> {
    let path = folder.map_or("", ItemPath::as_str).to_owned();
    let place = folder.cloned();
    let alone = index.files.alone;
    let read = move |dir: &cap_std::fs::Dir| look::names(dir, place.as_ref(), most, alone);
    // What follows may take longer than a folder takes to settle.
    let began = clock::now();
    let names = share::on_disk(index, read).await?;
    // A server whose share shows nothing keeps the folder itself, so that an empty root tells nothing about its files.
    let shows_nothing = match &names {
        Some(names) => folder.is_none() && names.names.is_empty(),
        None => true,
    };
    if shows_nothing {
        share::check(index, Care::Scan).await?;
    }
    let Some(mut names) = names else {
        forget(index, folder).await?;
        return Ok(Reading {
            gone: true,
            ..Reading::default()
        });
    };
    names.names.sort_unstable();
    let mut reading = Reading {
        names: names.names.len(),
        cut: names.cut,
        ..Reading::default()
    };
    for chunk in names.names.chunks(CHUNK) {
        let seen = look_at(index, folder, chunk).await?;
        reading.take(seen);
    }
    if names.cut {
        return Ok(reading);
    }
    let present: HashSet<&str> = names.names.iter().map(String::as_str).collect();
    reading.changes += missing(index, folder, &present, &mut reading.gone_folders).await?;
    let settled = names.modified_at < began - UNSETTLED;
    let read_at = settled.then_some(names.modified_at);
    let count = names.names.len();
    let place = folder.cloned();
    index
        .db
        .exclusive(Lock::Index, async |conn: &mut Conn| {
            folders::ensure(conn, place.as_ref()).await?;
            folders::was_read(conn, &path, read_at, count).await
        })
        .await?;
    Ok(reading)
}

/// Writes down that a folder is gone.
///
/// # Errors
/// The database's.
async fn forget(index: &Index, folder: Option<&ItemPath>) -> AppResult<()> {
    let folder = folder.cloned();
    let vanished = index.db.exclusive(Lock::Index, async |conn: &mut Conn| {
        seen::vanished(conn, folder.as_ref()).await
    });
    Ok(vanished.await?)
}

/// Writes down that nothing in a folder can be served, because it cannot be read. The folder itself stays.
///
/// # Errors
/// The database's.
pub async fn forget_content(index: &Index, folder: Option<&ItemPath>) -> AppResult<()> {
    let path = folder.map_or("", ItemPath::as_str).to_owned();
    let vanished = index.db.exclusive(Lock::Index, async |conn: &mut Conn| {
        folders::forget_below(conn, &path).await?;
        state::missing_below(conn, &path).await
    });
    Ok(vanished.await?)
}

impl Reading {
    fn take(&mut self, seen: seen::Seen) {
        self.folders.extend(seen.folders);
        self.new_folders.extend(seen.new_folders);
        self.gone_folders.extend(seen.gone_folders);
        self.changes += seen.changes;
    }
}

/// Looks at rows of this folder whose name was not read. They are only marked when they really are not there:
/// a file may have come in the meantime.
async fn missing(
    index: &Index,
    folder: Option<&ItemPath>,
    present: &HashSet<&str>,
    gone_folders: &mut Vec<ItemPath>,
) -> AppResult<usize> {
    let path = folder.map_or("", ItemPath::as_str);
    let mut changes = 0;
    let mut after = (String::new(), 0);
    loop {
        let mut conn = index.db.conn().await?;
        let rows = files(&mut conn, path, &after).await?;
        drop(conn);
        let Some((sort_key, id, _)) = rows.last() else {
            break;
        };
        after = (sort_key.clone(), *id);
        let absent: Vec<String> = rows
            .into_iter()
            .map(|(_, _, name)| name)
            .filter(|name| !present.contains(name.as_str()))
            .collect();
        if !absent.is_empty() {
            changes += look_at(index, folder, &absent).await?.changes;
        }
    }
    let mut after = String::new();
    loop {
        let mut conn = index.db.conn().await?;
        let rows = folders::children(&mut conn, path, &after, 1_000).await?;
        drop(conn);
        let Some(last) = rows.last() else {
            return Ok(changes);
        };
        after.clone_from(&last.path);
        let absent: Vec<String> = rows
            .into_iter()
            .map(|row| row.name)
            .filter(|name| !present.contains(name.as_str()))
            .collect();
        if !absent.is_empty() {
            let seen = look_at(index, folder, &absent).await?;
            changes += seen.changes;
            gone_folders.extend(seen.gone_folders);
        }
    }
}

/// Sort key, id and name of files in a folder, in the order of the index, those after `after` first.
async fn files(
    conn: &mut Conn,
    folder: &str,
    after: &(String, i64),
) -> DbResult<Vec<(String, i64, String)>> {
    let later = items::sort_key
        .gt(&after.0)
        .or(items::sort_key.eq(&after.0).and(items::id.gt(after.1)));
    let query = items::table
        .filter(items::folder.eq(folder).and(items::missing_since.eq(0)))
        .filter(items::sort_key.ge(&after.0))
        .filter(later)
        .order((items::sort_key, items::id))
        .limit(5_000)
        .select((items::sort_key, items::id, items::name));
    Ok(either!(conn, |c| query.load(c).await)?)
}
