//! Extractors that say who is asking. As the first argument of a handler they are its access rule:
//! a handler that takes `Editor` cannot run for a reader.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};

use super::store::{Owner, Place};
use crate::app::State;
use crate::audit::Actor;
use crate::error::AppError;
use crate::reference::Reference;
use crate::roles::Role;
use crate::roles::cache::{People, Person};

const LONGEST_AGENT: usize = 200;
/// How long somebody who was let in waits for the database to say that they still are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who is signed in, whatever they may do. Cheap to clone, since several parts of a request ask for it.
#[derive(Debug, Clone)]
pub struct CurrentUser(Arc<SignedIn>);

/// What is known of them.
#[derive(Debug)]
pub struct SignedIn {
    /// Who it is, as the database knows them.
    pub person: Arc<Person>,
    /// The session's id; `None` for the fake users.
    pub session_id: Option<String>,
    /// When the session ends, microseconds since 1970 UTC; `None` for the fake users.
    pub expires_at: Option<i64>,
    actor: Actor,
}

impl CurrentUser {
    /// The person of a request that the gate let in.
    pub fn new(
        req: &HttpRequest,
        person: Arc<Person>,
        session_id: Option<String>,
        expires_at: Option<i64>,
    ) -> Self {
        Self(Arc::new(SignedIn {
            actor: actor(req, &person.email),
            person,
            session_id,
            expires_at,
        }))
    }

    /// The same session, with its person as they are by now.
    pub fn known_as(&self, person: Arc<Person>) -> Self {
        Self(Arc::new(SignedIn {
            person,
            session_id: self.session_id.clone(),
            expires_at: self.expires_at,
            actor: self.actor.clone(),
        }))
    }

    /// Lower-case address.
    pub fn email(&self) -> &str {
        &self.person.email
    }

    /// Display name, where Entra told one.
    pub fn name(&self) -> Option<&str> {
        self.person.name.as_deref()
    }

    /// What they may do; nothing without one.
    pub fn role(&self) -> Option<Role> {
        self.person.role
    }

    /// As the owner of their sessions: the account that signed in, not everybody who has the same address.
    pub fn owner(&self) -> Owner {
        Owner {
            email: self.person.email.clone(),
            account: self.person.account.clone(),
        }
    }

    /// As the one who does something, for the audit.
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// To ask again later.
    pub fn still_admitted(&self, people: &Arc<People>) -> StillAdmitted {
        StillAdmitted {
            people: people.clone(),
            email: self.person.email.clone(),
            session_id: self.session_id.clone(),
        }
    }

    /// The person again, if they hold `role` or a greater one.
    ///
    /// # Errors
    /// 403 with the reason.
    pub fn at_least(self, role: Role) -> Result<Self, AppError> {
        match self.person.role {
            None if self.person.is_other_account => Err(AppError::OtherAccount),
            None => Err(AppError::NoRole),
            Some(held) if held < role => Err(AppError::RoleNeeded(role)),
            Some(_) => Ok(self),
        }
    }
}

impl Deref for CurrentUser {
    type Target = SignedIn;

    fn deref(&self) -> &SignedIn {
        &self.0
    }
}

/// Whether somebody who was let in may go on; for what takes longer than the look at the gate.
#[derive(Clone)]
pub struct StillAdmitted {
    people: Arc<People>,
    email: String,
    session_id: Option<String>,
}

impl StillAdmitted {
    /// Whether the session lives and its person holds any role. A memory look-up unless something changed.
    /// While the database is away nobody is stopped: what runs goes on.
    pub async fn holds(&self) -> bool {
        !matches!(self.now().await, Now::Out)
    }

    /// Who it is by now, with the role that they hold by now.
    pub async fn now(&self) -> Now {
        let asked = async {
            match &self.session_id {
                Some(id) => self.people.of_session(id, &self.email).await,
                None => self.people.of_email(&self.email).await,
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Some(person))) if person.role.is_some() => Now::Admitted(person),
            Ok(Ok(_)) => Now::Out,
            Ok(Err(_)) | Err(_) => Now::Unknown,
        }
    }
}

/// What the database says of somebody who was let in.
#[derive(Debug, Clone)]
pub enum Now {
    /// They still are, in this role.
    Admitted(Arc<Person>),
    /// Their session or their role ended.
    Out,
    /// It does not answer, so nobody is stopped.
    Unknown,
}

/// Whoever sent the request, under the name `email`, as the one who does something.
pub fn actor(req: &HttpRequest, email: &str) -> Actor {
    let reference = Reference::of(req).map(|reference| reference.to_string());
    Actor::person(email, recorded_address(req), reference)
}

/// Where a session is begun. Agents may be of any length, so only the beginning is kept.
pub fn place(req: &HttpRequest) -> Place {
    let agent = req.headers().get(USER_AGENT);
    Place {
        address: recorded_address(req),
        agent: agent
            .and_then(|agent| agent.to_str().ok())
            .map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
    }
}

/// The client's address, unless `AUDIT_ADDRESSES` says that addresses are not written down.
fn recorded_address(req: &HttpRequest) -> Option<String> {
    let state = req.app_data::<web::Data<State>>()?;
    address(req).filter(|_| state.settings.audit.addresses)
}

/// The client's address as text, for the log.
pub fn address(req: &HttpRequest) -> Option<String> {
    let state = req.app_data::<web::Data<State>>()?;
    let peer = req.peer_addr().map(|peer| peer.ip());
    super::client::address(peer, req.headers(), &state.settings.web.trusted_proxies)
        .map(|address| address.to_string())
}

impl FromRequest for CurrentUser {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = req.extensions().get::<CurrentUser>().cloned();
        ready(user.ok_or_else(|| AppError::SignInNeeded.into()))
    }
}

macro_rules! role_extractor {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(CurrentUser);

        impl Deref for $name {
            type Target = CurrentUser;

            fn deref(&self) -> &CurrentUser {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = Error;
            type Future = Ready<Result<Self, Error>>;

            fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let user = CurrentUser::from_request(req, payload).into_inner();
                ready(user.and_then(|user| Ok(Self(user.at_least($role)?))))
            }
        }
    };
}

role_extractor!(
    /// Somebody with any role.
    Reader,
    Role::Reader
);
role_extractor!(
    /// Somebody who may publish.
    Editor,
    Role::Editor
);
role_extractor!(
    /// Somebody who manages the portal.
    Admin,
    Role::Admin
);
