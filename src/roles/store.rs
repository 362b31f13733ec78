//! The SQL of roles, and of the one look-up that says who a session is and what they may do.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::RoleRow;
use super::bindings::Account;
use crate::db::schema::dim::user_roles;
use crate::db::{Conn, DbResult, either};

/// A session's row with the role rows of its person.
#[derive(Debug, Clone)]
pub struct SessionAndRoles {
    /// Lower-case address that the session belongs to.
    pub email: String,
    /// Display name, where Entra told one.
    pub name: Option<String>,
    /// When it began, microseconds since 1970 UTC.
    pub started_at: i64,
    /// Whether it was ended.
    pub ended: bool,
    /// The matching rows of `dim.user_roles`.
    pub rows: Vec<RoleRow>,
    /// The account that signed in.
    pub account: Account,
    /// The account that the address is bound to, if any.
    pub bound_to: Option<Account>,
    /// When the role ends, microseconds since 1970 UTC.
    pub ends_at: Option<i64>,
}

#[derive(QueryableByName)]
struct Joined {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = BigInt)]
    started_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    ended_at: Option<i64>,
    #[diesel(sql_type = Text)]
    tid: String,
    #[diesel(sql_type = Text)]
    oid: String,
    #[diesel(sql_type = Nullable<Text>)]
    bound_tid: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    bound_oid: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    ends_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    row_email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    role: String,
}

/// The session with that id, and its person's role rows, in one query.
///
/// # Errors
/// The database's.
pub async fn session_and_roles(conn: &mut Conn, id: &str) -> DbResult<Option<SessionAndRoles>> {
    let sql = format!(
        "SELECT s.email, s.name, s.started_at, s.ended_at, s.tid, s.oid, b.tid AS bound_tid, b.oid AS bound_oid,
                g.ends_at, r.email AS row_email, r.role
         FROM dim.sessions s LEFT JOIN dim.user_roles r ON {} = s.email
         LEFT JOIN dim.bindings b ON b.email = s.email LEFT JOIN dim.grants g ON g.email = s.email WHERE s.id = $1",
        conn.email_key("r.email")
    );
    let joined: Vec<Joined> = either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(id)
        .load(c)
        .await)?;
    let [first, ..] = joined.as_slice() else {
        return Ok(None);
    };
    Ok(Some(SessionAndRoles {
        email: first.email.clone(),
        name: first.name.clone(),
        started_at: first.started_at,
        ended: first.ended_at.is_some(),
        ends_at: first.ends_at,
        account: Account {
            tid: first.tid.clone(),
            oid: first.oid.clone(),
        },
        bound_to: first
            .bound_tid
            .clone()
            .zip(first.bound_oid.clone())
            .map(|(tid, oid)| Account { tid, oid }),
        rows: joined
            .into_iter()
            .filter_map(|row| {
                Some(RoleRow {
                    email: row.row_email?,
                    role: row.role?,
                })
            })
            .collect(),
    }))
}

/// The role rows of an address, in lower case.
///
/// # Errors
/// The database's.
pub async fn rows_of(conn: &mut Conn, email: &str) -> DbResult<Vec<RoleRow>> {
    let sql = format!(
        "SELECT email, role FROM dim.user_roles WHERE {} = $1",
        conn.email_key("email")
    );
    let rows: Vec<Row> = either!(conn, |c| diesel::sql_query(sql)
        .bind::<Text, _>(email)
        .load(c)
        .await)?;
    Ok(rows.into_iter().map(RoleRow::from).collect())
}

/// The first `limit` rows by address, and how many there are.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut Conn, limit: i64) -> DbResult<(Vec<RoleRow>, i64)> {
    let query = user_roles::table
        .select((user_roles::email, user_roles::role))
        .order(user_roles::email)
        .limit(limit);
    let rows: Vec<(String, String)> = either!(&mut *conn, |c| query.load(c).await)?;
    let count = either!(conn, |c| user_roles::table.count().get_result(c).await)?;
    let rows = rows
        .into_iter()
        .map(|(email, role)| RoleRow { email, role })
        .collect();
    Ok((rows, count))
}

/// How many people hold each role value, known or not.
///
/// # Errors
/// The database's.
pub async fn counts(conn: &mut Conn) -> DbResult<Vec<(String, i64)>> {
    let query = user_roles::table
        .group_by(user_roles::role)
        .select((user_roles::role, diesel::dsl::count_star()))
        .order(user_roles::role);
    Ok(either!(conn, |c| query.load(c).await)?)
}

impl From<Row> for RoleRow {
    fn from(row: Row) -> Self {
        Self {
            email: row.email,
            role: row.role,
        }
    }
}
