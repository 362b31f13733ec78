//! The SQL of roles, and of the one look-up that says who a session is and what they may do.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::bindings::Account;
use super::{Grant, Holding, RoleRow};
use crate::db::schema::dim::{grants, user_roles};
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

/// Writes rows of `dim.user_roles`, new or not.
///
/// # Errors
/// The database's.
pub(super) async fn put_rows(conn: &mut Conn, rows: &[&RoleRow]) -> DbResult<()> {
    let table = conn.rows_of_json(&[("email", "text"), ("role", "text")]);
    let sql = format!(
        "INSERT INTO dim.user_roles (email, role) SELECT email, role FROM {table} WHERE true
         ON CONFLICT (email) DO UPDATE SET role = excluded.role"
    );
    execute(conn, sql, json!(rows)).await
}

/// Deletes rows of `dim.user_roles`, spelled exactly so.
///
/// # Errors
/// The database's.
pub(super) async fn delete_rows(conn: &mut Conn, rows: &[&RoleRow]) -> DbResult<()> {
    let table = conn.rows_of_json(&[("email", "text")]);
    let sql = format!("DELETE FROM dim.user_roles WHERE email IN (SELECT x.email FROM {table})");
    execute(conn, sql, json!(rows)).await
}

/// Writes rows of `dim.grants`, new or not.
///
/// # Errors
/// The database's.
pub(super) async fn put_grants(conn: &mut Conn, grants: &[(&str, &Grant)]) -> DbResult<()> {
    const COLUMNS: [(&str, &str); 6] = [
        ("email", "text"),
        ("role", "text"),
        ("ends_at", "bigint"),
        ("note", "text"),
        ("granted_by", "text"),
        ("granted_at", "bigint"),
    ];
    let rows: Value = grants
        .iter()
        .map(|(email, grant)| {
            let mut row = json!(grant);
            row["email"] = json!(email);
            row
        })
        .collect();
    let names = COLUMNS.map(|(name, _)| name);
    let table = conn.rows_of_json(&COLUMNS);
    let sql = format!(
        "INSERT INTO dim.grants ({names}) SELECT {names} FROM {table} WHERE true
         ON CONFLICT (email) DO UPDATE SET {set}",
        names = names.join(", "),
        set = names[1..]
            .iter()
            .map(|name| format!("{name} = excluded.{name}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    execute(conn, sql, rows).await
}

/// Deletes rows of `dim.grants`, by address in lower case.
///
/// # Errors
/// The database's.
pub(super) async fn delete_grants(conn: &mut Conn, emails: &[&str]) -> DbResult<()> {
    let table = conn.rows_of_json(&[("email", "text")]);
    let sql = format!("DELETE FROM dim.grants WHERE email IN (SELECT x.email FROM {table})");
    let rows = emails.iter().map(|email| json!({ "email": email }));
    execute(conn, sql, rows.collect()).await
}

/// Runs SQL over a JSON array; nothing to do for an empty one.
async fn execute(conn: &mut Conn, sql: String, rows: Value) -> DbResult<()> {
    if rows.as_array().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let statement = diesel::sql_query(sql).bind::<Text, _>(rows.to_string());
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
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

impl From<Row> for RoleRow {
    fn from(row: Row) -> Self {
        Self {
            email: row.email,
            role: row.role,
        }
    }
}
