//! The one step of which everything else is made: look at some names of a folder, and write into the index what differs.
//!
//! First the rows are read, then the disk, then the difference is written, each row only if it is still the one that was
//! read, under the path that it had. So a publication or a move that comes in between is never overwritten by what was
//! seen before it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::share::{self, Care};
use super::store::{Item, execute, folder_of};
use super::{Index, LONGEST_PATH, folders, key, store};
use crate::clock;
use crate::db::{Conn, DbResult, Lock};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::look::{self, Found};

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Real folders among the names, whether they were known or not.
    pub folders: Vec<ItemPath>,
    /// Folders that were not known before.
    pub new_folders: Vec<ItemPath>,
    /// Folders that are gone, or are only links now.
    pub gone_folders: Vec<ItemPath>,
    /// How many rows were written.
    pub changes: usize,
}

/// What is to be written.
#[derive(Default)]
pub(super) struct Difference {
    new_folders: Vec<Value>,
    changed_folders: Vec<Value>,
    gone_folders: Vec<ItemPath>,
    new_items: Vec<Value>,
    changed_items: Vec<Value>,
    gone_items: Vec<Value>,
}

/// Looks at these names in `folder` (`None`: the root).
///
/// # Errors
/// 503 when something is not there and FILES_DIR is empty or another one than it was; the disk's and the database's. Nothing
/// was written then.
pub async fn look_at(
    index: &Index,
    folder: Option<&ItemPath>,
    names: &[String],
) -> AppResult<Seen> {
    let paths: Vec<ItemPath> = names
        .iter()
        .filter_map(|name| ItemPath::join(folder, name))
        .filter(|path| path.as_str().len() <= LONGEST_PATH)
        .collect();
    let texts: Vec<&str> = paths.iter().map(ItemPath::as_str).collect();
    let mut conn = index.db.conn().await?;
    let items = store::of_paths(&mut conn, &texts).await?;
    let known_folders = folders::of_paths(&mut conn, &texts).await?;
    drop(conn);
    let mut items: HashMap<&str, &Item> =
        items.iter().map(|row| (row.path.as_str(), row)).collect();
    let mut known_folders: HashMap<&str, &folders::Folder> = known_folders
        .iter()
        .map(|row| (row.path.as_str(), row))
        .collect();

    let found = behind(index, folder, &paths).await?;
    let mut seen = Seen::default();
    let mut difference = Difference::default();
    for (path, found) in paths.iter().zip(found) {
        let item = items.remove(path.as_str());
        let row = known_folders.remove(path.as_str());
        difference.of_item(path, found.as_ref().filter(|found| !found.is_folder), item);
        let found = found.filter(|found| found.is_folder);
        if found.as_ref().is_some_and(|found| found.target.is_none()) {
            seen.folders.push(path.clone());
            if row.is_none_or(|row| row.target.is_some()) {
                seen.new_folders.push(path.clone());
            }
        }
        difference.of_folder(path, found.as_ref(), row);
    }
    if difference.tells_of_a_loss() {
        share::check(index, Care::Scan).await?;
    }
    seen.gone_folders.clone_from(&difference.gone_folders);
    seen.changes = difference.write(index, folder).await?;
    Ok(seen)
}

async fn behind(
    index: &Index,
    folder: Option<&ItemPath>,
    paths: &[ItemPath],
) -> AppResult<Vec<Option<Found>>> {
    let folder = folder.cloned();
    let names: Vec<String> = paths.iter().map(|path| path.name().to_owned()).collect();
    share::on_disk(index, move |dir| look::behind(dir, folder.as_ref(), &names)).await
}

impl Difference {
    pub(super) fn of_item(&mut self, path: &ItemPath, found: Option<&Found>, row: Option<&Item>) {
        let is_there = |row: &Item| row.missing_since == 0;
        match (found, row) {
            (None, Some(row)) if is_there(row) => self.gone_item(row),
            (None, _) => {}
            (Some(found), None) => self.new_items.push(item_record(path, found, None)),
            (Some(found), Some(row)) => {
                let same = is_there(row)
                    && row.size == found.size
                    && row.modified_at == found.modified_at
                    && row.real_folder.as_deref() == found.target.as_ref().map(folder_of)
                    && row.sort_key == key::sort_key(path.as_str())
                    && row.words == key::words(path.name(), row.title.as_deref());
                if !same {
                    self.changed_items.push(item_record(path, found, Some(row)));
                }
            }
        }
    }

    pub(super) fn gone_item(&mut self, row: &Item) {
        self.gone_items.push(json!({
            "id": row.id, "path": row.path, "was_modified_at": row.modified_at, "now": clock::now(),
        }));
    }

    pub(super) fn of_folder(
        &mut self,
        path: &ItemPath,
        found: Option<&Found>,
        row: Option<&folders::Folder>,
    ) {
        match (found, row) {
            (None, Some(_)) => self.gone_folders.push(path.clone()),
            (None, None) => {}
            (Some(found), None) => {
                let record = folders::record(path, found.modified_at, found.target.as_ref());
                self.new_folders.push(record);
            }
            (Some(found), Some(row)) => {
                let target = found.target.as_ref().map(ItemPath::as_str);
                // What was a folder and is a link now takes all that was below it along.
                if row.target.is_none() && target.is_some() {
                    self.gone_folders.push(path.clone());
                    let record = folders::record(path, found.modified_at, found.target.as_ref());
                    self.new_folders.push(record);
                } else if row.target.as_deref() != target
                    || row.modified_at != found.modified_at
                    || row.sort_key != key::sort_key(path.as_str())
                    || row.words != key::words(path.name(), None)
                {
                    let record = folders::record(path, found.modified_at, found.target.as_ref());
                    self.changed_folders.push(record);
                }
            }
        }
    }

    fn tells_of_a_loss(&self) -> bool {
        !self.gone_items.is_empty() || !self.gone_folders.is_empty()
    }

    fn size(&self) -> usize {
        self.new_folders.len()
            + self.changed_folders.len()
            + self.gone_folders.len()
            + self.new_items.len()
            + self.changed_items.len()
            + self.gone_items.len()
    }

    pub(super) async fn write(self, index: &Index, folder: Option<&ItemPath>) -> AppResult<usize> {
        let size = self.size();
        if size == 0 {
            return Ok(0);
        }
        let work = !self.new_items.is_empty() || !self.changed_items.is_empty();
        index
            .db
            .exclusive(Lock::Index, async |conn: &mut Conn| {
                folders::ensure(conn, folder).await?;
                for gone in &self.gone_folders {
                    vanished(conn, Some(gone)).await?;
                }
                if !self.new_folders.is_empty() {
                    folders::insert(conn, self.new_folders).await?;
                }
                if !self.changed_folders.is_empty() {
                    folders::update(conn, self.changed_folders).await?;
                }
                insert_items(conn, self.new_items).await?;
                update_items(conn, self.changed_items).await?;
                mark_missing(conn, self.gone_items).await?;
                Ok::<_, AppError>(())
            })
            .await?;
        if work {
            index.unhashed.notify_one();
        }
        Ok(size)
    }
}

fn item_record(path: &ItemPath, found: &Found, row: Option<&Item>) -> Value {
    json!({
        "path": path.as_str(), "folder": folder_of(path), "name": path.name(),
        "sort_key": key::sort_key(path.as_str()),
        "words": key::words(path.name(), row.and_then(|row| row.title.as_deref())),
        "size": found.size, "modified_at": found.modified_at,
        "real_folder": found.target.as_ref().map(folder_of),
        "id": row.map(|row| row.id), "was_size": row.map(|row| row.size),
        "was_modified_at": row.map(|row| row.modified_at), "was_missing_since": row.map(|row| row.missing_since),
    })
}

const ITEM: [(&str, &str); 8] = [
    ("path", "TEXT"),
    ("folder", "TEXT"),
    ("name", "TEXT"),
    ("sort_key", "TEXT"),
    ("words", "TEXT"),
    ("size", "BIGINT"),
    ("modified_at", "BIGINT"),
    ("real_folder", "TEXT"),
];
const WAS: [(&str, &str); 4] = [
    ("id", "BIGINT"),
    ("was_size", "BIGINT"),
    ("was_modified_at", "BIGINT"),
    ("was_missing_since", "BIGINT"),
];

async fn insert_items(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let records = conn.records(&ITEM);
    let sql = format!(
        "INSERT INTO dim.items (path, folder, name, sort_key, words, size, modified_at, real_folder)
         SELECT r.path, r.folder, r.name, r.sort_key, r.words, r.size, r.modified_at, r.real_folder FROM {records} WHERE true
         ON CONFLICT (path) DO NOTHING"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// A checksum is of one content: it goes when size or time say that there is another.
async fn update_items(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let records = conn.records(&[&ITEM[..], &WAS[..]].concat());
    let sql = format!(
        "UPDATE dim.items AS i SET folder = r.folder, name = r.name, sort_key = r.sort_key, words = r.words, size = r.size,
            modified_at = r.modified_at, real_folder = r.real_folder, missing_since = 0,
            sha256 = CASE WHEN i.size = r.size AND i.modified_at = r.modified_at THEN i.sha256 END,
            crc32 = CASE WHEN i.size = r.size AND i.modified_at = r.modified_at THEN i.crc32 END
         FROM {records} WHERE i.id = r.id AND i.path = r.path AND i.size = r.was_size AND i.modified_at = r.was_modified_at
            AND i.missing_since = r.was_missing_since"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

async fn mark_missing(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let records = conn.records(&[
        ("id", "BIGINT"),
        ("path", "TEXT"),
        ("was_modified_at", "BIGINT"),
        ("now", "BIGINT"),
    ]);
    let sql = format!(
        "UPDATE dim.items AS i SET missing_since = r.now FROM {records}
         WHERE i.id = r.id AND i.path = r.path AND i.modified_at = r.was_modified_at AND i.missing_since = 0"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// Writes down that a folder (`None`: all that the root holds) is not there any more, or cannot be read.
///
/// # Errors
/// The database's.
pub(super) async fn vanished(conn: &mut Conn, folder: Option<&ItemPath>) -> DbResult<()> {
    if let Some(folder) = folder {
        folders::forget(conn, folder.as_str()).await?;
    }
    super::state::missing_below(conn, folder.map_or("", ItemPath::as_str)).await
}
