//! State and the complete application: the place that calls `.wrap()`. `main` and every test build it here, and [`crate::embed`]
//! puts the same around what it protects.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, web};
use governor::DefaultKeyedRateLimiter;
use moka::future::Cache;

use crate::audit::queue::Queue;
use crate::audit::refusals::Refusals;
use crate::audit::tops::Tops;
use crate::auth::entra::Entra;
use crate::auth::keyring::Keyring;
use crate::connections::Connections;
use crate::db::Db;
use crate::error::{AppError, AppResult};
use crate::files::Files;
use crate::files::digest::Digests;
use crate::headers::Policy;
use crate::index::Index;
use crate::items;
use crate::items::uploads::Uploads;
use crate::message::Look;
use crate::metrics::Metrics;
use crate::openapi::Kept;
use crate::roles::cache::People;
use crate::routes;
use crate::rules::Rulebook;
use crate::settings::Settings;
use crate::tls::Certificate;

mod cookies;
mod limits;
mod server;
mod tasks;

use limits::{ATTEMPTS, ATTEMPTS_FOR, limiter};
pub use server::server;

/// Everything that handlers share.
pub struct State {
    /// The settings.
    pub settings: Settings,
    /// The database.
    pub db: Db,
    /// Who a session is and what they may do.
    pub people: Arc<People>,
    /// The way into the audit for what ends outside a transaction.
    pub audit: Arc<Queue>,
    /// Entra; `None` in development and test mode, and without a client id.
    pub entra: Option<Arc<Entra>>,
    /// The certificate of the portal's own TLS; `None` where something in front ends that.
    pub certificate: Option<Arc<Certificate>>,
    /// The protected files.
    pub files: Files,
    /// Their checksums, as far as they are known.
    pub digests: Digests,
    /// Files that arrive in pieces.
    pub uploads: Uploads,
    /// What lies in them, for lists and searches.
    pub index: Arc<Index>,
    /// Lists that are being read.
    pub listings: items::shared::Shared,
    /// Keys of the session cookie.
    pub session_keys: Keyring,
    /// Security headers.
    pub policy: Policy,
    /// What our own pages look like.
    pub look: Look,
    /// The API's description.
    pub described: Kept,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The open connections.
    pub connections: Arc<Connections>,
    /// Whether the portal was told to end: it lets running work finish and begins nothing that takes long.
    ending: AtomicBool,
    /// Counts refusals, which a person can cause without end.
    pub refusals: Refusals,
    /// Most downloads, where they are slow to count.
    pub tops: Tops,
    attempts: Cache<String, Arc<AtomicU32>>,
    flow_keys: Keyring,
    recent_keys: Keyring,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
}

impl State {
    /// Puts the parts together and starts the tasks behind them on the current runtime: heartbeat and
    /// notifications, the audit's writer, Entra's documents, the index of files, the sweeping of old sessions.
    ///
    /// `migrated` says whether the schema is up to date already; see [`changes::watch`](crate::roles::changes::watch).
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(settings: Settings, db: Db, migrated: bool) -> Result<web::Data<Self>, String> {
        Self::start_as(Look::Portal, settings, db, migrated)
    }

    /// As [`State::start`]; what is embedded has neither files nor an index of them.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start_as(
        look: Look,
        settings: Settings,
        db: Db,
        migrated: bool,
    ) -> Result<web::Data<Self>, String> {
        let entra = match &settings.entra {
            Some(entra) => Entra::new(entra, &settings.web.redirect_uri)?.map(Arc::new),
            None => None,
        };
        let certificate = settings.web.tls.as_ref().map(Certificate::read);
        let certificate = certificate
            .transpose()
            .map_err(|wrong| format!("TLS_CERT_PATH {wrong}"))?;
        let people = Arc::new(People::new(db.clone(), settings.role_cache_ttl));
        let authority = settings
            .entra
            .as_ref()
            .map_or("", |entra| entra.authority.as_str());
        let rules = Arc::new(Rulebook::new(db.clone(), settings.role_cache_ttl));
        let alone = matches!(db, Db::Sqlite(..));
        let files = match look.is_portal() {
            true => Files::new(&settings.files, rules.clone(), alone)?,
            false => Files::none(rules.clone()),
        };
        let metrics = Arc::new(Metrics::new()?);
        let index = Index::new(
            db.clone(),
            files.clone(),
            metrics.clone(),
            settings.files.rescan_interval,
        );
        let state = web::Data::new(Self {
            people,
            uploads: Uploads::new(db.clone(), files.clone()),
            audit: Arc::new(Queue::start(db.clone())),
            files,
            digests: Digests::new(db.clone()),
            index: Arc::new(index),
            listings: items::shared::Shared::default(),
            session_keys: Keyring::derive(&settings.session.secrets, "session")?,
            flow_keys: Keyring::derive(&settings.session.secrets, "flow")?,
            recent_keys: Keyring::derive(&settings.session.secrets, "recent")?,
            policy: Policy::new(authority, &settings.web.origin, settings.web.is_https()),
            look,
            described: Kept::default(),
            metrics,
            sign_ins: limiter(&settings),
            connections: Arc::default(),
            ending: AtomicBool::new(false),
            refusals: Refusals::default(),
            tops: Tops::default(),
            attempts: Cache::builder()
                .max_capacity(ATTEMPTS)
                .time_to_live(ATTEMPTS_FOR)
                .build(),
            entra,
            certificate,
            db,
            settings,
        });
        tasks::start(&state, rules, migrated);
        Ok(state)
    }

    /// Entra, for a handler that cannot do without.
    ///
    /// # Errors
    /// [`AppError::NotConfigured`].
    pub fn entra(&self) -> AppResult<&Arc<Entra>> {
        self.entra.as_ref().ok_or(AppError::NotConfigured)
    }

    /// Entra's origin, or nothing.
    pub fn authority(&self) -> &str {
        let entra = self.settings.entra.as_ref();
        entra.map_or("'none'", |entra| entra.authority.as_str())
    }

    /// Marks the portal as about to end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Whether it was told to.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }
}

/// Puts an `App` or a `Scope` behind what every request passes, from the last line to the first. (A macro, because the two
/// have no trait in common.)
macro_rules! wrapped {
    ($inner:expr, $state:expr) => {
        $inner
            .wrap($crate::auth::session::of_state($state))
            .wrap(actix_web::middleware::from_fn(
                $crate::auth::keyring::choose_cookie,
            ))
            .wrap(actix_web::middleware::from_fn(
                $crate::fake_user::local_only,
            ))
            .wrap(actix_web::middleware::from_fn($crate::error_pages::render))
            .wrap(actix_web::middleware::from_fn($crate::headers::secure))
            .wrap(actix_web::middleware::from_fn($crate::observe::observe))
    };
}
pub(crate) use wrapped;

/// The complete application.
pub fn build(
    state: web::Data<State>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let metrics = state.settings.metrics_token.is_some();
    let app = App::new()
        .app_data(state.clone())
        .configure(|config| routes::all(config, metrics));
    wrapped!(app, &state)
}

/// Runs a change to its end even when the client hangs up: dropping a handler's future would leave it half done.
///
/// # Errors
/// What the change returned; 500 should it panic.
pub async fn finish<T: 'static>(
    change: impl Future<Output = AppResult<T>> + 'static,
) -> AppResult<T> {
    actix_web::rt::spawn(change)
        .await
        .map_err(|error| AppError::Internal(format!("a change ended early: {error}")))?
}
