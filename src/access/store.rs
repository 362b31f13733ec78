//! The SQL of requests for access.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::json;

use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::{access_requests, sessions};
use crate::db::{Conn, DbResult, Lock, either};
use crate::roles::bindings::{self, Account};
use crate::roles::cache::Person;
use crate::roles::change::{self, Change, ChangeError};
use crate::roles::{Wanted, holdings};

/// Requests that one address may make in [`WITHIN`].
const MOST: i64 = 3;
const WITHIN: i64 = 86_400 * clock::SECOND;

/// A request for access.
#[derive(Debug, Clone, Queryable)]
pub struct Request {
    /// Key.
    pub id: i64,
    /// Who asks, in lower case.
    pub email: String,
    /// Their display name, where Entra told one.
    pub name: Option<String>,
    /// The tenant of the account that asks; none for the fake users.
    pub tid: Option<String>,
    /// The account in it.
    pub oid: Option<String>,
    /// Microseconds since 1970 UTC.
    pub asked_at: i64,
    state: String,
    /// Who answered.
    pub decided_by: Option<String>,
    /// When, microseconds since 1970 UTC.
    pub decided_at: Option<i64>,
    /// What the person reads.
    pub answer: Option<String>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Nobody has answered.
    Open,
    /// A role was given.
    Approved,
    /// None was given.
    Declined,
}

impl RequestState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Declined => "declined",
        }
    }
}

impl Request {
    /// What became of it.
    pub fn state(&self) -> RequestState {
        match self.state.as_str() {
            "approved" => RequestState::Approved,
            "declined" => RequestState::Declined,
            _ => RequestState::Open,
        }
    }
}

/// What became of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is a new request; its key.
    New(i64),
    /// There is one that nobody has answered.
    AlreadyOpen,
    /// There were too many within a day.
    TooOften,
}

/// Asks for access, with its audit row. `session` says which account asks.
///
/// # Errors
/// The database's.
pub async fn ask(
    conn: &mut Conn,
    actor: &Actor,
    person: &Person,
    session: Option<&str>,
) -> DbResult<Asked> {
    let (email, now) = (person.email.as_str(), clock::now());
    let recent = access_requests::table
        .filter(access_requests::email.eq(email))
        .filter(access_requests::asked_at.gt(now - WITHIN))
        .count();
    let recent: i64 = either!(&mut *conn, |c| recent.get_result(c).await)?;
    let latest = latest(conn, email).await?;
    if latest.is_some_and(|request| request.state() == RequestState::Open) {
        return Ok(Asked::AlreadyOpen);
    }
    if recent >= MOST {
        return Ok(Asked::TooOften);
    }
    let account = account(conn, session).await?;
    let (tid, oid) = account.map(|account| (account.tid, account.oid)).unzip();
    // Two clicks at the same moment: the index on open requests lets one in.
    let insert = diesel::insert_into(access_requests::table)
        .values((
            access_requests::email.eq(email),
            access_requests::name.eq(&person.name),
            access_requests::tid.eq(tid),
            access_requests::oid.eq(oid),
            access_requests::asked_at.eq(now),
            access_requests::state.eq(RequestState::Open.as_str()),
        ))
        .on_conflict_do_nothing();
    if either!(&mut *conn, |c| insert.execute(c).await)? == 0 {
        return Ok(Asked::AlreadyOpen);
    }
    let event = Event::new(Action::AccessRequested, email, "open");
    audit::record(conn, actor, &event).await?;
    let id = access_requests::table
        .filter(access_requests::email.eq(email))
        .select(diesel::dsl::max(access_requests::id));
    let id: Option<i64> = either!(conn, |c| id.first(c).await)?;
    Ok(id.map_or(Asked::AlreadyOpen, Asked::New))
}

async fn account(conn: &mut Conn, session: Option<&str>) -> DbResult<Option<Account>> {
    let Some(id) = session else {
        return Ok(None);
    };
    let query = sessions::table
        .filter(sessions::id.eq(id))
        .select((sessions::tid, sessions::oid));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// The newest request of an address.
///
/// # Errors
/// The database's.
pub async fn latest(conn: &mut Conn, email: &str) -> DbResult<Option<Request>> {
    let query = access_requests::table
        .filter(access_requests::email.eq(email))
        .order((access_requests::asked_at.desc(), access_requests::id.desc()));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// The request with that key.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, id: i64) -> DbResult<Option<Request>> {
    let query = access_requests::table.filter(access_requests::id.eq(id));
    Ok(either!(conn, |c| query.first(c).await.optional())?)
}

/// How many wait for an answer.
///
/// # Errors
/// The database's.
pub async fn count_open(conn: &mut Conn) -> DbResult<i64> {
    let open = access_requests::state.eq(RequestState::Open.as_str());
    let query = access_requests::table.filter(open).count();
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Requests that wait for an answer, the oldest first.
///
/// # Errors
/// The database's.
pub async fn open(conn: &mut Conn, limit: i64) -> DbResult<Vec<Request>> {
    let query = access_requests::table
        .filter(access_requests::state.eq(RequestState::Open.as_str()))
        .order((access_requests::asked_at, access_requests::id))
        .limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Requests that were answered, those made last first.
///
/// # Errors
/// The database's.
pub async fn answered(conn: &mut Conn, limit: i64) -> DbResult<Vec<Request>> {
    let query = access_requests::table
        .filter(access_requests::decided_at.is_not_null())
        .order((
            access_requests::decided_at.desc(),
            access_requests::id.desc(),
        ))
        .limit(limit);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Approves an open request with a role, and binds the address to the account that asked, unless it is bound already:
/// that account is the one that was looked at. `None` when it is not open (any more). `before` is the fingerprint of what
/// the address held when whoever approves looked at it, empty for nothing at all.
///
/// # Errors
/// [`ChangeError`]; let go of the transaction then.
pub async fn approve(
    conn: &mut Conn,
    actor: &Actor,
    id: i64,
    wanted: &Wanted,
    before: &str,
) -> Result<Option<Request>, ChangeError> {
    conn.lock(Lock::Roles).await?;
    let Some(request) = decide(conn, actor, id, RequestState::Approved, None).await? else {
        return Ok(None);
    };
    let held = holdings::holding(conn, &request.email).await?;
    let is_as_seen = match before {
        "" => held.rows.is_empty(),
        before => held.fingerprint() == before,
    };
    if !is_as_seen {
        return Err(ChangeError::Moved);
    }
    let change = Change::grant(&request.email, held, wanted, actor);
    let detail = [("source", json!("request")), ("request", json!(id))];
    change::apply(conn, actor, None, &[change], &detail).await?;
    if let (Some(tid), Some(oid)) = (request.tid.clone(), request.oid.clone()) {
        let account = Account { tid, oid };
        bindings::bind(conn, actor, &request.email, &account, "request").await?;
    }
    Ok(Some(request))
}

/// Declines an open request with a sentence for the person. `None` when it is not open (any more).
///
/// # Errors
/// The database's.
pub async fn decline(
    conn: &mut Conn,
    actor: &Actor,
    id: i64,
    answer: &str,
) -> DbResult<Option<Request>> {
    let declined = decide(conn, actor, id, RequestState::Declined, Some(answer)).await?;
    if let Some(request) = &declined {
        let event = Event::new(Action::AccessDeclined, &request.email, "declined")
            .with("answer", answer)
            .with("request", id);
        audit::record(conn, actor, &event).await?;
    }
    Ok(declined)
}

async fn decide(
    conn: &mut Conn,
    actor: &Actor,
    id: i64,
    state: RequestState,
    answer: Option<&str>,
) -> DbResult<Option<Request>> {
    let open = access_requests::state.eq(RequestState::Open.as_str());
    let statement = diesel::update(access_requests::table)
        .filter(access_requests::id.eq(id).and(open))
        .set((
            access_requests::state.eq(state.as_str()),
            access_requests::decided_by.eq(actor.name()),
            access_requests::decided_at.eq(clock::now()),
            access_requests::answer.eq(answer),
        ));
    match either!(&mut *conn, |c| statement.execute(c).await)? {
        0 => Ok(None),
        _ => find(conn, id).await,
    }
}
