//! The SQL of items: what was said about a file when it was published.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;

/// SQLite takes at most so many values in one query, with room to spare.
const CHUNK: usize = 500;

/// What is known of a file beside what the disk says.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = items)]
pub struct Item {
    /// See [`ItemPath`].
    pub path: String,
    /// One line that says what it is.
    pub title: Option<String>,
    /// Who published it, lower-case address.
    pub owner: String,
    /// Size when it was published, bytes.
    pub size: i64,
    /// Time of change when it was published, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// SHA-256 when it was published, lower-case hexadecimal.
    pub sha256: String,
    /// Microseconds since 1970 UTC.
    pub published_at: i64,
}

impl Item {
    /// The SHA-256, as long as the file on the disk is still the one that was published.
    pub fn sha256_of(&self, size: u64, modified_at: i64) -> Option<&str> {
        let same = u64::try_from(self.size) == Ok(size) && self.modified_at == modified_at;
        same.then_some(self.sha256.as_str())
    }
}

/// The rows of these paths, as far as there are any.
///
/// # Errors
/// The database's.
pub async fn of_paths(conn: &mut Conn, paths: &[&ItemPath]) -> DbResult<HashMap<String, Item>> {
    let mut found = HashMap::new();
    for chunk in paths.chunks(CHUNK) {
        let names: Vec<&str> = chunk.iter().map(|path| path.as_str()).collect();
        let query = items::table.filter(items::path.eq_any(names));
        let rows: Vec<Item> = either!(&mut *conn, |c| query.load(c).await)?;
        found.extend(rows.into_iter().map(|item| (item.path.clone(), item)));
    }
    Ok(found)
}

/// The SHA-256 (lower-case hexadecimal) of the file that was published under that path with that size in bytes and that
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
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// Writes down that a file was published, in place of what was known of that path, with its audit row.
///
/// # Errors
/// The database's.
pub async fn published(conn: &mut Conn, actor: &Actor, item: &Item) -> DbResult<()> {
    let statement = diesel::insert_into(items::table)
        .values(item)
        .on_conflict(items::path)
        .do_update()
        .set((
            items::title.eq(excluded(items::title)),
            items::owner.eq(excluded(items::owner)),
            items::size.eq(excluded(items::size)),
            items::modified_at.eq(excluded(items::modified_at)),
            items::sha256.eq(excluded(items::sha256)),
            items::published_at.eq(excluded(items::published_at)),
        ));
    either!(&mut *conn, |c| statement.execute(c).await)?;
    let event = Event::new(Action::Published, &item.path, "published")
        .bytes(u64::try_from(item.size).unwrap_or(0))
        .with("sha256", item.sha256.as_str());
    audit::record(conn, actor, &event).await
}

impl Item {
    /// The row of a file that is being published now.
    pub fn new(
        path: &ItemPath,
        title: Option<String>,
        owner: &str,
        size: u64,
        sha256: &str,
    ) -> Self {
        Self {
            path: path.as_str().to_owned(),
            title,
            owner: owner.to_owned(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modified_at: 0,
            sha256: sha256.to_owned(),
            published_at: clock::now(),
        }
    }
}
