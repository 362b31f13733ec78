//! What is asked about the rows; nothing here changes them.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::{Item, below};
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;

/// SQLite takes at most so many values in one query, with room to spare.
const CHUNK: usize = 500;
/// Rows on each side of a file that are looked at for its neighbour.
const NEAR: i64 = 10;

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
