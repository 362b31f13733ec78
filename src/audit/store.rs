//! The SQL of the audit.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::json;

use super::chain::Link;
use super::{Action, Actor, Event};
use crate::db::schema::dim::{audit, audit_seals};
use crate::db::{Conn, DbResult, either};

/// An index holds the name, and an entry of it cannot be longer. Addresses have at most 254 bytes (RFC 5321).
const LONGEST_NAME: usize = 254;
/// Longer than any path that a file can have, in bytes.
const LONGEST_SUBJECT: usize = 4_096;

#[derive(Insertable, Serialize)]
#[diesel(table_name = audit)]
struct NewRow<'a> {
    at: i64,
    actor: &'a str,
    action: &'static str,
    subject: &'a str,
    outcome: &'a str,
    bytes: Option<i64>,
    reference: Option<&'a str>,
    address: Option<&'a str>,
    detail: String,
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = audit)]
pub struct Entry {
    /// Grows with every row.
    pub id: i64,
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// Lower-case address, `command line`, `portal`, or empty where nobody was signed in.
    pub actor: String,
    /// See [`super::Action`].
    pub action: String,
    /// Whom or what it happened to.
    pub subject: String,
    /// How it ended, in one word.
    pub outcome: String,
    /// Bytes sent or stored.
    pub bytes: Option<i64>,
    /// The reference number that the person was shown.
    pub reference: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// Further facts, a JSON object.
    pub detail: String,
}

/// Writes `event` down on `conn`, so in the transaction of the change that it tells.
///
/// # Errors
/// The database's.
pub async fn record(conn: &mut Conn, actor: &Actor, event: &Event) -> DbResult<()> {
    let statement = diesel::insert_into(audit::table).values(row(actor, event));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Writes several events of one actor down in one go, in their order.
///
/// # Errors
/// The database's.
pub async fn record_all(conn: &mut Conn, actor: &Actor, events: &[Event]) -> DbResult<()> {
    put(conn, events.iter().map(|event| row(actor, event)).collect()).await
}

/// Writes several events down in one go, in their order, each with who did it.
///
/// # Errors
/// The database's.
pub async fn record_told(conn: &mut Conn, told: &[(Actor, Event)]) -> DbResult<()> {
    let rows = told.iter().map(|(actor, event)| row(actor, event));
    put(conn, rows.collect()).await
}

async fn put(conn: &mut Conn, rows: Vec<NewRow<'_>>) -> DbResult<()> {
    const COLUMNS: [(&str, &str); 9] = [
        ("at", "bigint"),
        ("actor", "text"),
        ("action", "text"),
        ("subject", "text"),
        ("outcome", "text"),
        ("bytes", "bigint"),
        ("reference", "text"),
        ("address", "text"),
        ("detail", "text"),
    ];
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    let table = conn.rows_of_json(&COLUMNS);
    let sql = format!("INSERT INTO dim.audit ({names}) SELECT {names} FROM {table}");
    let statement = diesel::sql_query(sql).bind::<Text, _>(json!(rows).to_string());
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// The newest rows, newest first.
///
/// # Errors
/// The database's.
pub async fn newest(conn: &mut Conn, limit: i64) -> DbResult<Vec<Entry>> {
    let query = audit::table.order(audit::id.desc()).limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The newest changes of the role of an address, newest first.
///
/// # Errors
/// The database's.
pub async fn role_changes(conn: &mut Conn, email: &str, limit: i64) -> DbResult<Vec<Entry>> {
    let changes = [
        Action::RoleGranted,
        Action::RoleRevoked,
        Action::RoleTidied,
        Action::RoleEnded,
    ]
    .map(Action::as_str);
    let indexed = conn.bytewise("substr(subject, 1, 200)");
    let beginning: String = email.chars().take(200).collect();
    let query = audit::table
        .filter(sql::<Bool>(&format!("{indexed} = ")).bind::<Text, _>(beginning))
        .filter(audit::subject.eq(email))
        .filter(audit::action.eq_any(changes))
        .order((audit::at.desc(), audit::id.desc()))
        .limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The next rows of the chain after place `seq`, in its order; a thousand at most.
///
/// # Errors
/// The database's.
pub async fn sealed_after(conn: &mut Conn, seq: i64) -> DbResult<Vec<(Link, Entry)>> {
    let query = audit_seals::table
        .inner_join(audit::table.on(audit::id.eq(audit_seals::id)))
        .filter(audit_seals::seq.gt(seq))
        .order(audit_seals::seq)
        .select((audit_seals::seq, audit_seals::hash, audit::all_columns))
        .limit(1000);
    let rows: Vec<(i64, String, Entry)> = either!(conn, |c| query.load(c).await)?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(seq, hash, entry)| (Link { seq, hash }, entry))
        .collect())
}

/// The beginning of a text that a request may make as long as it likes.
fn cut(text: &str, longest: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    &text[..ends.take_while(|end| *end <= longest).last().unwrap_or(0)]
}

fn row<'a>(actor: &'a Actor, event: &'a Event) -> NewRow<'a> {
    NewRow {
        at: event.at,
        actor: cut(&actor.name, LONGEST_NAME),
        action: event.action.as_str(),
        subject: cut(&event.subject, LONGEST_SUBJECT),
        outcome: &event.outcome,
        bytes: event.bytes,
        reference: actor.reference.as_deref(),
        address: actor.address.as_deref(),
        detail: serde_json::Value::Object(event.detail.clone()).to_string(),
    }
}
