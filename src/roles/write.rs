//! The SQL that writes roles, many rows as one value. Only `change` uses it, which tells the audit.

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{Grant, RoleRow};
use crate::db::{Conn, DbResult, either};

/// Writes rows of `dim.user_roles`, new or not. The table may be another program's, and without a key.
///
/// # Errors
/// The database's.
pub(super) async fn put_rows(conn: &mut Conn, rows: &[&RoleRow]) -> DbResult<()> {
    let table = conn.rows_of_json(&[("email", "text"), ("role", "text")]);
    let insert = format!(
        "INSERT INTO dim.user_roles (email, role) SELECT x.email, x.role FROM {table}
         WHERE NOT EXISTS (SELECT 1 FROM dim.user_roles r WHERE r.email = x.email) ON CONFLICT DO NOTHING"
    );
    // Second, so that a row which somebody else wrote a moment ago says the same.
    let update = format!(
        "UPDATE dim.user_roles AS r SET role = x.role FROM {table} WHERE r.email = x.email AND r.role <> x.role"
    );
    execute(conn, insert, json!(rows)).await?;
    execute(conn, update, json!(rows)).await
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
