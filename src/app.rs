//! State and the complete application: the place that calls `.wrap()`. `main` and every test build it here, and [`crate::embed`]
//! puts the same around what it protects.

use std::net::{IpAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::cookie::Cookie;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, HttpRequest, HttpServer, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::future::Cache;
use rustls::ServerConfig;

use crate::access::webhook;
use crate::audit::keeper;
use crate::audit::queue::Queue;
use crate::audit::refusals::Refusals;
use crate::audit::tops::Tops;
use crate::auth::entra::Entra;
use crate::auth::flow::Flows;
use crate::auth::keyring::Keyring;
use crate::auth::recent::Recent;
use crate::auth::{client, store};
use crate::clock;
use crate::connections::Connections;
use crate::db::{Conn, Db, DbError};
use crate::error::{AppError, AppResult};
use crate::files::digest::Digests;
use crate::files::{self, Files};
use crate::headers::Policy;
use crate::index::{self, Index};
use crate::items;
use crate::items::uploads::{self, Uploads};
use crate::message::Look;
use crate::metrics::Metrics;
use crate::openapi::Kept;
use crate::roles::cache::People;
use crate::roles::{changes, ends};
use crate::routes;
use crate::rules::Rulebook;
use crate::settings::Settings;
use crate::tls::Certificate;
use crate::trash::keeper as keeper_of_trash;

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle ones are let go by their time-outs; this only bounds the memory that a flood can take.
const CONNECTIONS_PER_WORKER: usize = 16_384;
/// Threads that one worker may have waiting for disk or SQLite. Files can take up two times [`files::AT_ONCE`] of them.
const BLOCKING_THREADS: usize = 4 * files::AT_ONCE;
/// States of sign-ins that are remembered as tried, and for how long: as long as a sign-in may take.
const ATTEMPTS: u64 = 100_000;
const ATTEMPTS_FOR: Duration = Duration::from_secs(180);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often counters of addresses that have come to rest are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

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
    /// `migrated` says whether the schema is up to date already; see [`changes::watch`].
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
            people: people.clone(),
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
        tokio::spawn(changes::watch(
            state.db.clone(),
            people.clone(),
            rules,
            migrated,
        ));
        if state.look.is_portal() {
            tokio::spawn(tend_files(state.clone().into_inner()));
            tokio::spawn(uploads::sweep::watch(state.clone().into_inner()));
        }
        tokio::spawn(forget(state.clone().into_inner()));
        tokio::spawn(ends::watch(state.db.clone(), people.clone()));
        if let Some(webhook) = state.settings.webhook.clone() {
            let people = people.clone();
            tokio::spawn(webhook::watch(state.db.clone(), people, webhook));
        }
        let keep = state.settings.audit.retention;
        tokio::spawn(keeper::watch(state.db.clone(), people, keep));
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

    /// Marks the portal as about to end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Whether it was told to.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
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
            .check_key(&client::household(address))
            .map_err(|early| AppError::TooMany(early.wait_time_from(DefaultClock::default().now())))
    }

    /// Whether the sign-in with that `state` may be tried (again). A browser that repeats its callback gets an answer
    /// from Entra twice; a cookie that is sent over and over gets none after that.
    pub async fn may_attempt(&self, state: &str) -> bool {
        let attempts = self.attempts.entry_by_ref(state).or_default().await;
        attempts.value().fetch_add(1, Ordering::Relaxed) < 2
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

    /// Where the browser's latest sign-ins were to lead.
    pub fn recent(&self, req: &HttpRequest) -> Recent {
        Recent::read(req.headers(), &self.recent_keys, self.recent_cookie_name())
    }

    /// The cookie that holds them.
    pub fn recent_cookie(&self, recent: &Recent) -> Cookie<'static> {
        let secure = self.settings.web.is_https();
        recent.cookie(&self.recent_keys, self.recent_cookie_name(), secure)
    }

    fn recent_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-recent",
            false => "recent",
        }
    }

    fn flow_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-flow",
            false => "flow",
        }
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

/// The server on sockets that are bound already. It ends when its handle says so; signals are the caller's matter.
///
/// # Errors
/// A sentence, should a socket not be usable.
pub fn server(
    state: web::Data<State>,
    listeners: Vec<TcpListener>,
    tls: Option<ServerConfig>,
) -> Result<Server, String> {
    let grace = state.settings.web.shutdown_grace.as_secs();
    let connections = state.connections.clone();
    tokio::spawn(connections.clone().watch());
    let mut server = HttpServer::new(move || build(state.clone()))
        .on_connect(move |io, data| connections.note(io, data))
        // Without it the last part of a small answer waits 40 ms for the client's delayed acknowledgement.
        .tcp_nodelay(true)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connections(CONNECTIONS_PER_WORKER)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .shutdown_timeout(grace)
        .disable_signals();
    for listener in listeners {
        let listening = match &tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls.clone()),
            None => server.listen(listener),
        };
        server = listening.map_err(|error| format!("the server cannot listen: {error}"))?;
    }
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

/// Looks after the files until the process ends.
async fn tend_files(state: Arc<State>) {
    let (db, files, people) = (&state.db, &state.files, &state.people);
    keeper_of_trash::begin(db, files, people).await;
    tokio::join!(
        index::run(state.index.clone(), people.clone()),
        keeper_of_trash::watch(db.clone(), files.clone(), people.clone()),
    );
}

/// Forgets the counters of addresses that have come to rest.
async fn forget(state: Arc<State>) {
    let mut interval = tokio::time::interval(FORGET_EVERY);
    loop {
        interval.tick().await;
        state.sign_ins.retain_recent();
    }
}

/// Deletes the rows of sessions that are too old to be revived.
async fn sweep(state: Arc<State>) {
    let mut hourly = tokio::time::interval(SWEEP_EVERY);
    loop {
        hourly.tick().await;
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
