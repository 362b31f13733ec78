//! Writes down what is removed, moved, put into the trash and brought back, with all that is below it.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{below, execute, folder_of};
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;
use crate::index::{folders, key};

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
