//! The SQL that reads holdings: the rows of an address together with what the portal knows beyond them.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use super::store::rows_of;
use super::{Grant, Holding, RoleRow};
use crate::db::schema::dim::grants;
use crate::db::{Conn, DbResult, either};

/// Everything that the tables say of the role of an address, in lower case.
///
/// # Errors
/// The database's.
pub async fn holding(conn: &mut Conn, email: &str) -> DbResult<Holding> {
    let rows = rows_of(conn, email).await?;
    let query = grants::table.filter(grants::email.eq(email)).select((
        grants::role,
        grants::ends_at,
        grants::note,
        grants::granted_by,
        grants::granted_at,
    ));
    let grant: Option<GrantRow> = either!(conn, |c| query.first(c).await.optional())?;
    Ok(Holding {
        rows,
        grant: grant.map(Grant::from),
    })
}

type GrantRow = (String, Option<i64>, Option<String>, String, i64);

/// The holdings of everybody, by address in lower case.
///
/// # Errors
/// The database's.
pub async fn holdings(conn: &mut Conn) -> DbResult<BTreeMap<String, Holding>> {
    let sql = format!(
        "SELECT {} AS key, email, role FROM dim.user_roles",
        conn.email_key("email")
    );
    let rows: Vec<KeyedRow> = either!(&mut *conn, |c| diesel::sql_query(sql).load(c).await)?;
    let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
    for KeyedRow { key, email, role } in rows {
        let row = RoleRow { email, role };
        holdings.entry(key).or_default().rows.push(row);
    }
    let query = grants::table.select((
        grants::email,
        (
            grants::role,
            grants::ends_at,
            grants::note,
            grants::granted_by,
            grants::granted_at,
        ),
    ));
    let known: Vec<(String, GrantRow)> = either!(conn, |c| query.load(c).await)?;
    for (email, grant) in known {
        if let Some(holding) = holdings.get_mut(&email) {
            holding.grant = Some(grant.into());
        }
    }
    Ok(holdings)
}

/// Roles that end before `end` (microseconds since 1970 UTC), the next first: address, role, end.
///
/// # Errors
/// The database's.
pub async fn ending(conn: &mut Conn, end: i64, limit: i64) -> DbResult<Vec<(String, String, i64)>> {
    let query = grants::table
        .filter(grants::ends_at.lt(end))
        .order((grants::ends_at, grants::email))
        .select((
            grants::email,
            grants::role,
            grants::ends_at.assume_not_null(),
        ))
        .limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The addresses that are admins for good, as [`Holding::is_lasting_admin`] says.
///
/// # Errors
/// The database's.
pub async fn lasting_admins(conn: &mut Conn) -> DbResult<Vec<String>> {
    let (key, row_key) = (conn.email_key("email"), conn.email_key("r.email"));
    let sql = format!(
        "SELECT {row_key} AS key, r.email, r.role FROM dim.user_roles r
         WHERE {row_key} IN (SELECT {key} FROM dim.user_roles WHERE role = 'admin')
           AND NOT EXISTS (SELECT 1 FROM dim.grants g WHERE g.email = {row_key} AND g.ends_at IS NOT NULL)"
    );
    let rows: Vec<KeyedRow> = either!(conn, |c| diesel::sql_query(sql).load(c).await)?;
    let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
    for KeyedRow { key, email, role } in rows {
        let row = RoleRow { email, role };
        holdings.entry(key).or_default().rows.push(row);
    }
    holdings.retain(|email, holding| holding.is_lasting_admin(email));
    Ok(holdings.into_keys().collect())
}

#[derive(QueryableByName)]
struct KeyedRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    role: String,
}

impl From<GrantRow> for Grant {
    fn from((role, ends_at, note, granted_by, granted_at): GrantRow) -> Self {
        Self {
            role,
            ends_at,
            note,
            granted_by,
            granted_at,
        }
    }
}
