//! The sealer: gives committed rows their place in the chain, every second, and counts them for the dashboard.
//! Every instance tries; the lock lets one at a time. Whoever writes a row does not wait for it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::chain::Link;
use super::store::Entry;
use super::{Action, came_to_the_end, daily};
use crate::clock;
use crate::db::schema::dim::{audit, audit_anchor, audit_seals, audit_unsealed};
use crate::db::{Conn, Db, DbResult, Lock, either};

/// Rows sealed in one transaction.
const BATCH: usize = 2000;

/// Seals all rows that wait. Returns how many; none while another instance is at it.
///
/// # Errors
/// The database's.
pub async fn seal(db: &Db) -> DbResult<usize> {
    let mut sealed = 0;
    loop {
        let mut conn = db.conn().await?;
        let waits = any_waits(&mut conn).await?;
        drop(conn);
        if !waits {
            return Ok(sealed);
        }
        let batch = db.transaction(seal_batch).await?;
        sealed += batch;
        if batch < BATCH {
            return Ok(sealed);
        }
    }
}

/// The newest link of the chain.
///
/// # Errors
/// The database's.
pub async fn head(conn: &mut Conn) -> DbResult<Link> {
    let newest = audit_seals::table
        .order(audit_seals::seq.desc())
        .select((audit_seals::seq, audit_seals::hash));
    let newest: Option<(i64, String)> = either!(&mut *conn, |c| newest.first(c).await.optional())?;
    match newest {
        Some((seq, hash)) => Ok(Link { seq, hash }),
        None => Ok(anchor(conn).await?.unwrap_or_else(Link::origin)),
    }
}

/// The last link that retention has removed; the chain goes on from there.
///
/// # Errors
/// The database's.
pub async fn anchor(conn: &mut Conn) -> DbResult<Option<Link>> {
    let query = audit_anchor::table.select((audit_anchor::seq, audit_anchor::hash));
    let found: Option<(i64, String)> = either!(conn, |c| query.first(c).await.optional())?;
    Ok(found.map(|(seq, hash)| Link { seq, hash }))
}

async fn any_waits(conn: &mut Conn) -> DbResult<bool> {
    let query = audit_unsealed::table.select(audit_unsealed::id).limit(1);
    let found: Option<i64> = either!(conn, |c| query.first(c).await.optional())?;
    Ok(found.is_some())
}

async fn seal_batch(conn: &mut Conn) -> DbResult<usize> {
    if !conn.try_lock(Lock::Seal).await? {
        return Ok(0);
    }
    // By id: identity values are handed out before a row is committed, so a later batch may hold smaller ones.
    let waiting = audit_unsealed::table
        .inner_join(audit::table.on(audit::id.eq(audit_unsealed::id)))
        .order(audit_unsealed::id)
        .select(audit::all_columns)
        .limit(i64::try_from(BATCH).unwrap_or(i64::MAX));
    let entries: Vec<Entry> = either!(&mut *conn, |c| waiting.load(c).await)?;
    let mut link = head(conn).await?;
    let mut seals = Vec::with_capacity(entries.len());
    for entry in &entries {
        link = link.next(entry);
        seals.push(json!({ "seq": link.seq, "id": entry.id, "hash": link.hash }));
    }
    write(conn, seals).await?;
    daily::add(conn, &counted(&entries)).await?;
    Ok(entries.len())
}

async fn write(conn: &mut Conn, seals: Vec<Value>) -> DbResult<()> {
    if seals.is_empty() {
        return Ok(());
    }
    let seals = Value::from(seals).to_string();
    let table = conn.rows_of_json(&[("seq", "bigint"), ("id", "bigint"), ("hash", "text")]);
    let insert = diesel::sql_query(format!(
        "INSERT INTO dim.audit_seals (seq, id, hash) SELECT seq, id, hash FROM {table}"
    ))
    .bind::<Text, _>(&seals);
    either!(&mut *conn, |c| insert.execute(c).await)?;
    let delete = diesel::sql_query(format!(
        "DELETE FROM dim.audit_unsealed WHERE id IN (SELECT x.id FROM {table})"
    ))
    .bind::<Text, _>(&seals);
    either!(conn, |c| delete.execute(c).await)?;
    Ok(())
}

/// What the rows add to the daily figures: (fact, day, name) to events and bytes. A download counts by its end, as it
/// does for the file's own number; the bytes of all its parts are added up.
fn counted(entries: &[Entry]) -> BTreeMap<daily::Key, daily::Sum> {
    let mut sums: BTreeMap<daily::Key, daily::Sum> = BTreeMap::new();
    let mut add = |fact: &'static str, entry: &Entry, name: &str, events: i64| {
        let sum = sums
            .entry(daily::key(fact, clock::day(entry.at), name))
            .or_default();
        sum.events += events;
        sum.bytes = sum.bytes.saturating_add(entry.bytes.unwrap_or(0));
    };
    for entry in entries {
        if entry.action != Action::Downloaded.as_str() {
            add(daily::ACTION, entry, &entry.action, 1);
            continue;
        }
        let events = i64::from(is_whole(entry));
        add(daily::ACTION, entry, &entry.action, events);
        add(daily::FILE, entry, &entry.subject, events);
        add(daily::PERSON, entry, &entry.actor, events);
    }
    sums
}

fn is_whole(entry: &Entry) -> bool {
    let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    came_to_the_end(&entry.outcome, detail["range"].as_str())
}
