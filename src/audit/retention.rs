//! `AUDIT_RETENTION`: removes the oldest rows, in the order of the chain and some at a time. The last removed link
//! stays as the anchor that the rest continues from, and each removal is itself a row of the audit.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::chain::Link;
use super::{Action, Actor, Event, seal, store};
use crate::db::schema::dim::{audit, audit_anchor, audit_seals};
use crate::db::{Conn, Db, DbResult, Lock, either};

const BATCH: usize = 5000;

/// Removes what was written down before `cutoff` (microseconds since 1970 UTC). Returns how many rows went.
/// A younger row ends the removal, even where older ones follow it in the chain.
///
/// # Errors
/// The database's; what was removed by then is told in the audit.
pub async fn remove(db: &Db, cutoff: i64) -> DbResult<usize> {
    let mut removed = 0;
    loop {
        let batch = db
            .exclusive(Lock::Seal, async |conn: &mut Conn| {
                remove_batch(conn, cutoff).await
            })
            .await?;
        removed += batch;
        if batch < BATCH {
            return Ok(removed);
        }
        // There may be millions to remove; what is written meanwhile does not wait for its seal until they are gone.
        seal::seal(db).await?;
    }
}

/// Place, id, hash, and when it happened; that is missing where somebody took the row away.
type Sealed = (i64, i64, String, Option<i64>);

async fn remove_batch(conn: &mut Conn, cutoff: i64) -> DbResult<usize> {
    let oldest = audit_seals::table
        .left_join(audit::table.on(audit::id.eq(audit_seals::id)))
        .order(audit_seals::seq)
        .select((
            audit_seals::seq,
            audit_seals::id,
            audit_seals::hash,
            audit::at.nullable(),
        ))
        .limit(i64::try_from(BATCH).unwrap_or(i64::MAX));
    let rows: Vec<Sealed> = either!(&mut *conn, |c| oldest.load(c).await)?;
    let is_old = |row: &&Sealed| row.3.is_none_or(|at| at < cutoff);
    let old: Vec<&Sealed> = rows.iter().take_while(is_old).collect();
    // A row that is missing between old ones goes with them; at the end it stays, to be found.
    let kept_from = old.iter().rposition(|row| row.3.is_some());
    let Some(last) = kept_from.map(|index| old[index]) else {
        return Ok(0);
    };
    let old = &old[..=kept_from.unwrap_or(0)];
    let from = seal::anchor(conn).await?.unwrap_or_else(Link::origin);
    let ids = old.iter().map(|row| row.1);
    let delete = diesel::delete(audit::table.filter(audit::id.eq_any(ids)));
    either!(&mut *conn, |c| delete.execute(c).await)?;
    let delete = diesel::delete(audit_seals::table.filter(audit_seals::seq.le(last.0)));
    either!(&mut *conn, |c| delete.execute(c).await)?;
    set_anchor(conn, last.0, &last.2).await?;
    let missing = old.iter().filter(|row| row.3.is_none()).count();
    if missing > 0 {
        log::error!("{missing} audit rows were missing before retention removed those around them");
    }
    let event = Event::new(Action::AuditRemoved, "dim.audit", "retention")
        .with("from", from.seq + 1)
        .with("to", last.0)
        .with("hash", last.2.as_str())
        .with("missing", missing);
    store::record(conn, &Actor::portal(), &event).await?;
    Ok(old.len())
}

async fn set_anchor(conn: &mut Conn, seq: i64, hash: &str) -> DbResult<()> {
    let delete = diesel::delete(audit_anchor::table);
    either!(&mut *conn, |c| delete.execute(c).await)?;
    let insert = diesel::insert_into(audit_anchor::table)
        .values((audit_anchor::seq.eq(seq), audit_anchor::hash.eq(hash)));
    either!(conn, |c| insert.execute(c).await)?;
    Ok(())
}
