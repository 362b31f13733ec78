//! Which account of the tenant an address belongs to. The role table is keyed by address, and addresses change hands;
//! Entra's (`tid`, `oid`) never does (Entra: "Migrate away from using email claims for user identification").

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::{bindings, identities};
use crate::db::{Conn, DbResult, either};

/// An account of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Serialize, Deserialize)]
pub struct Account {
    /// The tenant.
    pub tid: String,
    /// The account in it.
    pub oid: String,
}

/// The account that `email` (lower case) is bound to.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn, email: &str) -> DbResult<Option<Account>> {
    let query = bindings::table
        .filter(bindings::email.eq(email))
        .select((bindings::tid, bindings::oid));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// The accounts that these addresses (lower case) are bound to, as far as they are.
///
/// # Errors
/// The database's.
pub async fn of_all(conn: &mut Conn, emails: &[&str]) -> DbResult<HashMap<String, Account>> {
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    let query = bindings::table
        .filter(bindings::email.eq_any(emails))
        .select((bindings::email, (bindings::tid, bindings::oid)));
    let found: Vec<(String, Account)> = either!(conn, |c| query.load(c).await)?;
    Ok(found.into_iter().collect())
}

/// As [`of`], with the moment at which it was bound (microseconds since 1970 UTC).
///
/// # Errors
/// The database's.
pub async fn bound(conn: &mut Conn, email: &str) -> DbResult<Option<(Account, i64)>> {
    let query = bindings::table
        .filter(bindings::email.eq(email))
        .select(((bindings::tid, bindings::oid), bindings::bound_at));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// Binds `email` to `account`, unless it is bound already, with its audit row. `on` says at what occasion. Returns
/// the account that it is bound to now.
///
/// # Errors
/// The database's.
pub async fn bind(
    conn: &mut Conn,
    actor: &Actor,
    email: &str,
    account: &Account,
    on: &str,
) -> DbResult<Account> {
    let statement = diesel::insert_into(bindings::table)
        .values((
            bindings::email.eq(email),
            bindings::tid.eq(&account.tid),
            bindings::oid.eq(&account.oid),
            bindings::bound_at.eq(clock::now()),
        ))
        .on_conflict_do_nothing();
    if either!(&mut *conn, |c| statement.execute(c).await)? > 0 {
        let event = Event::new(Action::Bound, email, on).with("oid", account.oid.as_str());
        audit::record(conn, actor, &event).await?;
    }
    Ok(of(conn, email).await?.unwrap_or_else(|| account.clone()))
}

/// As [`bind`], for a session that was begun before its address had a role: only when no other account
/// ever signed in under that address, or whoever waited longest would own a future grant.
///
/// # Errors
/// The database's.
pub async fn bind_if_sole(
    conn: &mut Conn,
    email: &str,
    account: &Account,
) -> DbResult<Option<Account>> {
    let others = identities::table
        .filter(identities::email.eq(email))
        .filter(
            identities::oid
                .ne(&account.oid)
                .or(identities::tid.ne(&account.tid)),
        )
        .count();
    let others: i64 = either!(&mut *conn, |c| others.get_result(c).await)?;
    match others {
        0 => bind(conn, &Actor::portal(), email, account, "grant")
            .await
            .map(Some),
        _ => Ok(None),
    }
}

/// Forgets whom `email` belongs to; the next account that signs in under it is bound. Returns whether it was bound.
///
/// # Errors
/// The database's.
pub async fn unbind(conn: &mut Conn, email: &str) -> DbResult<bool> {
    let statement = diesel::delete(bindings::table.filter(bindings::email.eq(email)));
    Ok(either!(conn, |c| statement.execute(c).await)? > 0)
}

/// The statement of [`renamed`]. All are looked at before the first few are taken: Postgres would hope to meet those soon,
/// and look each account up by itself, although there are hardly ever any.
pub const RENAMED: &str =
    "WITH found AS MATERIALIZED (SELECT b.email AS bound, i.email AS present FROM dim.bindings b
        JOIN dim.identities i ON i.tid = b.tid AND i.oid = b.oid AND i.email <> b.email)
     SELECT bound, present FROM found ORDER BY bound LIMIT $1";

#[derive(QueryableByName)]
struct Renamed {
    #[diesel(sql_type = Text)]
    bound: String,
    #[diesel(sql_type = Text)]
    present: String,
}

/// Addresses bound to an account that last signed in under another address: with that address the person
/// has no rights, and an admin may want to know.
///
/// # Errors
/// The database's.
pub async fn renamed(conn: &mut Conn, limit: i64) -> DbResult<Vec<(String, String)>> {
    let query = diesel::sql_query(RENAMED).bind::<BigInt, _>(limit);
    let found: Vec<Renamed> = either!(conn, |c| query.load(c).await)?;
    Ok(found
        .into_iter()
        .map(|row| (row.bound, row.present))
        .collect())
}
