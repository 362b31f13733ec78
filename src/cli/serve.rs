//! `portcullis serve`: opens the database, binds the port, and runs until it is told to stop.

use super::lifecycle::{self, Signals};
use super::{reload, samples};
use crate::app::{self, State};
use crate::db::Db;
use crate::db::migrate::{self, MigrateError};
use crate::radar;
use crate::roles::store;
use crate::settings::{DEV_USER, DatabaseSettings, Mode, Settings};
use crate::tls::{self, Certificate};

/// Runs the portal.
pub fn run(settings: Settings) -> Result<(), String> {
    raise_descriptor_limit();
    super::runtime()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), String> {
    let signals = Signals::new()?;
    let listener = lifecycle::listen(&settings.web)?;
    let is_new = is_new(&settings.database);
    if settings.mode == Mode::Dev {
        samples::files(&settings.files)
            .map_err(|error| format!("FILES_DIR: the sample files cannot be made: {error}"))?;
    }
    let db = Db::open(&settings.database)?;
    let migrated = match migrate::run(&db).await {
        Ok(_) => true,
        // The portal starts while its database is away, and opens when it comes back.
        Err(MigrateError::Away(cause)) if matches!(db, Db::Postgres(..)) => {
            log::error!("the database is away, every closed page answers 503: {cause}");
            false
        }
        Err(error) => return Err(format!("DATABASE_URL: {error}")),
    };
    if settings.mode == Mode::Entra && migrated {
        warn_of_fake_user(&db).await;
    }
    if settings.mode == Mode::Dev && is_new {
        samples::admin(&db)
            .await
            .map_err(|error| error.to_string())?;
    }
    let origin = settings.web.origin.clone();
    announce(&settings);
    let state = State::start(settings, db.clone(), migrated)?;
    let certificate = match &state.settings.web.tls {
        Some(tls) => {
            Some(Certificate::read(tls).map_err(|wrong| format!("TLS_CERT_PATH {wrong}"))?)
        }
        None => None,
    };
    if let Some(entra) = &state.entra {
        tokio::spawn(radar::watch(entra.clone()));
    }
    if state.settings.mode == Mode::Entra {
        tokio::spawn(reload::watch(state.clone(), certificate.clone()));
    }
    let tls = certificate.map(tls::server).transpose()?;
    let server = app::server(state.clone(), listener, tls)?;
    tokio::spawn(lifecycle::end_in_order(
        state.clone(),
        server.handle(),
        signals,
    ));
    tokio::spawn(lifecycle::keep_telling(state.settings.web.clone()));
    log::info!("the portal is at {origin}");
    let ended = server.await;
    // Downloads that ended in the last moments are still on their way into the audit.
    state.audit.finish().await;
    db.close();
    ended.map_err(|error| format!("the server failed: {error}"))
}

/// The row that development mode made waits for whoever gets Entra to say that address.
async fn warn_of_fake_user(db: &Db) {
    let rows = async { store::rows_of(&mut db.conn().await?, DEV_USER).await };
    if rows.await.is_ok_and(|rows: Vec<_>| !rows.is_empty()) {
        log::warn!(
            "the database was used in DEV_MODE: {DEV_USER} has a role in it; take it away with `portcullis roles revoke {DEV_USER}`"
        );
    }
}

/// Systems often allow 1,024 descriptors at first and many more on request; each connection and each download is one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::warn!("the limit of open files stays as it is: {error}");
    }
}

fn is_new(settings: &DatabaseSettings) -> bool {
    match settings {
        DatabaseSettings::Sqlite { path, .. } => !path.exists(),
        DatabaseSettings::Postgres(_) => false,
    }
}

fn announce(settings: &Settings) {
    let token = settings.metrics_token.as_ref();
    if token.is_some_and(|token| token.expose().len() < 16) {
        log::warn!(
            "METRICS_TOKEN is short enough to be guessed; make one with `openssl rand -hex 16`"
        );
    }
    match settings.mode {
        Mode::Dev => log::warn!(
            "DEV_MODE: everybody is dev.user@example.com, Microsoft is not asked; only this machine can connect"
        ),
        Mode::Test => log::warn!("TEST_MODE: the X-Test-User header says who somebody is"),
        Mode::Entra => {
            let entra = settings.entra.as_ref();
            if entra.is_some_and(|entra| entra.client_id.is_none()) {
                log::error!(
                    "APP_REG_CLIENT_ID is not set: nobody can sign in, everything stays closed"
                );
            }
        }
    }
}
