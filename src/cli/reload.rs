//! Takes new credentials and certificates over while the portal runs: on SIGHUP, and when a file that one was read from
//! changes. No request is lost by it, and what cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::web;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::State;
use crate::auth::entra::Entra;
use crate::settings::{Credentials, Problems, Variables};
use crate::tls::Certificate;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Files with what tells that they changed: an editor may put the old time back, so the size counts as well.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Runs until the process ends. `certificate` is that of our own TLS, where there is one.
pub async fn watch(state: web::Data<State>, certificate: Option<Arc<Certificate>>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return log::error!("SIGHUP is not listened to: {error}"),
    };
    let mut interval = tokio::time::interval(LOOK_EVERY);
    let mut seen = stamps(&state);
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interval.tick() => {
                if stamps(&state) == seen {
                    continue;
                }
            }
        }
        if let Some(entra) = &state.entra {
            reload_credentials(entra);
        }
        if let Some(certificate) = &certificate {
            reload_certificate(&state, certificate);
        }
        seen = stamps(&state);
    }
}

fn reload_credentials(entra: &Entra) {
    let mut problems = Problems::default();
    let variables = Variables::from_process(&mut problems);
    match Credentials::read(&variables, problems) {
        Ok(credentials) => {
            entra.keychain().replace(credentials);
            log::info!("the credentials were read again and are in use");
        }
        Err(problems) => log::error!("the credentials stay as they were: {problems}"),
    }
}

fn reload_certificate(state: &State, certificate: &Certificate) {
    let Some(tls) = &state.settings.web.tls else {
        return;
    };
    match certificate.reload(tls) {
        Ok(()) => log::info!("the certificate was read again and is in use"),
        Err(wrong) => log::error!("the certificate stays as it was: TLS_CERT_PATH {wrong}"),
    }
}

fn stamps(state: &State) -> Stamps {
    let entra = state.entra.iter();
    let credentials = entra.flat_map(|entra| entra.keychain().all());
    let tls = state.settings.web.tls.iter();
    let of_tls = tls.flat_map(|tls| [tls.certificate.clone(), tls.key.clone()]);
    let files = credentials.filter_map(|credential| credential.file);
    files
        .chain(of_tls)
        .map(|file| {
            let stamp = stamp(&file);
            (file, stamp)
        })
        .collect()
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
