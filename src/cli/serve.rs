//! `portcullis serve`: opens the database, binds the port, and runs until it is told to stop.

use std::net::SocketAddr;

use super::lifecycle::{self, Signals};
use super::{reload, samples};
use crate::app::{self, State};
use crate::radar;
use crate::settings::{Mode, Settings};
use crate::starting;
use crate::tls;

/// Runs the portal.
pub fn run(settings: Settings) -> Result<(), String> {
    raise_descriptor_limit();
    super::runtime()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), String> {
    let signals = Signals::new()?;
    let hangup = reload::hangup()?;
    let listeners = lifecycle::listen(&settings.web)?;
    if settings.mode == Mode::Dev {
        samples::files(&settings.files)
            .map_err(|error| format!("FILES_DIR: the sample files cannot be made: {error}"))?;
    }
    let (db, migrated) = starting::database(&settings).await?;
    let origin = settings.web.origin.clone();
    announce(&settings);
    let state = State::start(settings, db.clone(), migrated)?;
    tokio::spawn(radar::watch(state.entra.clone(), state.certificate.clone()));
    tokio::spawn(reload::watch(state.clone(), hangup));
    let tls = state.certificate.clone().map(tls::server).transpose()?;
    let addresses = lifecycle::addresses(&listeners)?;
    let server = app::server(state.clone(), listeners, tls)?;
    tokio::spawn(lifecycle::end_in_order(
        state.clone(),
        server.handle(),
        addresses.iter().map(SocketAddr::port).collect(),
        signals,
    ));
    tokio::spawn(lifecycle::keep_telling(
        state.settings.web.clone(),
        addresses,
    ));
    log::info!("the portal is at {origin}");
    let ended = server.await;
    // Downloads that ended in the last moments are still on their way into the audit.
    state.audit.finish().await;
    db.close();
    ended.map_err(|error| format!("the server failed: {error}"))
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
