//! The SQL of changes that have begun and are not known to be finished.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Step;
use crate::clock;
use crate::db::schema::dim::moves_begun;
use crate::db::{Conn, DbResult, either};

/// A change that was written down; the fields are in the order of the table's columns.
#[derive(Debug, Clone, Queryable)]
pub struct Begun {
    /// Key of the note.
    pub id: String,
    /// Where it was.
    pub source: String,
    /// Where it was to be.
    pub target: String,
    /// Which file or folder it is.
    pub inode: String,
    /// When, microseconds since 1970 UTC.
    pub begun_at: i64,
    /// The second name of what it replaces.
    pub aside: Option<String>,
    /// When it was made, microseconds since 1970 UTC; 0 as long as it was not.
    pub done_at: i64,
}

/// Writes a change down under a random key.
///
/// # Errors
/// The database's.
pub async fn note(conn: &mut Conn, id: &str, step: &Step) -> DbResult<()> {
    let statement = diesel::insert_into(moves_begun::table).values((
        moves_begun::id.eq(id),
        moves_begun::source.eq(&step.from),
        moves_begun::target.eq(&step.to),
        moves_begun::inode.eq(step.inode.to_string()),
        moves_begun::begun_at.eq(clock::now()),
        moves_begun::aside.eq(&step.aside),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Crosses a note out. Returns whether it was there.
///
/// # Errors
/// The database's.
pub async fn cross_out(conn: &mut Conn, id: &str) -> DbResult<bool> {
    let statement = diesel::delete(moves_begun::table.filter(moves_begun::id.eq(id)));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Says that the change was made, and that what it replaced is still to be removed. Returns whether the note was there.
///
/// # Errors
/// The database's.
pub async fn mark_done(conn: &mut Conn, id: &str) -> DbResult<bool> {
    let statement = diesel::update(moves_begun::table.filter(moves_begun::id.eq(id)))
        .set(moves_begun::done_at.eq(clock::now()));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// The notes that stand, the oldest first.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut Conn) -> DbResult<Vec<Begun>> {
    let query = moves_begun::table.order(moves_begun::begun_at);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// One note, if it stands.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn, id: &str) -> DbResult<Option<Begun>> {
    let query = moves_begun::table.filter(moves_begun::id.eq(id));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}
