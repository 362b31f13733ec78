//! The SQL of the audit.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Actor, Event};
use crate::db::schema::dim::audit;
use crate::db::{Conn, DbResult, either};

/// Longer than any path that a file can have, in bytes.
const LONGEST_SUBJECT: usize = 4_096;

#[derive(Insertable)]
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
#[derive(Debug, Clone, Queryable)]
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

/// The newest rows, newest first.
///
/// # Errors
/// The database's.
pub async fn newest(conn: &mut Conn, limit: i64) -> DbResult<Vec<Entry>> {
    let query = audit::table.order(audit::id.desc()).limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

fn row<'a>(actor: &'a Actor, event: &'a Event) -> NewRow<'a> {
    NewRow {
        at: event.at,
        actor: &actor.name,
        action: event.action.as_str(),
        subject: beginning(&event.subject),
        outcome: &event.outcome,
        bytes: event.bytes,
        reference: actor.reference.as_deref(),
        address: actor.address.as_deref(),
        detail: serde_json::Value::Object(event.detail.clone()).to_string(),
    }
}

/// A path may be as long as a request allows; its beginning tells as much.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_SUBJECT)]
}
