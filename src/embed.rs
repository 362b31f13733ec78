//! Portcullis inside your own program: sign-in, gate and roles in front of your own pages. What is named here is stable;
//! `examples/embed.rs` is a whole program.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use portcullis::embed::{Portcullis, Reader, Setup};
//!
//! async fn hello(reader: Reader) -> String {
//!     format!("Hello {}", reader.email())
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let portcullis = Setup::from_env().start().await?;
//!     let (address, inside) = (portcullis.address(), portcullis.clone());
//!     let pages = |inside: &mut web::ServiceConfig| {
//!         inside.route("/hello", web::get().to(hello));
//!     };
//!     HttpServer::new(move || App::new().service(inside.scope(pages)))
//!         .bind(address)?
//!         .run()
//!         .await?;
//!     portcullis.finish().await;
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{HttpServiceFactory, Payload};
use actix_web::middleware::from_fn;
use actix_web::{Error, FromRequest, HttpRequest, web};

use crate::app::{State, wrapped};
use crate::auth::gate;
use crate::message::{Frame, Look};
use crate::settings::{Mode, Settings, Variables};
use crate::{radar, routes, starting};

#[doc(inline)]
pub use crate::auth::user::{Admin, CurrentUser, Editor, Reader};
#[doc(inline)]
pub use crate::db::{Conn, Db, DbError, DbResult, either};
#[doc(inline)]
pub use crate::error::{AppError, AppResult};
#[doc(inline)]
pub use crate::message::{Action, Message};
#[doc(inline)]
pub use crate::roles::Role;
#[doc(inline)]
pub use crate::settings::{Problem, Problems};

/// What has to be known before the start.
pub struct Setup {
    variables: Variables,
    problems: Problems,
    name: String,
    frame: Option<Frame>,
}

/// Why Portcullis did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings: all that is wrong with them, each naming its variable.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// The database refuses, with a sentence for whoever runs the program. One that is merely away is no error.
    #[error("{0}")]
    Database(String),
    /// What the settings name cannot be used, with a sentence for whoever runs the program.
    #[error("{0}")]
    Unusable(String),
}

impl Setup {
    /// The settings of the README's table, from the environment, `.env`, or the file that `PORTCULLIS_CONFIG` names.
    /// `FILES_DIR` and what belongs to it are not used.
    pub fn from_env() -> Self {
        let mut problems = Problems::default();
        let variables = Variables::from_process(&mut problems);
        Self::new(variables, problems)
    }

    /// The same settings given by the program, and nothing from elsewhere.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(Variables::from_pairs(pairs), Problems::default())
    }

    fn new(variables: Variables, problems: Problems) -> Self {
        Self {
            variables,
            problems,
            name: "Portcullis".to_owned(),
            frame: None,
        }
    }

    /// What the program is called on our pages.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Puts the program's own page around what we have to say: refusals, errors, "you are signed out". The function gets
    /// the message and returns a whole page; [`Message::html`] is the message itself, escaped. Without one, our own page
    /// is shown, under the program's name.
    pub fn frame(mut self, frame: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        self.frame = Some(Arc::new(frame));
        self
    }

    /// Opens the database, brings our tables up to date (all in the schema `dim`), and starts the tasks behind sessions,
    /// roles and audit on the current Tokio runtime, where they run until it ends.
    ///
    /// # Errors
    /// [`StartError`]. A Postgres server that is away is none: everything closed answers 503 until it is back.
    pub async fn start(self) -> Result<Portcullis, StartError> {
        let settings = Settings::read(&self.variables, self.problems)?;
        if settings.mode != Mode::Entra {
            log::warn!("nobody is asked for a password: this is DEV_MODE or TEST_MODE");
        }
        let (db, migrated) = starting::database(&settings)
            .await
            .map_err(StartError::Database)?;
        let look = Look::Embedded(self.name, self.frame);
        let state = State::start_as(look, settings, db, migrated).map_err(StartError::Unusable)?;
        tokio::spawn(radar::watch(state.entra.clone(), None));
        Ok(Portcullis { state })
    }
}

/// Sign-in, gate and roles, started. Cheap to clone; as a handler's argument it is the one that let the request in.
#[derive(Clone)]
pub struct Portcullis {
    state: web::Data<State>,
}

impl Portcullis {
    /// A service that takes every request which no service before it took: `/login`, `/callback`, `/logout`,
    /// `/logout/frontchannel`, `/signed-out` and `/static/…` are ours, and whatever `inside` registers is for people with a
    /// role, even when its handler asks for nobody. [`Reader`], [`Editor`] and [`Admin`] as a handler's first argument ask
    /// for more. What is not registered is closed as well.
    ///
    /// Changes have to come from the program's own pages: anything but GET and HEAD needs `Sec-Fetch-Site: same-origin` or
    /// the own `Origin`, and a WebSocket always the latter. Errors of handlers become pages, or problem+json below `/api/`. Answers get a strict
    /// Content-Security-Policy unless they bring their own.
    pub fn scope(
        &self,
        inside: impl FnOnce(&mut web::ServiceConfig),
    ) -> impl HttpServiceFactory + 'static {
        let pages = web::scope("")
            .wrap(from_fn(gate::with_a_role))
            .configure(inside);
        let scope = web::scope("")
            .app_data(self.state.clone())
            .app_data(self.clone())
            .configure(routes::sign_in)
            .service(routes::behind_the_gate().service(pages));
        wrapped!(scope, &self.state)
    }

    /// The database, for tables of the program's own. Keep them in the schema `dim`: on SQLite it is the file, and what has no
    /// schema would be in memory.
    pub fn db(&self) -> &Db {
        &self.state.db
    }

    /// `HOST` and `PORT`.
    pub fn address(&self) -> SocketAddr {
        let web = &self.state.settings.web;
        SocketAddr::new(web.host, web.port)
    }

    /// Scheme, host and port under which people see the program, as `APP_REG_REDIRECT_URI` says.
    pub fn origin(&self) -> &str {
        &self.state.settings.web.origin
    }

    /// Whether the database answers, so that people can be let in: for the program's own health page.
    pub fn is_ready(&self) -> bool {
        self.state.people.is_available()
    }

    /// Writes what is still on its way into the audit, and closes the database; for the end, after the server's.
    pub async fn finish(self) {
        self.state.audit.finish().await;
        self.state.db.close();
    }
}

impl fmt::Debug for Portcullis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portcullis").finish_non_exhaustive()
    }
}

impl FromRequest for Portcullis {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let portcullis = req.app_data::<Self>().cloned();
        ready(portcullis.ok_or_else(|| {
            AppError::Internal("the handler stands outside of Portcullis::scope".to_owned()).into()
        }))
    }
}
