//! The SQL of sessions and identities.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::entra::Identity;
use super::session::Ticket;
use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::{identities, sessions};
use crate::db::{Conn, DbResult, either};
use crate::roles;
use crate::roles::bindings::{self, Account};
use crate::roles::orphans;

/// Where a session was begun, for the person's own list.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The client's address.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
}

/// Writes a new session down, and who it was, with its audit row; binds the address to the account when it has a role.
/// `false`, and no session, when the address has a role and is bound to another account.
///
/// # Errors
/// The database's.
pub async fn begin(
    conn: &mut Conn,
    actor: &Actor,
    ticket: &Ticket,
    identity: &Identity,
    place: &Place,
) -> DbResult<bool> {
    if !is_theirs(conn, actor, identity).await? {
        return Ok(false);
    }
    let session = diesel::insert_into(sessions::table).values((
        sessions::id.eq(&ticket.id),
        sessions::email.eq(&identity.email),
        sessions::name.eq(&identity.name),
        sessions::tid.eq(&identity.tid),
        sessions::oid.eq(&identity.oid),
        sessions::sid.eq(&identity.sid),
        sessions::logout_hint.eq(&identity.logout_hint),
        sessions::started_at.eq(ticket.started_at),
        sessions::address.eq(&place.address),
        sessions::agent.eq(&place.agent),
    ));
    either!(&mut *conn, |c| session.execute(c).await)?;
    remember(conn, identity, ticket.started_at).await?;
    let event = Event::new(Action::SignedIn, &identity.email, "signed_in")
        .with("oid", identity.oid.as_str());
    audit::record(conn, actor, &event).await?;
    Ok(true)
}

/// Whether the address is the account's to use. Nobody owns a future grant: without a role nothing is bound.
async fn is_theirs(conn: &mut Conn, actor: &Actor, identity: &Identity) -> DbResult<bool> {
    orphans::release(conn, Some(std::slice::from_ref(&identity.email))).await?;
    if roles::store::rows_of(conn, &identity.email)
        .await?
        .is_empty()
    {
        return Ok(true);
    }
    let account = Account {
        tid: identity.tid.clone(),
        oid: identity.oid.clone(),
    };
    let bound_to = bindings::bind(conn, actor, &identity.email, &account, "sign_in").await?;
    Ok(bound_to == account)
}

async fn remember(conn: &mut Conn, identity: &Identity, now: i64) -> DbResult<()> {
    let known = diesel::insert_into(identities::table)
        .values((
            identities::tid.eq(&identity.tid),
            identities::oid.eq(&identity.oid),
            identities::email.eq(&identity.email),
            identities::name.eq(&identity.name),
            identities::first_sign_in_at.eq(now),
            identities::last_sign_in_at.eq(now),
        ))
        .on_conflict((identities::tid, identities::oid))
        .do_update()
        .set((
            identities::email.eq(excluded(identities::email)),
            identities::name.eq(excluded(identities::name)),
            identities::last_sign_in_at.eq(excluded(identities::last_sign_in_at)),
        ));
    either!(conn, |c| known.execute(c).await)?;
    Ok(())
}

/// Whose sessions are meant.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Lower-case address.
    pub email: String,
    /// Only this account's, where several came under one address; `None` is all of them.
    pub account: Option<Account>,
}

impl Owner {
    /// Every session under that address, whichever account it is of.
    pub fn whoever(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            account: None,
        }
    }

    fn account(&self) -> (bool, &str, &str) {
        match &self.account {
            Some(account) => (false, &account.tid, &account.oid),
            None => (true, "", ""),
        }
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn living_of<'a>(email: &'a str, (any, tid, oid): (bool, &'a str, &'a str)) -> _ {
    let of_account = sessions::tid.eq(tid).and(sessions::oid.eq(oid));
    let theirs = any.into_sql::<Bool>().or(of_account);
    sessions::table
        .filter(sessions::email.eq(email))
        .filter(theirs)
        .filter(sessions::ended_at.is_null())
}

/// Ends one session of its owner. `None` when it was not living; else what to hand to Entra as `logout_hint`,
/// where it told us.
///
/// # Errors
/// The database's.
pub async fn end(
    conn: &mut Conn,
    actor: &Actor,
    id: &str,
    owner: &Owner,
) -> DbResult<Option<Option<String>>> {
    let living = living_of(&owner.email, owner.account()).filter(sessions::id.eq(id));
    let hint: Option<Option<String>> = either!(&mut *conn, |c| {
        living
            .select(sessions::logout_hint)
            .first(c)
            .await
            .optional()
    })?;
    let Some(hint) = hint else {
        return Ok(None);
    };
    let statement = diesel::update(living).set(sessions::ended_at.eq(clock::now()));
    either!(&mut *conn, |c| statement.execute(c).await)?;
    let event = Event::new(Action::SignedOut, &owner.email, "signed_out");
    audit::record(conn, actor, &event).await?;
    Ok(Some(hint))
}

/// A living session, as its owner sees it.
#[derive(Debug, Clone, Queryable)]
pub struct Living {
    /// Key of the row.
    pub id: String,
    /// Microseconds since 1970 UTC.
    pub started_at: i64,
    /// The client's address when it began.
    pub address: Option<String>,
    /// What the browser called itself then.
    pub agent: Option<String>,
}

/// The sessions of their owner that are neither ended nor begun before `oldest`, newest first.
///
/// # Errors
/// The database's.
pub async fn living(conn: &mut Conn, owner: &Owner, oldest: i64) -> DbResult<Vec<Living>> {
    let query = living_of(&owner.email, owner.account())
        .filter(sessions::started_at.gt(oldest))
        .order(sessions::started_at.desc())
        .select((
            sessions::id,
            sessions::started_at,
            sessions::address,
            sessions::agent,
        ))
        .limit(100);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Ends all sessions of their owner. Returns how many there were.
///
/// # Errors
/// The database's.
pub async fn end_all(conn: &mut Conn, actor: &Actor, owner: &Owner) -> DbResult<usize> {
    let living = living_of(&owner.email, owner.account());
    let statement = diesel::update(living).set(sessions::ended_at.eq(clock::now()));
    let ended = either!(&mut *conn, |c| statement.execute(c).await)?;
    let event = Event::new(Action::SignedOut, &owner.email, "everywhere").with("sessions", ended);
    audit::record(conn, actor, &event).await?;
    Ok(ended)
}

/// Whether Entra's `sid` is a living session's.
///
/// # Errors
/// The database's.
pub async fn is_living_sid(conn: &mut Conn, sid: &str) -> DbResult<bool> {
    let living = sessions::table.filter(sessions::sid.eq(sid).and(sessions::ended_at.is_null()));
    let query = diesel::select(diesel::dsl::exists(living));
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Frees an address: its sessions end, since whoever is signed in under it is the account that loses it, and the next
/// account that signs in under it owns it. Returns whether it was bound.
///
/// # Errors
/// The database's.
pub async fn rebind(conn: &mut Conn, actor: &Actor, email: &str) -> DbResult<bool> {
    end_all(conn, actor, &Owner::whoever(email)).await?;
    let before = bindings::of(conn, email).await?;
    let was_bound = bindings::unbind(conn, email).await?;
    let event = Event::new(Action::Rebound, email, "unbound")
        .with("before", before.map(|account| account.oid));
    audit::record(conn, actor, &event).await?;
    Ok(was_bound)
}

/// Ends the sessions that Entra knows as `sid`. Returns whose they were.
///
/// # Errors
/// The database's.
pub async fn end_by_sid(conn: &mut Conn, sid: &str) -> DbResult<Vec<String>> {
    let living = sessions::table.filter(sessions::sid.eq(sid).and(sessions::ended_at.is_null()));
    let emails: Vec<String> =
        either!(&mut *conn, |c| living.select(sessions::email).load(c).await)?;
    let statement = diesel::update(living).set(sessions::ended_at.eq(clock::now()));
    either!(&mut *conn, |c| statement.execute(c).await)?;
    for email in &emails {
        let event = Event::new(Action::SignedOut, email, "front_channel");
        audit::record(conn, &Actor::portal(), &event).await?;
    }
    Ok(emails)
}

/// Deletes the rows of sessions that began before `started_before` (microseconds since 1970 UTC): no cookie can revive them.
///
/// # Errors
/// The database's.
pub async fn sweep(conn: &mut Conn, started_before: i64) -> DbResult<usize> {
    let statement = diesel::delete(sessions::table.filter(sessions::started_at.lt(started_before)));
    Ok(either!(conn, |c| statement.execute(c).await)?)
}

/// An account that signed in under an address.
#[derive(Debug, Clone, Queryable)]
pub struct Known {
    /// The tenant.
    pub tid: String,
    /// The account in it.
    pub oid: String,
    /// Display name, where Entra told one.
    pub name: Option<String>,
    /// Microseconds since 1970 UTC.
    pub first_sign_in_at: i64,
    /// Microseconds since 1970 UTC.
    pub last_sign_in_at: i64,
}

/// The accounts that last signed in under an address, the latest first.
///
/// # Errors
/// The database's.
pub async fn known(conn: &mut Conn, email: &str) -> DbResult<Vec<Known>> {
    let query = identities::table
        .filter(identities::email.eq(email))
        .order(identities::last_sign_in_at.desc())
        .select((
            identities::tid,
            identities::oid,
            identities::name,
            identities::first_sign_in_at,
            identities::last_sign_in_at,
        ))
        .limit(20);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// When each of these addresses last signed in, where they ever did; microseconds since 1970 UTC.
///
/// # Errors
/// The database's.
pub async fn last_sign_ins(conn: &mut Conn, emails: &[String]) -> DbResult<Vec<(String, i64)>> {
    let query = identities::table
        .filter(identities::email.eq_any(emails))
        .select((identities::email, identities::last_sign_in_at));
    Ok(either!(conn, |c| query.load(c).await)?)
}
