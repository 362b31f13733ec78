//! The SQL of changes of object storage that have begun.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Note, Written};
use crate::clock;
use crate::db::schema::dim::stored_begun as table;
use crate::db::{Conn, Db, DbResult, either};
use crate::files::ItemPath;

type Row = (String, String, String, i64);

/// Writes a note down.
pub(super) async fn write(conn: &mut Conn, note: &Note, busy_until: i64) -> DbResult<()> {
    let written = Written {
        by: note.by.clone(),
        change: note.change.clone(),
    };
    let statement = diesel::insert_into(table::table).values((
        table::id.eq(&note.id),
        table::path.eq(note.path.as_str()),
        table::change.eq(serde_json::json!(written).to_string()),
        table::begun_at.eq(note.begun_at),
        table::busy_until.eq(busy_until),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// The notes that nobody is at work on, the oldest first: those whose time is over, and those begun before `ended`, when
/// all who worked then have ended.
pub(super) async fn left(conn: &mut Conn, ended: i64) -> DbResult<Vec<Note>> {
    let over = table::busy_until.lt(clock::now());
    let query = table::table
        .filter(over.or(table::begun_at.le(ended)))
        .order(table::begun_at)
        .select((table::id, table::path, table::change, table::begun_at));
    let rows: Vec<Row> = either!(conn, |c| query.load(c).await)?;
    Ok(rows.into_iter().filter_map(note).collect())
}

/// Those at this path.
pub(super) async fn left_at(conn: &mut Conn, path: &ItemPath) -> DbResult<Vec<Note>> {
    let query = table::table
        .filter(table::path.eq(path.as_str()))
        .filter(table::busy_until.lt(clock::now()))
        .order(table::begun_at)
        .select((table::id, table::path, table::change, table::begun_at));
    let rows: Vec<Row> = either!(conn, |c| query.load(c).await)?;
    Ok(rows.into_iter().filter_map(note).collect())
}

/// Whatever another program wrote into the table, only what can be read counts.
fn note((id, path, change, begun_at): Row) -> Option<Note> {
    let written: Option<Written> = serde_json::from_str(&change).ok();
    let path_of_note = ItemPath::parse(&path);
    if written.is_none() || path_of_note.is_none() {
        log::warn!("the note {id} of a change of {path} cannot be read");
    }
    let Written { by, change } = written?;
    Some(Note {
        id,
        path: path_of_note?,
        by,
        change,
        begun_at,
    })
}

/// Crosses a note out. Returns whether it was there.
pub(super) async fn cross_out_in(conn: &mut Conn, id: &str) -> DbResult<bool> {
    let statement = diesel::delete(table::table.filter(table::id.eq(id)));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Crosses out what nobody is at work on at this path.
pub(super) async fn cross_out_at(conn: &mut Conn, path: &ItemPath) -> DbResult<()> {
    let left = table::path
        .eq(path.as_str())
        .and(table::busy_until.lt(clock::now()));
    let statement = diesel::delete(table::table.filter(left));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Crosses a note out by itself.
pub(super) async fn cross_out(db: &Db, id: &str) -> DbResult<bool> {
    db.transaction(async |conn: &mut Conn| cross_out_in(conn, id).await)
        .await
}

/// Says that nobody is at work on it any more.
pub(super) async fn leave(db: &Db, id: &str) -> DbResult<()> {
    db.transaction(async |conn: &mut Conn| {
        let statement =
            diesel::update(table::table.filter(table::id.eq(id))).set(table::busy_until.eq(0));
        either!(conn, |c| statement.execute(c).await)?;
        Ok(())
    })
    .await
}

/// Whether it stands.
pub(super) async fn stands(db: &Db, id: &str) -> DbResult<bool> {
    let mut conn = db.conn().await?;
    let query = table::table.filter(table::id.eq(id)).count();
    let count: i64 = either!(&mut conn, |c| query.get_result(c).await)?;
    Ok(count > 0)
}
