//! What is known of an address beyond its role (whose it is, when the role ends) goes with its last role row, whoever
//! deleted that. It goes after the change was committed: a program that rewrites the table in one transaction, as
//! nightly jobs do, takes nothing away.

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use serde_json::json;

use crate::db::{Conn, DbResult, either};

const TABLES: [&str; 2] = ["bindings", "grants"];

#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = Text)]
    email: String,
}

/// Forgets it for these addresses (lower case), or for all, as far as they have no row. Returns how many rows went.
///
/// # Errors
/// The database's.
pub async fn release(conn: &mut Conn, emails: Option<&[String]>) -> DbResult<usize> {
    let mut released = 0;
    for table in TABLES {
        // Looked for first: on SQLite a deletion takes the write lock even when there is nothing to delete.
        let found = orphans(conn, table, emails).await?;
        if !found.is_empty() {
            released += forget(conn, table, &found).await?;
        }
    }
    Ok(released)
}

async fn orphans(conn: &mut Conn, table: &str, emails: Option<&[String]>) -> DbResult<Vec<Orphan>> {
    let without_role = without_role(conn);
    let select = format!("SELECT t.email FROM dim.{table} t WHERE {without_role}");
    let Some(emails) = emails else {
        let query = diesel::sql_query(select);
        return Ok(either!(conn, |c| query.load(c).await)?);
    };
    let these = conn.rows_of_json(&[("email", "text")]);
    let query = format!("{select} AND t.email IN (SELECT x.email FROM {these})");
    let query = diesel::sql_query(query).bind::<Text, _>(rows(emails.iter()));
    Ok(either!(conn, |c| query.load(c).await)?)
}

async fn forget(conn: &mut Conn, table: &str, found: &[Orphan]) -> DbResult<usize> {
    let (these, without_role) = (conn.rows_of_json(&[("email", "text")]), without_role(conn));
    let statement = format!(
        "DELETE FROM dim.{table} WHERE email IN
         (SELECT t.email FROM dim.{table} t WHERE t.email IN (SELECT x.email FROM {these}) AND {without_role})"
    );
    let rows = rows(found.iter().map(|orphan| &orphan.email));
    let statement = diesel::sql_query(statement).bind::<Text, _>(rows);
    Ok(either!(conn, |c| statement.execute(c).await)?)
}

fn without_role(conn: &Conn) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM dim.user_roles r WHERE {} = t.email)",
        conn.email_key("r.email")
    )
}

fn rows<'a>(emails: impl Iterator<Item = &'a String>) -> String {
    let rows: Vec<_> = emails.map(|email| json!({ "email": email })).collect();
    json!(rows).to_string()
}
