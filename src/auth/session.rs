//! The session cookie's content and age. The only file that touches `actix_session::Session`.

#![expect(
    clippy::disallowed_types,
    reason = "this is the file that the rule points to"
)]

use actix_session::config::{CookieContentSecurity, PersistentSession, TtlExtensionPolicy};
use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionExt, SessionMiddleware};
use actix_web::cookie::{SameSite, time};
use actix_web::{Error, HttpMessage, HttpRequest};
use serde::{Deserialize, Serialize};

use crate::app::State;
use crate::clock;
use crate::settings::SessionSettings;

const KEY: &str = "ticket";

/// What the cookie carries: enough to find the session's row, and to refuse it by age without asking.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Key of the row in `dim.sessions`, 128 random bits.
    pub id: String,
    /// Lower-case address.
    pub email: String,
    /// Microseconds since 1970 UTC.
    pub started_at: i64,
    /// Last use, as far as the idle limit needs it; microseconds since 1970 UTC.
    pub seen_at: i64,
}

impl Ticket {
    /// When it ends at the latest, microseconds since 1970 UTC.
    pub fn expires_at(&self, settings: &SessionSettings) -> i64 {
        self.started_at.saturating_add(clock::span(settings.ttl))
    }

    fn is_alive(&self, settings: &SessionSettings, now: i64) -> bool {
        let rested = settings
            .idle
            .is_none_or(|idle| now.saturating_sub(self.seen_at) <= clock::span(idle));
        now < self.expires_at(settings) && self.started_at <= now + 300 * clock::SECOND && rested
    }
}

/// The middleware that opens and seals the cookie. Its Max-Age is for the browser; the age that counts is checked here.
pub fn of_state(state: &State) -> SessionMiddleware<CookieSessionStore> {
    let (keys, settings) = (&state.session_keys, &state.settings.session);
    let ttl = time::Duration::seconds(i64::try_from(settings.ttl.as_secs()).unwrap_or(i64::MAX));
    SessionMiddleware::builder(CookieSessionStore::default(), keys.first().clone())
        .cookie_name(state.session_cookie_name().to_owned())
        .cookie_path("/".to_owned())
        .cookie_secure(state.settings.web.is_https())
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Lax)
        .cookie_content_security(CookieContentSecurity::Private)
        .session_lifecycle(
            PersistentSession::default()
                .session_ttl(ttl)
                .session_ttl_extension_policy(TtlExtensionPolicy::OnStateChanges),
        )
        .build()
}

/// The ticket of a request, when there is one and it is not too old.
pub fn ticket(req: &impl SessionExt, settings: &SessionSettings) -> Option<Ticket> {
    let ticket: Ticket = req.get_session().get(KEY).ok().flatten()?;
    ticket.is_alive(settings, clock::now()).then_some(ticket)
}

/// Notes the use of a session for the idle limit; the cookie is handed out again at most every tenth of it.
pub fn touch(req: &impl SessionExt, ticket: &Ticket, settings: &SessionSettings) {
    let Some(idle) = settings.idle else {
        return;
    };
    let now = clock::now();
    if now - ticket.seen_at > clock::span(idle) / 10 {
        let seen = Ticket {
            seen_at: now,
            ..ticket.clone()
        };
        if let Err(error) = req.get_session().insert(KEY, seen) {
            log::error!("the session could not be refreshed: {error}");
        }
    }
}

/// Puts a new ticket in the place of whatever the session held.
///
/// # Errors
/// When the ticket cannot be written as JSON.
pub fn begin(req: &HttpRequest, ticket: &Ticket) -> Result<(), Error> {
    let session: Session = req.get_session();
    // In this order: an insert after `purge` would silently be dropped by actix-session.
    session.clear();
    session.renew();
    session.insert(KEY, ticket).map_err(Error::from)
}

/// Takes the cookie away.
pub fn end(req: &HttpRequest) {
    req.get_session().purge();
    req.extensions_mut().remove::<Ticket>();
}

/// Whoever asked leaves this browser, where the next person may be another one.
#[derive(Clone, Copy)]
pub struct Left;

/// Takes the cookie away, and with the answer what scripts of ours keep in the browser; see [`crate::headers`].
pub fn leave(req: &HttpRequest) {
    end(req);
    req.extensions_mut().insert(Left);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ticket_dies_of_age_and_of_rest() {
        let settings = |idle| SessionSettings {
            secrets: Vec::new(),
            ttl: Duration::from_secs(100),
            idle,
        };
        let ticket = Ticket {
            id: "x".to_owned(),
            email: "ada@x.example".to_owned(),
            started_at: 0,
            seen_at: 0,
        };
        let at = |seconds: i64, idle| ticket.is_alive(&settings(idle), seconds * clock::SECOND);
        assert!(at(0, None) && at(99, None) && !at(100, None));
        let idle = Some(Duration::from_secs(10));
        assert!(at(10, idle) && !at(11, idle));
        assert!(
            !at(-301, None),
            "a ticket from the future is forged or the clock is wrong"
        );
    }
}
