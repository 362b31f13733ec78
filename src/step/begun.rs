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
    /// When it was made, microseconds since 1970 UTC; 0 as long as it was not, and less when it was given up, that long ago.
    pub done_at: i64,
}

impl Begun {
    /// When others gave it up. Only whoever wrote it down, and stood still since, may still want to know.
    pub fn given_up_at(&self) -> Option<i64> {
        (self.done_at < 0).then(|| self.done_at.saturating_neg())
    }
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

/// Crosses a note out, whatever it says.
///
/// # Errors
/// The database's.
pub async fn cross_out(conn: &mut Conn, id: &str) -> DbResult<()> {
    let statement = diesel::delete(moves_begun::table.filter(moves_begun::id.eq(id)));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Crosses the note of a change out that is being made. Returns whether nobody else has settled it.
///
/// # Errors
/// The database's.
pub async fn end(conn: &mut Conn, id: &str) -> DbResult<bool> {
    let open = moves_begun::id.eq(id).and(moves_begun::done_at.eq(0));
    let statement = diesel::delete(moves_begun::table.filter(open));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// As [`end`], when what the change replaced is still to be removed.
///
/// # Errors
/// The database's.
pub async fn mark_done(conn: &mut Conn, id: &str) -> DbResult<bool> {
    mark(conn, id, clock::now()).await
}

/// Says that the change is not to be made any more. The note stays for whoever wrote it down.
///
/// # Errors
/// The database's.
pub async fn give_up(conn: &mut Conn, id: &str) -> DbResult<()> {
    mark(conn, id, -clock::now()).await.map(drop)
}

async fn mark(conn: &mut Conn, id: &str, done_at: i64) -> DbResult<bool> {
    let open = moves_begun::id.eq(id).and(moves_begun::done_at.eq(0));
    let statement =
        diesel::update(moves_begun::table.filter(open)).set(moves_begun::done_at.eq(done_at));
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
