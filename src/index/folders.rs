//! The index's rows of folders: which ones there are, and when each was last read.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::key;
use super::store::{below, execute, folder_of};
use crate::db::schema::dim::folders;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;

/// A folder as the index knows it; the fields are in the order of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Folder {
    /// Stays the same as long as the row does.
    pub id: i64,
    /// Its path; empty is the root.
    pub path: String,
    /// The folder it lies in; `None` for the root.
    pub parent: Option<String>,
    /// Its last name.
    pub name: String,
    /// See [`key::sort_key`].
    pub sort_key: String,
    /// See [`key::words`].
    pub words: String,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// Of a link: the folder that it leads to.
    pub target: Option<String>,
    /// `modified_at` when its names were last read; `None` when they have to be read again.
    pub read_at: Option<i64>,
    /// How many names it held then.
    pub entries: i64,
}

/// The rows of these paths, as far as there are any.
///
/// # Errors
/// The database's.
pub async fn of_paths<P: AsRef<str>>(conn: &mut Conn, paths: &[P]) -> DbResult<Vec<Folder>> {
    let paths: Vec<&str> = paths.iter().map(AsRef::as_ref).collect();
    let query = folders::table.filter(folders::path.eq_any(paths));
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The folder itself and the real folders below it, at most `most`.
///
/// # Errors
/// The database's.
pub async fn with_below(conn: &mut Conn, folder: &str, most: i64) -> DbResult<Vec<Folder>> {
    let real = folders::table
        .filter(folders::target.is_null())
        .order(folders::path)
        .limit(most);
    if folder.is_empty() {
        return Ok(either!(conn, |c| real.load(c).await)?);
    }
    let (from, to) = below(folder);
    let query = real.filter(
        folders::path
            .eq(folder)
            .or(folders::path.ge(from).and(folders::path.lt(to))),
    );
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The folders right in `folder`, by path, those after `after` first.
///
/// # Errors
/// The database's.
pub async fn children(
    conn: &mut Conn,
    folder: &str,
    after: &str,
    most: i64,
) -> DbResult<Vec<Folder>> {
    let query = folders::table
        .filter(folders::parent.eq(folder).and(folders::path.gt(after)))
        .order(folders::path)
        .limit(most);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Makes rows for a folder and those above it, the root included, where there are none. They are read when they are
/// first looked at.
///
/// # Errors
/// The database's.
pub async fn ensure(conn: &mut Conn, folder: Option<&ItemPath>) -> DbResult<()> {
    let mut chain = Vec::new();
    let mut next = folder.cloned();
    while let Some(path) = next {
        next = path.folder();
        chain.push(path);
    }
    let root = json!({ "path": "", "parent": null, "name": "", "sort_key": "", "words": "", "modified_at": 0, "target": null });
    let mut rows = vec![root];
    rows.extend(chain.iter().rev().map(|path| record(path, 0, None)));
    insert(conn, rows).await
}

/// What a row of a folder says.
pub(super) fn record(path: &ItemPath, modified_at: i64, target: Option<&ItemPath>) -> Value {
    json!({
        "path": path.as_str(), "parent": folder_of(path), "name": path.name(),
        "sort_key": key::sort_key(path.as_str()), "words": key::words(path.name(), None),
        "modified_at": modified_at, "target": target.map(ItemPath::as_str),
    })
}

const COLUMNS: [(&str, &str); 7] = [
    ("path", "TEXT"),
    ("parent", "TEXT"),
    ("name", "TEXT"),
    ("sort_key", "TEXT"),
    ("words", "TEXT"),
    ("modified_at", "BIGINT"),
    ("target", "TEXT"),
];

/// Makes rows, where there are none yet.
///
/// # Errors
/// The database's.
pub(super) async fn insert(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    let records = conn.records(&COLUMNS);
    let sql = format!(
        "INSERT INTO dim.folders (path, parent, name, sort_key, words, modified_at, target)
         SELECT r.path, r.parent, r.name, r.sort_key, r.words, r.modified_at, r.target FROM {records} WHERE true
         ON CONFLICT (path) DO NOTHING"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// Writes down what changed of rows that are there. A link has no reading of its own.
///
/// # Errors
/// The database's.
pub(super) async fn update(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    let records = conn.records(&COLUMNS);
    let sql = format!(
        "UPDATE dim.folders AS f SET parent = r.parent, name = r.name, sort_key = r.sort_key, words = r.words,
            modified_at = r.modified_at, target = r.target FROM {records} WHERE f.path = r.path"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// Writes down that all names of a folder were read.
///
/// # Errors
/// The database's.
pub(super) async fn was_read(
    conn: &mut Conn,
    folder: &str,
    read_at: Option<i64>,
    entries: usize,
) -> DbResult<()> {
    let entries = i64::try_from(entries).unwrap_or(i64::MAX);
    let statement = diesel::update(folders::table.filter(folders::path.eq(folder)))
        .set((folders::read_at.eq(read_at), folders::entries.eq(entries)));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Removes the rows of a folder and of all below it.
///
/// # Errors
/// The database's.
pub(super) async fn forget(conn: &mut Conn, folder: &str) -> DbResult<()> {
    forget_below(conn, folder).await?;
    let statement = diesel::delete(folders::table.filter(folders::path.eq(folder)));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Removes the rows of all folders below one.
///
/// # Errors
/// The database's.
pub(super) async fn forget_below(conn: &mut Conn, folder: &str) -> DbResult<()> {
    let (from, to) = below(folder);
    let gone = folders::path.ge(from).and(folders::path.lt(to));
    let statement = diesel::delete(folders::table.filter(gone));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Gives a folder and those below it their new paths.
///
/// # Errors
/// The database's.
pub(super) async fn moved(conn: &mut Conn, from: &ItemPath, to: &ItemPath) -> DbResult<()> {
    let rows = with_below(conn, from.as_str(), i64::MAX).await?;
    forget(conn, from.as_str()).await?;
    let renamed = rows.iter().filter_map(|row| {
        let rest = row.path.strip_prefix(from.as_str())?;
        let path = ItemPath::parse(&format!("{to}{rest}"))?;
        Some(record(&path, row.modified_at, None))
    });
    insert(conn, renamed.collect()).await
}
