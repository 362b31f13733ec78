//! The SQL of the trash.

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use crate::db::schema::dim::trash;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;
use crate::index::store::{Inside, below};

/// Something that was deleted; the fields are in the order of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// Where it lies now, relative to FILES_DIR; hidden.
    pub place: String,
    /// Where it came from.
    pub origin: String,
    /// `file` or `folder`.
    pub kind: String,
    /// How many files it is, as far as the index knew.
    pub files: i64,
    /// Bytes of them.
    pub size: i64,
    /// Which file or folder it is on the disk.
    pub inode: String,
    /// Who deleted it.
    pub deleted_by: String,
    /// When, microseconds since 1970 UTC.
    pub deleted_at: i64,
    /// When it was removed for good; 0 before. The row goes once nothing of it is on the disk.
    pub removed_at: i64,
}

impl Entry {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == "folder"
    }
}

/// Something that is being deleted.
#[derive(Debug, Clone)]
pub struct Deleted<'a> {
    /// Where it will lie.
    pub place: &'a str,
    /// Where it is.
    pub origin: &'a ItemPath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// What it holds.
    pub inside: Inside,
    /// Which file or folder it is.
    pub inode: u64,
    /// Who deletes it.
    pub by: &'a str,
    /// When, microseconds since 1970 UTC.
    pub at: i64,
}

/// Writes down that something is in the trash.
///
/// # Errors
/// The database's.
pub async fn put(conn: &mut Conn, deleted: &Deleted<'_>) -> DbResult<Entry> {
    let row = (
        trash::place.eq(deleted.place),
        trash::origin.eq(deleted.origin.as_str()),
        trash::kind.eq(match deleted.is_folder {
            true => "folder",
            false => "file",
        }),
        trash::files.eq(deleted.inside.files),
        trash::size.eq(deleted.inside.bytes),
        trash::inode.eq(deleted.inode.to_string()),
        trash::deleted_by.eq(deleted.by),
        trash::deleted_at.eq(deleted.at),
    );
    let statement = diesel::insert_into(trash::table).values(row);
    either!(&mut *conn, |c| statement.execute(c).await)?;
    let query = trash::table.filter(trash::place.eq(deleted.place));
    Ok(either!(conn, |c| query.first(c).await)?)
}

/// The entry with that number, unless it was removed for good.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn, id: i64) -> DbResult<Option<Entry>> {
    let query = trash::table.filter(trash::id.eq(id).and(trash::removed_at.eq(0)));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// The newest entries with a number below `before`.
///
/// # Errors
/// The database's.
pub async fn newest(conn: &mut Conn, before: i64, most: i64) -> DbResult<Vec<Entry>> {
    let query = trash::table
        .filter(trash::removed_at.eq(0).and(trash::id.lt(before)))
        .order(trash::id.desc())
        .limit(most);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Entries that were deleted before that time and are still there, the oldest first.
///
/// # Errors
/// The database's.
pub async fn older(conn: &mut Conn, than: i64, most: i64) -> DbResult<Vec<Entry>> {
    let query = trash::table
        .filter(trash::removed_at.eq(0).and(trash::deleted_at.lt(than)))
        .order(trash::id)
        .limit(most);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Entries with a number above `after` that were removed for good, and may still lie on the disk.
///
/// # Errors
/// The database's.
pub async fn removed(conn: &mut Conn, after: i64, most: i64) -> DbResult<Vec<Entry>> {
    let query = trash::table
        .filter(trash::removed_at.gt(0).and(trash::id.gt(after)))
        .order(trash::id)
        .limit(most);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Marks an entry as removed for good. Returns whether it was there.
///
/// # Errors
/// The database's.
pub async fn mark_removed(conn: &mut Conn, id: i64, at: i64) -> DbResult<bool> {
    let there = trash::table.filter(trash::id.eq(id).and(trash::removed_at.eq(0)));
    let statement = diesel::update(there).set(trash::removed_at.eq(at));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Drops the row of an entry. Returns whether it was there.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut Conn, id: i64) -> DbResult<bool> {
    let statement = diesel::delete(trash::table.filter(trash::id.eq(id)));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// A folder was renamed or moved: what was deleted from it comes from its new place now, and is under the rules there, as is
/// a folder of the same name that was deleted before.
///
/// # Errors
/// The database's.
pub async fn origin_moved(conn: &mut Conn, from: &ItemPath, to: &ItemPath) -> DbResult<()> {
    let (first, end) = below(from.as_str());
    let rest = from.as_str().chars().count() + 1;
    let sql = format!(
        "UPDATE dim.trash SET origin = $1 || substr(origin, {rest}) WHERE (origin >= $2 AND origin < $3) OR (origin = $4 AND kind = 'folder')"
    );
    either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(to.as_str())
        .bind::<Text, _>(first)
        .bind::<Text, _>(end)
        .bind::<Text, _>(from.as_str())
        .execute(c)
        .await)?;
    Ok(())
}
