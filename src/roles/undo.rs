//! Takes back what a row of the audit tells: a role that was given or removed, or all of an import.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Deserialize;

use super::bindings::Account;
use super::change::Change;
use super::plan::Plan;
use super::{Grant, Holding, RoleRow, has_ended, holdings as stored};
use crate::audit::Action;
use crate::audit::store::Entry;
use crate::clock;
use crate::db::schema::dim::audit;
use crate::db::{Conn, DbResult, either};

/// What is done under one reference is done within this time; references may come round again after years.
const AROUND: i64 = 3600 * clock::SECOND;

/// What a row of the audit keeps of a change.
#[derive(Debug, Deserialize)]
struct Kept {
    #[serde(default)]
    before: Vec<RoleRow>,
    #[serde(default)]
    after: Vec<RoleRow>,
    grant_before: Option<Grant>,
    grant_after: Option<Grant>,
    owner_before: Option<Account>,
}

/// What can be taken back.
const POSSIBLE: [Action; 3] = [Action::RoleGranted, Action::RoleRevoked, Action::RoleTidied];

/// Whether a row of the audit tells something that can be taken back.
pub fn is_possible(action: &str) -> bool {
    POSSIBLE.map(Action::as_str).contains(&action)
}

/// How the change that row `id` tells of, and what was done with it, is taken back. `None` when there is no such row.
///
/// # Errors
/// The database's.
pub async fn plan(conn: &mut Conn, id: i64) -> DbResult<Option<Plan>> {
    let query = audit::table.filter(audit::id.eq(id));
    let entry: Option<Entry> = either!(&mut *conn, |c| query.first(c).await.optional())?;
    let Some(entry) = entry.filter(|entry| is_possible(&entry.action)) else {
        return Ok(None);
    };
    let entries = match &entry.reference {
        Some(reference) => together(conn, &entry, reference).await?,
        None => vec![entry],
    };
    let mut holdings = match entries.len() {
        1 => {
            let email = &entries[0].subject;
            [(email.clone(), stored::holding(conn, email).await?)].into()
        }
        _ => stored::holdings(conn).await?,
    };
    let mut plan = Plan::default();
    for entry in entries {
        let now = holdings.remove(&entry.subject).unwrap_or_default();
        match back(&entry, now) {
            Ok(change) => plan.changes.push(change),
            Err(why) => plan.skipped.push((entry.subject, why)),
        }
    }
    plan.changes.sort_by(|a, b| a.email.cmp(&b.email));
    Ok(Some(plan))
}

async fn together(conn: &mut Conn, entry: &Entry, reference: &str) -> DbResult<Vec<Entry>> {
    let query = audit::table
        .filter(
            audit::reference
                .eq(reference)
                .and(audit::actor.eq(&entry.actor)),
        )
        .filter(audit::action.eq_any(POSSIBLE.map(Action::as_str)))
        .filter(audit::at.between(entry.at - AROUND, entry.at + AROUND))
        .order(audit::id);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The way back, as long as the address is as that change left it.
fn back(entry: &Entry, now: Holding) -> Result<Change, &'static str> {
    let kept: Kept = serde_json::from_str(&entry.detail).map_err(
        |_| "An older version of the portal wrote this, and kept too little to take it back.",
    )?;
    let left = Holding {
        rows: kept.after,
        grant: kept.grant_after,
    };
    let before = Holding {
        rows: kept.before,
        grant: kept.grant_before,
    };
    if now.fingerprint() != left.fingerprint() {
        return Err("It has been changed since, and is left alone.");
    }
    if has_ended(before.ends_at(), clock::now()) {
        return Err("What it had before has ended since, and is not given again.");
    }
    // A table without a key may have held the same row several times.
    let mut before = before;
    before.rows.sort_by(|a, b| a.email.cmp(&b.email));
    before.rows.dedup();
    if before.fingerprint() == now.fingerprint() {
        return Err("It held the same row several times, and once says as much.");
    }
    Ok(Change {
        email: entry.subject.clone(),
        before: now,
        after: before,
        owner: kept.owner_before,
    })
}
