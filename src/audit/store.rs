//! The SQL of the audit.

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Actor, Event};
use crate::db::schema::dim::audit;
use crate::db::{Conn, DbResult, SqliteConnection, either};

/// Rows in one statement.
const AT_ONCE: usize = 256;

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

/// Writes many events down, in their order, with as few trips as the database allows.
///
/// # Errors
/// The database's.
pub async fn record_all(conn: &mut Conn, told: Arc<Vec<(Actor, Event)>>) -> DbResult<()> {
    let insert = diesel::insert_into(audit::table);
    match conn {
        Conn::Postgres(object) => {
            let conn: &mut AsyncPgConnection = object;
            for some in told.chunks(AT_ONCE) {
                insert.values(rows(some)).execute(conn).await?;
            }
        }
        Conn::Sqlite(object) => {
            let conn: &mut SqliteConnection = object;
            let all = move |conn: &mut diesel::SqliteConnection| {
                for some in told.chunks(AT_ONCE) {
                    diesel::RunQueryDsl::execute(insert.values(rows(some)), conn)?;
                }
                Ok(())
            };
            conn.spawn_blocking(all).await?;
        }
    }
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

fn rows(told: &[(Actor, Event)]) -> Vec<NewRow<'_>> {
    told.iter().map(|(actor, event)| row(actor, event)).collect()
}

fn row<'a>(actor: &'a Actor, event: &'a Event) -> NewRow<'a> {
    NewRow {
        at: event.at,
        actor: &actor.name,
        action: event.action.as_str(),
        subject: &event.subject,
        outcome: &event.outcome,
        bytes: event.bytes,
        reference: actor.reference.as_deref(),
        address: actor.address.as_deref(),
        detail: serde_json::Value::Object(event.detail.clone()).to_string(),
    }
}
