//! The index's rows of files, and what features do to them: publish, move, remove, count. Each works on the connection it
//! is given, so that row, audit and whatever else belongs together are one transaction. Folders are always written
//! before items, so that two transactions never wait for each other.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::key;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;

mod lookups;
mod moves;
mod publication;

pub use lookups::{Inside, beside, crc32s, inside, longest_below, of_paths, sha256};
pub use moves::{brought_back, moved, put_away, put_out, removed};
pub use publication::{Publication, published};

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
