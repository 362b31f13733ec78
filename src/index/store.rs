//! The index's rows of files, and what features do to them: publish, move, remove, count. Each works on the connection it
//! is given, so that row, audit and whatever else belongs together are one transaction. Folders are always written
//! before items, so that two transactions never wait for each other.

use std::collections::{BTreeSet, HashMap};

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
    /// One line that says what it is; `None` leaves a file that is replaced its own.
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
/// Its downloads start anew only with a new row: a replaced file keeps its count, and its title where no other is given.
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
    let kept = match title {
        Some(_) => None,
        None => title_of(conn, path).await?,
    };
    let title = title.as_ref().or(kept.as_ref());
    let row = (
        items::path.eq(path.as_str()),
        items::folder.eq(folder_of(path)),
        items::name.eq(path.name()),
        items::sort_key.eq(key::sort_key(path.as_str())),
        items::words.eq(key::words(path.name(), title.map(String::as_str))),
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

/// The title of the file that is at `path` now.
///
/// # Errors
/// The database's.
pub async fn title_of(conn: &mut Conn, path: &ItemPath) -> DbResult<Option<String>> {
    let there = items::path
        .eq(path.as_str())
        .and(items::missing_since.eq(0));
    let query = items::table.filter(there).select(items::title);
    let title: Option<Option<String>> = either!(conn, |c| query.first(c).await.optional())?;
    Ok(title.flatten())
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
    relocated(conn, from.as_str(), to, None).await
}

/// Writes down that the file or folder at `path` lies in the trash at `place` since then (microseconds since 1970 UTC).
/// Its rows go there as well, as rows of missing files, until it comes back.
///
/// # Errors
/// The database's.
pub async fn put_away(conn: &mut Conn, path: &ItemPath, place: &str, since: i64) -> DbResult<()> {
    folders::forget(conn, path.as_str()).await?;
    let (from, to) = below(path.as_str());
    let rest = path.as_str().chars().count() + 1;
    let sql = format!(
        "UPDATE dim.items SET path = $1 || substr(path, {rest}),
            missing_since = CASE WHEN missing_since = 0 THEN {since} ELSE missing_since END
         WHERE path = $2 OR (path >= $3 AND path < $4)"
    );
    either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(place)
        .bind::<Text, _>(path.as_str())
        .bind::<Text, _>(from)
        .bind::<Text, _>(to)
        .execute(c)
        .await)?;
    Ok(())
}

/// Writes down that what was [put away](put_away) at `place` since then is at `to` now.
///
/// # Errors
/// The database's.
pub async fn brought_back(conn: &mut Conn, place: &str, to: &ItemPath, since: i64) -> DbResult<()> {
    removed(conn, to).await?;
    relocated(conn, place, to, Some(since)).await
}

/// Forgets what was known of the files that lie in the trash at `place`.
///
/// # Errors
/// The database's.
pub async fn put_out(conn: &mut Conn, place: &str) -> DbResult<()> {
    let (from, to) = below(place);
    let gone = items::path
        .eq(place)
        .or(items::path.ge(from).and(items::path.lt(to)));
    let statement = diesel::delete(items::table.filter(gone));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Gives the rows at and below `from` their new paths. Those that are missing since `since` are there again.
async fn relocated(conn: &mut Conn, from: &str, to: &ItemPath, since: Option<i64>) -> DbResult<()> {
    let (first, end) = below(from);
    let mut after = 0;
    loop {
        let inside = items::path
            .eq(from)
            .or(items::path.ge(&first).and(items::path.lt(&end)));
        let query = items::table
            .filter(inside.and(items::id.gt(after)))
            .order(items::id)
            .limit(1_000)
            .select((items::id, items::path, items::title, items::missing_since));
        let rows: Vec<(i64, String, Option<String>, i64)> =
            either!(&mut *conn, |c| query.load(c).await)?;
        let Some((last, ..)) = rows.last() else {
            return Ok(());
        };
        after = *last;
        let mut renamed = Vec::with_capacity(rows.len());
        let mut in_folders = BTreeSet::new();
        for (id, path, title, missing_since) in &rows {
            let rest = path.strip_prefix(from).unwrap_or_default();
            let Some(path) = ItemPath::parse(&format!("{to}{rest}")) else {
                continue;
            };
            let back = since == Some(*missing_since);
            renamed.push(json!({
                "id": id, "path": path.as_str(), "folder": folder_of(&path), "name": path.name(),
                "sort_key": key::sort_key(path.as_str()), "words": key::words(path.name(), title.as_deref()),
                "missing_since": if back { 0 } else { *missing_since },
            }));
            in_folders.extend(path.folder().filter(|_| back));
        }
        for folder in &in_folders {
            folders::ensure(conn, Some(folder)).await?;
        }
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
        ("missing_since", "BIGINT"),
    ]);
    let sql = format!(
        "UPDATE dim.items AS i SET path = r.path, folder = r.folder, name = r.name, sort_key = r.sort_key, words = r.words,
            missing_since = r.missing_since FROM {records} WHERE i.id = r.id"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}

/// How many files lie below a folder, and how large they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, QueryableByName)]
pub struct Inside {
    /// Files.
    #[diesel(sql_type = BigInt)]
    pub files: i64,
    /// Bytes.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
}

/// What lies below a folder.
///
/// # Errors
/// The database's.
pub async fn inside(conn: &mut Conn, folder: &ItemPath) -> DbResult<Inside> {
    let (from, to) = below(folder.as_str());
    let sql =
        "SELECT count(*) AS files, CAST(coalesce(sum(size), 0) AS BIGINT) AS bytes FROM dim.items
         WHERE path >= $1 AND path < $2 AND missing_since = 0";
    Ok(either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(from)
        .bind::<Text, _>(to)
        .get_result(c)
        .await)?)
}

/// Bytes of the longest path of a file at `path` or below it; those of `path` when there is none.
///
/// # Errors
/// The database's.
pub async fn longest_below(conn: &mut Conn, path: &ItemPath) -> DbResult<usize> {
    #[derive(QueryableByName)]
    struct Longest {
        #[diesel(sql_type = BigInt)]
        bytes: i64,
    }
    let (from, to) = below(path.as_str());
    let least = path.as_str().len();
    let sql = format!(
        "SELECT CAST(coalesce(max(octet_length(path)), {least}) AS BIGINT) AS bytes FROM dim.items
         WHERE path >= $1 AND path < $2"
    );
    let longest: Longest = either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(from)
        .bind::<Text, _>(to)
        .get_result(c)
        .await)?;
    Ok(usize::try_from(longest.bytes).unwrap_or(least))
}

/// Gives the file at `path` a title, and returns the one that it had; `None` without such a file.
///
/// # Errors
/// The database's.
pub async fn titled(
    conn: &mut Conn,
    path: &ItemPath,
    title: Option<&str>,
) -> DbResult<Option<Option<String>>> {
    let row = items::table.filter(items::path.eq(path.as_str()));
    let before = row.select(items::title);
    let before: Option<Option<String>> = either!(&mut *conn, |c| before.first(c).await.optional())?;
    let statement = diesel::update(row).set((
        items::title.eq(title),
        items::words.eq(key::words(path.name(), title)),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(before)
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
