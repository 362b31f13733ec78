//! What the index says of itself, and what keeps it from growing for ever: rows of missing files wait for thirty days.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::store::below;
use crate::clock;
use crate::db::schema::dim::{folders, index_state, items};
use crate::db::{Conn, DbResult, either};

/// Rows of files that are missing for longer are dropped, with title, owner and count.
const KEPT_MISSING: i64 = 30 * 86_400 * clock::SECOND;
/// Rows that one statement changes at most, so that none takes long.
const CHUNK: i64 = 5_000;

/// The one row of `dim.index_state`.
#[derive(Debug, Clone, Queryable)]
pub struct State {
    /// Which directory the index was made of; see [`crate::files::look::identity`].
    pub root: Option<String>,
    /// When everything was last read, microseconds since 1970 UTC.
    pub scanned_at: Option<i64>,
    /// What is wrong, a sentence for the operator.
    pub warning: Option<String>,
}

/// How the index is.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn) -> DbResult<State> {
    let query = index_state::table.select((
        index_state::root,
        index_state::scanned_at,
        index_state::warning,
    ));
    Ok(either!(conn, |c| query.first(c).await)?)
}

/// Writes down which directory the index is made of.
///
/// # Errors
/// The database's.
pub(super) async fn set_root(conn: &mut Conn, root: &str) -> DbResult<()> {
    let statement = diesel::update(index_state::table).set((
        index_state::root.eq(root),
        index_state::warning.eq(None::<String>),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Writes down what is wrong.
///
/// # Errors
/// The database's.
pub(super) async fn warn(conn: &mut Conn, warning: &str) -> DbResult<()> {
    let statement = diesel::update(index_state::table).set(index_state::warning.eq(warning));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Writes down that everything was read.
///
/// # Errors
/// The database's.
pub(super) async fn scanned(conn: &mut Conn) -> DbResult<()> {
    let statement = diesel::update(index_state::table).set((
        index_state::scanned_at.eq(clock::now()),
        index_state::warning.eq(None::<String>),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// How many files there are.
///
/// # Errors
/// The database's.
pub async fn files(conn: &mut Conn) -> DbResult<i64> {
    let query = items::table.filter(items::missing_since.eq(0)).count();
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Paths of some files that should be there: the first and the last that were found.
///
/// # Errors
/// The database's.
pub(super) async fn sample(conn: &mut Conn, half: i64) -> DbResult<Vec<String>> {
    let known = items::table
        .filter(items::missing_since.eq(0))
        .select(items::path)
        .limit(half);
    let first = known.order(items::id);
    let last = known.order(items::id.desc());
    let mut paths: Vec<String> = either!(&mut *conn, |c| first.load(c).await)?;
    paths.extend(either!(conn, |c| last.load::<String>(c).await)?);
    Ok(paths)
}

/// Marks all files below `folder` (empty: all there are) as missing.
///
/// # Errors
/// The database's.
pub async fn missing_below(conn: &mut Conn, folder: &str) -> DbResult<()> {
    let (from, to) = match folder {
        "" => (String::new(), "\u{10ffff}".to_owned()),
        folder => below(folder),
    };
    loop {
        let inside = items::path.ge(&from).and(items::path.lt(&to));
        let some = items::table
            .filter(items::missing_since.eq(0).and(inside))
            .order(items::path)
            .limit(CHUNK)
            .select(items::id);
        let ids: Vec<i64> = either!(&mut *conn, |c| some.load(c).await)?;
        if ids.is_empty() {
            return Ok(());
        }
        for ids in ids.chunks(500) {
            let statement = diesel::update(items::table.filter(items::id.eq_any(ids)))
                .set(items::missing_since.eq(clock::now()));
            either!(&mut *conn, |c| statement.execute(c).await)?;
        }
    }
}

/// Forgets which files and folders are there, so that the next scan begins anew. What was said about files stays for
/// thirty days.
///
/// # Errors
/// The database's.
pub async fn reset(conn: &mut Conn) -> DbResult<()> {
    missing_below(conn, "").await?;
    either!(&mut *conn, |c| diesel::delete(folders::table)
        .execute(c)
        .await)?;
    let statement = diesel::update(index_state::table).set((
        index_state::root.eq(None::<String>),
        index_state::scanned_at.eq(None::<i64>),
        index_state::warning.eq(None::<String>),
    ));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Drops the rows of files that are missing for longer than thirty days. Returns how many.
///
/// # Errors
/// The database's.
pub async fn drop_missing(conn: &mut Conn) -> DbResult<usize> {
    let before = clock::now() - KEPT_MISSING;
    let old = items::missing_since
        .gt(0)
        .and(items::missing_since.lt(before));
    let statement = diesel::delete(items::table.filter(old));
    Ok(either!(conn, |c| statement.execute(c).await)?)
}
