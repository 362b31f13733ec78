//! The index's rows of files, and what features do to them: publish, move, remove, count. Each works on the connection it
//! is given, so that row, audit and whatever else belongs together are one transaction. Folders are always written
//! before items, so that two transactions never wait for each other.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{folders, key};
use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;

/// SQLite takes at most so many values in one query, with room to spare.
const CHUNK: usize = 500;
/// Rows on each side of a file that are looked at for its neighbour.
const NEAR: i64 = 10;

/// A file as the index knows it; the fields are in the order of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName)]
pub struct Item {
    /// Stays the same as long as the row does, also when the file is moved.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// See [`ItemPath`].
    #[diesel(sql_type = Text)]
    pub path: String,
    /// One line that says what it is.
    #[diesel(sql_type = Nullable<Text>)]
    pub title: Option<String>,
    /// Who published it, lower-case address; nobody when it came to the disk in another way.
    #[diesel(sql_type = Nullable<Text>)]
    pub owner: Option<String>,
    /// Bytes.
    #[diesel(sql_type = BigInt)]
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    #[diesel(sql_type = BigInt)]
    pub modified_at: i64,
    /// Lower-case hexadecimal; `None` until the background has read the file.
    #[diesel(sql_type = Nullable<Text>)]
    pub sha256: Option<String>,
    /// When it was published, microseconds since 1970 UTC.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub published_at: Option<i64>,
    /// The folder it lies in; empty is the root.
    #[diesel(sql_type = Text)]
    pub folder: String,
    /// Its last name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// See [`key::sort_key`].
    #[diesel(sql_type = Text)]
    pub sort_key: String,
    /// See [`key::words`].
    #[diesel(sql_type = Text)]
    pub words: String,
    /// Of a link: the folder of the file that it leads to; empty is the root.
    #[diesel(sql_type = Nullable<Text>)]
    pub real_folder: Option<String>,
    /// As zip archives have it; `None` until the background has read the file.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub crc32: Option<i64>,
    /// How often it was downloaded whole.
    #[diesel(sql_type = BigInt)]
    pub downloads: i64,
    /// Since when it is not on the disk any more, microseconds since 1970 UTC; 0 while it is.
    #[diesel(sql_type = BigInt)]
    pub missing_since: i64,
}

/// A file that is being published now.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Where it goes.
    pub path: ItemPath,
    /// One line that says what it is.
    pub title: Option<String>,
    /// Lower-case address of whoever publishes it.
    pub owner: String,
    /// Bytes.
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// As zip archives have it.
    pub crc32: u32,
}

/// The rows of these paths, as far as there are any, missing ones included.
///
/// # Errors
/// The database's.
pub async fn of_paths<P: AsRef<str>>(conn: &mut Conn, paths: &[P]) -> DbResult<Vec<Item>> {
    let mut found = Vec::new();
    for chunk in paths.chunks(CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(AsRef::as_ref).collect();
        let query = items::table.filter(items::path.eq_any(chunk));
        let rows: Vec<Item> = either!(&mut *conn, |c| query.load(c).await)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Writes down that a file was published, in place of what was known of that path, with its audit row.
/// Its downloads start anew only with a new row: a replaced file keeps its count.
///
/// # Errors
/// The database's.
pub async fn published(
    conn: &mut Conn,
    actor: &Actor,
    publication: &Publication,
) -> DbResult<Item> {
    let Publication {
        path,
        title,
        owner,
        size,
        modified_at,
        sha256,
        crc32,
    } = publication;
    folders::ensure(conn, path.folder().as_ref()).await?;
    let row = (
        items::path.eq(path.as_str()),
        items::folder.eq(folder_of(path)),
        items::name.eq(path.name()),
        items::sort_key.eq(key::sort_key(path.as_str())),
        items::words.eq(key::words(path.name(), title.as_deref())),
        items::title.eq(title),
        items::owner.eq(owner),
        items::size.eq(size),
        items::modified_at.eq(modified_at),
        items::sha256.eq(sha256),
        items::crc32.eq(i64::from(*crc32)),
        items::published_at.eq(clock::now()),
        items::missing_since.eq(0),
        items::real_folder.eq(None::<String>),
    );
    let statement = diesel::insert_into(items::table)
        .values(row.clone())
        .on_conflict(items::path)
        .do_update()
        .set(row);
    either!(&mut *conn, |c| statement.execute(c).await)?;
    let event = Event::new(Action::Published, path.as_str(), "published")
        .bytes(u64::try_from(*size).unwrap_or(0))
        .with("sha256", sha256.as_str());
    audit::record(conn, actor, &event).await?;
    let query = items::table.filter(items::path.eq(path.as_str()));
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Forgets the file or folder at `path` and all that is below it. For what the portal itself removed: what only
/// vanished keeps its row for a while.
///
/// # Errors
/// The database's.
pub async fn removed(conn: &mut Conn, path: &ItemPath) -> DbResult<()> {
    folders::forget(conn, path.as_str()).await?;
    let (from, to) = below(path.as_str());
    let gone = items::path
        .eq(path.as_str())
        .or(items::path.ge(from).and(items::path.lt(to)));
    let statement = diesel::delete(items::table.filter(gone));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Writes down that the file or folder at `from` is at `to` now. Titles, owners and counts move with it; what was known
/// of a file that was at `to` before is forgotten.
///
/// # Errors
/// The database's.
pub async fn moved(conn: &mut Conn, from: &ItemPath, to: &ItemPath) -> DbResult<()> {
    removed(conn, to).await?;
    folders::ensure(conn, to.folder().as_ref()).await?;
    folders::moved(conn, from, to).await?;
    let (first, end) = below(from.as_str());
    let mut after = 0;
    loop {
        let inside = items::path
            .eq(from.as_str())
            .or(items::path.ge(&first).and(items::path.lt(&end)));
        let query = items::table
            .filter(inside.and(items::id.gt(after)))
            .order(items::id)
            .limit(1_000)
            .select((items::id, items::path, items::title));
        let rows: Vec<(i64, String, Option<String>)> =
            either!(&mut *conn, |c| query.load(c).await)?;
        let Some((last, ..)) = rows.last() else {
            return Ok(());
        };
        after = *last;
        let renamed: Vec<Value> = rows
            .iter()
            .filter_map(|(id, path, title)| {
                let rest = path.strip_prefix(from.as_str())?;
                let path = ItemPath::parse(&format!("{to}{rest}"))?;
                Some(json!({
                    "id": id, "path": path.as_str(), "folder": folder_of(&path), "name": path.name(),
                    "sort_key": key::sort_key(path.as_str()), "words": key::words(path.name(), title.as_deref()),
                }))
            })
            .collect();
        rename(conn, renamed).await?;
    }
}

async fn rename(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    let records = conn.records(&[
        ("id", "BIGINT"),
        ("path", "TEXT"),
        ("folder", "TEXT"),
        ("name", "TEXT"),
        ("sort_key", "TEXT"),
        ("words", "TEXT"),
    ]);
    let sql = format!(
        "UPDATE dim.items AS i SET path = r.path, folder = r.folder, name = r.name, sort_key = r.sort_key, words = r.words
         FROM {records} WHERE i.id = r.id"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// Counts whole downloads, by path.
///
/// # Errors
/// The database's.
pub async fn downloaded<'a>(
    conn: &mut Conn,
    counts: impl IntoIterator<Item = (&'a str, i64)>,
) -> DbResult<()> {
    let rows: Vec<Value> = counts
        .into_iter()
        .map(|(path, count)| json!({ "path": path, "count": count }))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let records = conn.records(&[("path", "TEXT"), ("count", "BIGINT")]);
    let sql = format!(
        "UPDATE dim.items AS i SET downloads = i.downloads + r.count FROM {records} WHERE i.path = r.path"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// Runs SQL over the records that `$1` holds; see [`Conn::records`]. Returns how many rows it touched.
///
/// # Errors
/// The database's.
pub(super) async fn execute(conn: &mut Conn, sql: String, rows: Vec<Value>) -> DbResult<usize> {
    let rows = Value::Array(rows).to_string();
    Ok(either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(rows)
        .execute(c)
        .await)?)
}

/// The folder of a path; empty is the root.
pub fn folder_of(path: &ItemPath) -> &str {
    path.as_str()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder)
}

/// The range of paths below a folder: from the first, up to but without the second. (`0` comes right after `/`.)
pub fn below(folder: &str) -> (String, String) {
    (format!("{folder}/"), format!("{folder}0"))
}

/// The files before and after this one in its folder, by name, the nearest first. A few of each, since some of them may
/// be links to what somebody may not see.
///
/// # Errors
/// The database's.
pub async fn beside(conn: &mut Conn, item: &Item) -> DbResult<[Vec<Item>; 2]> {
    let here = items::folder
        .eq(item.folder.clone())
        .and(items::missing_since.eq(0));
    let key = &item.sort_key;
    let before = items::table
        .filter(here.clone())
        .filter(items::sort_key.le(key))
        .filter(items::sort_key.lt(key).or(items::id.lt(item.id)))
        .order((items::sort_key.desc(), items::id.desc()))
        .limit(NEAR);
    let after = items::table
        .filter(here)
        .filter(items::sort_key.ge(key))
        .filter(items::sort_key.gt(key).or(items::id.gt(item.id)))
        .order((items::sort_key, items::id))
        .limit(NEAR);
    let before: Vec<Item> = either!(&mut *conn, |c| before.load(c).await)?;
    let after: Vec<Item> = either!(conn, |c| after.load(c).await)?;
    Ok([before, after])
}

/// Size in bytes, time of change (microseconds since 1970 UTC) and CRC-32 of the files at these paths, by path, as far as
/// they are known.
///
/// # Errors
/// The database's.
pub async fn crc32s(
    conn: &mut Conn,
    paths: &[String],
) -> DbResult<HashMap<String, (i64, i64, i64)>> {
    let query = items::table
        .filter(items::path.eq_any(paths))
        .filter(items::crc32.is_not_null())
        .select((
            items::path,
            (
                items::size,
                items::modified_at,
                items::crc32.assume_not_null(),
            ),
        ));
    let rows: Vec<(String, (i64, i64, i64))> = either!(conn, |c| query.load(c).await)?;
    Ok(rows.into_iter().collect())
}

/// The SHA-256 (lower-case hexadecimal) of the file that lies under that path with that size in bytes and that
/// time of change (microseconds since 1970, UTC).
///
/// # Errors
/// The database's.
pub async fn sha256(
    conn: &mut Conn,
    path: &ItemPath,
    size: i64,
    modified_at: i64,
) -> DbResult<Option<String>> {
    let query = items::table
        .filter(items::path.eq(path.as_str()))
        .filter(items::size.eq(size))
        .filter(items::modified_at.eq(modified_at))
        .select(items::sha256);
    let found: Option<Option<String>> = either!(conn, |c| query.first(c).await.optional())?;
    Ok(found.flatten())
}
