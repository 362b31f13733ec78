//! Who a session is and what they may do, kept in memory for at most `ROLE_CACHE_TTL`.
//! A change drops just that person: each cached answer remembers the count of changes it was read at.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::future::Cache;

use super::bindings::Account;
use super::store::SessionAndRoles;
use super::{Role, bindings, decide, has_ended, holdings, store};
use crate::clock;
use crate::db::{Conn, Db, DbError, DbResult};

/// Counters of changes, by hash of the address. Two people may share one: then one is read again needlessly.
const STRIPES: usize = 1024;
const CAPACITY: u64 = 100_000;

/// A person with a living session (or the fake user), as far as the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Lower-case address.
    pub email: String,
    /// Display name, where Entra told one.
    pub name: Option<String>,
    /// What they may do; `None` is nothing at all.
    pub role: Option<Role>,
    /// When that role ends, microseconds since 1970 UTC.
    pub ends_at: Option<i64>,
    /// Whether the address has a role, but belongs to another account of the tenant.
    pub is_other_account: bool,
    /// The account that signed in; `None` for the fake users.
    pub account: Option<Account>,
}

#[derive(Debug, Clone)]
struct Answer {
    person: Option<Arc<Person>>,
    /// When its reading began.
    read_at: Instant,
    changes: u64,
}

/// What an instance has in memory of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// How long ago it was read.
    pub age: Duration,
    /// The role that was read.
    pub role: Option<Role>,
    /// Whether it is still used; if not, the next request reads anew.
    pub is_current: bool,
}

impl Answer {
    /// A role ends by the clock: nobody tells when, and an answer from before says nothing of after.
    fn role_has_ended(&self) -> bool {
        let person = self.person.as_ref().filter(|person| person.role.is_some());
        person.is_some_and(|person| has_ended(person.ends_at, clock::now()))
    }
}

/// The look-up of people, cached.
pub struct People {
    db: Db,
    ttl: Duration,
    answers: Cache<String, Answer>,
    changes: Box<[AtomicU64]>,
    available: AtomicBool,
    asked: AtomicU64,
    read: AtomicU64,
}

impl People {
    /// An empty cache over `db`; unavailable until the first [`People::set_available`].
    pub fn new(db: Db, ttl: Duration) -> Self {
        Self {
            db,
            ttl,
            answers: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(ttl.max(Duration::from_secs(1)))
                .build(),
            changes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            available: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    /// Who holds the session `id`, if it lives. `email` is what the cookie says; both must agree.
    ///
    /// # Errors
    /// [`DbError`]: nobody is let in for lack of an answer.
    pub async fn of_session(&self, id: &str, email: &str) -> DbResult<Option<Arc<Person>>> {
        self.answer(format!("session {id}"), email, async || {
            let mut conn = self.db.conn().await?;
            let found = store::session_and_roles(&mut conn, id).await?;
            drop(conn);
            let living = found.filter(|session| !session.ended && session.email == email);
            match living {
                Some(session) => self.holder(session).await.map(Some),
                None => Ok(None),
            }
        })
        .await
    }

    /// The person with that address, without a session: for the fake users.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn of_email(&self, email: &str) -> DbResult<Option<Arc<Person>>> {
        self.answer(format!("email {email}"), email, async || {
            let mut conn = self.db.conn().await?;
            let held = holdings::holding(&mut conn, email).await?;
            Ok(Some(person(
                email.to_owned(),
                None,
                &held.rows,
                held.ends_at(),
            )))
        })
        .await
    }

    /// The person behind a living session. A role counts only for the account that its address is bound to.
    async fn holder(&self, session: SessionAndRoles) -> DbResult<Person> {
        let SessionAndRoles {
            email,
            name,
            rows,
            account,
            bound_to,
            ends_at,
            ..
        } = session;
        let bound_to = match bound_to {
            None if !rows.is_empty() => {
                self.db
                    .transaction(async |conn: &mut Conn| {
                        bindings::bind_if_sole(conn, &email, &account).await
                    })
                    .await?
            }
            bound_to => bound_to,
        };
        if rows.is_empty() || bound_to.as_ref() == Some(&account) {
            return Ok(Person {
                account: Some(account),
                ..person(email, name, &rows, ends_at)
            });
        }
        log::warn!(
            "{email} signed in with another account than the one that the address is bound to; \
             `portcullis people rebind {email}` lets the next sign-in take it over"
        );
        Ok(Person {
            email,
            name,
            role: None,
            ends_at: None,
            is_other_account: true,
            account: Some(account),
        })
    }

    async fn answer(
        &self,
        key: String,
        email: &str,
        read: impl AsyncFn() -> DbResult<Option<Person>>,
    ) -> DbResult<Option<Arc<Person>>> {
        if !self.is_available() {
            return Err(DbError::Away("no heartbeat from the database".to_owned()));
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let stripe = self.stripe(email);
        let asked_at = Instant::now();
        // Requests share a reading that is under way. One that began before a change came in is not used;
        // one that began after this request was made always is, however many changes keep coming.
        for _ in 0..3 {
            let answer = self
                .answers
                .try_get_with_by_ref(&key, async {
                    let read_at = Instant::now();
                    let changes = stripe.load(Ordering::SeqCst);
                    self.read.fetch_add(1, Ordering::Relaxed);
                    let person = read().await?.map(Arc::new);
                    Ok::<_, DbError>(Answer {
                        person,
                        read_at,
                        changes,
                    })
                })
                .await
                .map_err(|error| DbError::Away(error.to_string()))?;
            let unchanged = answer.changes == stripe.load(Ordering::SeqCst);
            let is_fresh = unchanged && answer.read_at.elapsed() <= self.ttl;
            if answer.read_at >= asked_at || (is_fresh && !answer.role_has_ended()) {
                return Ok(answer.person);
            }
            self.answers.invalidate(&key).await;
        }
        Err(DbError::Away("the answer kept changing".to_owned()))
    }

    /// Look-ups that were answered from memory, and those that asked the database.
    pub fn lookups(&self) -> (u64, u64) {
        let read = self.read.load(Ordering::Relaxed);
        let asked = self.asked.load(Ordering::Relaxed);
        (asked.saturating_sub(read), read)
    }

    /// What this instance has in memory of a session, without asking the database.
    pub async fn remembered(&self, id: &str, email: &str) -> Option<Remembered> {
        let answer = self.answers.get(&format!("session {id}")).await?;
        let is_current = answer.changes == self.stripe(email).load(Ordering::SeqCst)
            && answer.read_at.elapsed() <= self.ttl
            && !answer.role_has_ended();
        Some(Remembered {
            age: answer.read_at.elapsed(),
            role: answer.person.and_then(|person| person.role),
            is_current,
        })
    }

    /// Drops what is known of `email` (lower case).
    pub fn forget(&self, email: &str) {
        self.stripe(email).fetch_add(1, Ordering::SeqCst);
    }

    /// Drops everything, when it is not known what changed.
    pub fn forget_all(&self) {
        for stripe in &self.changes {
            stripe.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether the database answers, by its heartbeat.
    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::SeqCst)
    }

    /// Opens or closes the portal; returns whether that is a change.
    pub fn set_available(&self, available: bool) -> bool {
        self.available.swap(available, Ordering::SeqCst) != available
    }

    fn stripe(&self, email: &str) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        email.hash(&mut hasher);
        &self.changes[hasher.finish() as usize % STRIPES]
    }
}

/// As [`People::of_session`] and [`People::of_email`], by what the tables say on this connection and without any memory:
/// for whoever holds the lock on roles, nobody changes it until the transaction ends.
///
/// # Errors
/// The database's.
pub async fn person_now(
    conn: &mut Conn,
    session: Option<&str>,
    email: &str,
) -> DbResult<Option<Person>> {
    let Some(id) = session else {
        let held = holdings::holding(conn, email).await?;
        let person = person(email.to_owned(), None, &held.rows, held.ends_at());
        return Ok(Some(person));
    };
    let found = store::session_and_roles(conn, id).await?;
    let living = found.filter(|session| !session.ended && session.email == email);
    Ok(living.map(|session| {
        let is_theirs = session.bound_to.as_ref() == Some(&session.account);
        let rows = if is_theirs { &session.rows[..] } else { &[] };
        Person {
            is_other_account: !is_theirs && !session.rows.is_empty(),
            account: Some(session.account),
            ..person(session.email, session.name, rows, session.ends_at)
        }
    }))
}

fn person(
    email: String,
    name: Option<String>,
    rows: &[super::RoleRow],
    ends_at: Option<i64>,
) -> Person {
    let (role, warning) = decide(&email, rows);
    if let Some(warning) = warning {
        log::warn!("{warning}");
    }
    Person {
        email,
        name,
        role: role.filter(|_| !has_ended(ends_at, clock::now())),
        ends_at,
        is_other_account: false,
        account: None,
    }
}
