//! Counts a day, so that the dashboard does not read the audit itself. The sealer adds each row once, when it seals it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::db::schema::dim::audit_daily;
use crate::db::{Conn, DbResult, either};

/// Counts by what happened.
pub const ACTION: &str = "action";
/// Downloads by file.
pub const FILE: &str = "file";
/// Downloads by person.
pub const PERSON: &str = "person";

/// Paths may be longer than an index entry can be; what agrees so far is counted together.
const LONGEST_NAME: usize = 200;
/// The dashboard looks back 90 days; files and people are not counted for longer than it needs.
const KEPT_DAYS: i64 = 100;

/// Fact, day since 1970 (UTC), name.
pub type Key = (&'static str, i64, String);

/// How often, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Events; of downloads those that came to the file's end.
    pub events: i64,
    /// Bytes sent or stored.
    pub bytes: i64,
}

/// Figures of one day.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Daily {
    /// Since 1970 (UTC).
    pub day: i64,
    /// The action.
    pub name: String,
    /// Events.
    pub events: i64,
    /// Bytes sent or stored.
    pub bytes: i64,
}

/// A name with its figures over several days.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Top {
    /// Path or address.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Downloads.
    #[diesel(sql_type = BigInt)]
    pub events: i64,
    /// Bytes sent.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    /// How many figures were added up to know all names'.
    #[diesel(sql_type = BigInt)]
    pub figures: i64,
}

/// The key of a figure.
pub fn key(fact: &'static str, day: i64, name: &str) -> Key {
    (fact, day, name.chars().take(LONGEST_NAME).collect())
}

/// Adds to the figures.
///
/// # Errors
/// The database's.
pub async fn add(conn: &mut Conn, sums: &BTreeMap<Key, Sum>) -> DbResult<()> {
    if sums.is_empty() {
        return Ok(());
    }
    let rows: Value = sums
        .iter()
        .map(|((fact, day, name), sum)| {
            json!({ "fact": fact, "day": day, "name": name, "events": sum.events, "bytes": sum.bytes })
        })
        .collect();
    let table = conn.rows_of_json(&[
        ("fact", "text"),
        ("day", "bigint"),
        ("name", "text"),
        ("events", "bigint"),
        ("bytes", "bigint"),
    ]);
    let statement = diesel::sql_query(format!(
        "INSERT INTO dim.audit_daily AS d (fact, day, name, events, bytes)
         SELECT fact, day, name, events, bytes FROM {table} WHERE true
         ON CONFLICT (fact, day, name) DO UPDATE SET events = d.events + excluded.events, bytes = d.bytes + excluded.bytes"
    ))
    .bind::<Text, _>(rows.to_string());
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// What happened on each day from `first` (since 1970, UTC) on.
///
/// # Errors
/// The database's.
pub async fn actions(conn: &mut Conn, first: i64) -> DbResult<Vec<Daily>> {
    let query = audit_daily::table
        .filter(audit_daily::fact.eq(ACTION).and(audit_daily::day.ge(first)))
        .order((audit_daily::day, audit_daily::name))
        .select((
            audit_daily::day,
            audit_daily::name,
            audit_daily::events,
            audit_daily::bytes,
        ));
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The names with most downloads from day `first` on, by [`FILE`] or [`PERSON`].
///
/// # Errors
/// The database's.
pub async fn top(conn: &mut Conn, fact: &str, first: i64, limit: i64) -> DbResult<Vec<Top>> {
    let query = diesel::sql_query(
        "SELECT name, CAST(sum(events) AS BIGINT) AS events, CAST(sum(bytes) AS BIGINT) AS bytes,
                CAST(sum(count(*)) OVER () AS BIGINT) AS figures FROM dim.audit_daily
         WHERE fact = $1 AND day >= $2 GROUP BY name HAVING sum(events) > 0 ORDER BY 2 DESC, 3 DESC, 1 LIMIT $3",
    )
    .bind::<Text, _>(fact)
    .bind::<BigInt, _>(first)
    .bind::<BigInt, _>(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Forgets files and people of days that the dashboard does not show any more, and everything before `oldest`.
/// Days count since 1970 (UTC).
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut Conn, today: i64, oldest: Option<i64>) -> DbResult<()> {
    let personal = audit_daily::fact.eq_any([FILE, PERSON]);
    let statement = diesel::delete(
        audit_daily::table.filter(
            personal
                .and(audit_daily::day.lt(today - KEPT_DAYS))
                .or(audit_daily::day.lt(oldest.unwrap_or(i64::MIN))),
        ),
    );
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}
