//! State and the complete application: the only place that calls `.wrap()`. `main` and every test build it here.

use std::net::{IpAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::cookie::Cookie;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpRequest, HttpServer, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::audit::queue::Queue;
use crate::auth::entra::Entra;
use crate::auth::flow::Flows;
use crate::auth::keyring::{self, Keyring};
use crate::auth::{client, session, store};
use crate::clock;
use crate::db::{Conn, Db, DbError};
use crate::error::{AppError, AppResult};
use crate::files::Files;
use crate::headers::{self, Policy};
use crate::index::{self, Index};
use crate::metrics::Metrics;
use crate::roles::cache::People;
use crate::roles::changes;
use crate::rules::Rulebook;
use crate::settings::Settings;
use crate::{error_pages, fake_user, observe, routes};

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle ones are let go by their time-outs; this only bounds the memory that a flood can take.
const CONNECTIONS_PER_WORKER: usize = 16_384;
const SHUTDOWN_SECONDS: u64 = 30;
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

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
    /// The protected files.
    pub files: Files,
    /// What lies in them, for lists and searches.
    pub index: Arc<Index>,
    /// Keys of the session cookie.
    pub session_keys: Keyring,
    /// Security headers.
    pub policy: Policy,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    flow_keys: Keyring,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
}

impl State {
    /// Puts the parts together and starts the tasks behind them on the current runtime: heartbeat and
    /// notifications, the audit's writer, Entra's documents, the index of files, the sweeping of old sessions.
    ///
    /// `migrated` says whether the schema is up to date already; see [`changes::watch`].
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn start(settings: Settings, db: Db, migrated: bool) -> Result<web::Data<Self>, String> {
        let entra = match &settings.entra {
            Some(entra) => Entra::new(entra, &settings.web.redirect_uri)?.map(Arc::new),
            None => None,
        };
        let people = Arc::new(People::new(db.clone(), settings.role_cache_ttl));
        let authority = settings
            .entra
            .as_ref()
            .map_or("", |entra| entra.authority.as_str());
        let rules = Arc::new(Rulebook::new(db.clone(), settings.role_cache_ttl));
        let files = Files::new(&settings.files, rules.clone())?;
        let metrics = Arc::new(Metrics::new()?);
        let index = Index::new(
            db.clone(),
            files.clone(),
            metrics.clone(),
            settings.files.rescan_interval,
        );
        let state = web::Data::new(Self {
            people: people.clone(),
            audit: Arc::new(Queue::start(db.clone())),
            files,
            index: Arc::new(index),
            session_keys: Keyring::derive(&settings.session.secrets, "session")?,
            flow_keys: Keyring::derive(&settings.session.secrets, "flow")?,
            policy: Policy::new(authority, settings.web.is_https()),
            metrics,
            sign_ins: limiter(&settings),
            entra,
            db,
            settings,
        });
        tokio::spawn(changes::watch(
            state.db.clone(),
            people.clone(),
            rules,
            migrated,
        ));
        tokio::spawn(index::run(state.index.clone(), people));
        tokio::spawn(sweep(state.clone().into_inner()));
        if let Some(entra) = &state.entra {
            tokio::spawn(entra.clone().keep_fresh());
        }
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

    /// Counts a sign-in that is about to begin.
    ///
    /// # Errors
    /// [`AppError::TooMany`] for an address that began too many.
    pub fn limit_sign_ins(&self, req: &HttpRequest) -> AppResult<()> {
        let peer = req.peer_addr().map(|peer| peer.ip());
        let trusted = &self.settings.web.trusted_proxies;
        let Some(address) = client::address(peer, req.headers(), trusted) else {
            return Ok(());
        };
        self.sign_ins
            .check_key(&address)
            .map_err(|early| AppError::TooMany(early.wait_time_from(DefaultClock::default().now())))
    }

    /// Name of the session cookie. `__Host-` keeps other hosts of the domain from setting it.
    pub fn session_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-session",
            false => "session",
        }
    }

    /// The sign-ins that a browser has on their way.
    pub fn flows(&self, req: &HttpRequest) -> Flows {
        Flows::read(req.headers(), &self.flow_keys, self.flow_cookie_name())
    }

    /// The cookie that holds them.
    pub fn flow_cookie(&self, flows: &Flows) -> Cookie<'static> {
        let secure = self.settings.web.is_https();
        flows.cookie(&self.flow_keys, self.flow_cookie_name(), secure)
    }

    fn flow_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-flow",
            false => "flow",
        }
    }
}

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
    let session = session::middleware(
        &state.session_keys,
        state.session_cookie_name(),
        state.settings.web.is_https(),
        &state.settings.session,
    );
    let metrics = state.settings.metrics_token.is_some();
    // A request passes these from the last line to the first.
    App::new()
        .app_data(state)
        .configure(|config| routes::all(config, metrics))
        .wrap(session)
        .wrap(from_fn(keyring::choose_cookie))
        .wrap(from_fn(fake_user::local_only))
        .wrap(from_fn(error_pages::render))
        .wrap(from_fn(headers::secure))
        .wrap(from_fn(observe::observe))
}

/// The server on a socket that is bound already.
///
/// # Errors
/// A sentence, should the socket not be usable.
pub fn server(state: web::Data<State>, listener: TcpListener) -> Result<Server, String> {
    let server = HttpServer::new(move || build(state.clone()))
        // Without it the last part of a small answer waits 40 ms for the client's delayed acknowledgement.
        .tcp_nodelay(true)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connections(CONNECTIONS_PER_WORKER)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen(listener)
        .map_err(|error| format!("the server cannot listen: {error}"))?;
    Ok(server.run())
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

fn limiter(settings: &Settings) -> DefaultKeyedRateLimiter<IpAddr> {
    let rate = settings.web.sign_in_rate;
    let quota = Quota::with_period(rate.per / rate.events.get())
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(rate.events);
    RateLimiter::keyed(quota)
}

/// Deletes the rows of sessions that are too old to be revived, and the counters of addresses that have come to rest.
async fn sweep(state: Arc<State>) {
    let mut hourly = tokio::time::interval(SWEEP_EVERY);
    loop {
        hourly.tick().await;
        state.sign_ins.retain_recent();
        if !state.people.is_available() {
            continue;
        }
        let oldest = clock::now() - clock::span(state.settings.session.ttl);
        let swept = state
            .db
            .transaction::<_, DbError>(async |conn: &mut Conn| store::sweep(conn, oldest).await)
            .await;
        match swept {
            Ok(0) => {}
            Ok(rows) => log::info!("{rows} sessions that had ended were swept"),
            Err(error) => log::warn!("old sessions were not swept: {error}"),
        }
    }
}
