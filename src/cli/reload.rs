//! Takes new credentials and certificates over while the portal runs: on SIGHUP, and when a file that one was read from
//! changes. No request is lost by it, and what cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::State;
use crate::auth::entra::Entra;
use crate::settings::{Credentials, Problems, Variables};
use crate::tls::Certificate;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Files with what tells that they changed: an editor may put the old time back, so the size counts as well.
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// SIGHUP, listened to from before the first request on and in every mode, or it would end the process.
///
/// # Errors
/// A sentence, should the system not allow it.
pub fn hangup() -> Result<Signal, String> {
    signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP cannot be listened to: {error}"))
}

/// Runs until the process ends.
pub async fn watch(state: web::Data<State>, mut hangup: Signal) {
    let mut interval = tokio::time::interval(LOOK_EVERY);
    let mut seen = stamps(&state);
    loop {
        let is_asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = interval.tick() => false,
        };
        let reload = || reload(&state, is_asked);
        read_again(&mut seen, is_asked, || stamps(&state), reload);
    }
}

/// Looks before it reads: what is written while it reads is another change, and read at the next look.
fn read_again(seen: &mut Stamps, is_asked: bool, look: impl Fn() -> Stamps, reload: impl FnOnce()) {
    let now = look();
    if is_asked || now != *seen {
        *seen = now;
        reload();
    }
}

fn reload(state: &State, is_asked: bool) {
    if let Some(entra) = &state.entra {
        reload_credentials(entra, is_asked);
    }
    if let Some(certificate) = &state.certificate {
        reload_certificate(state, certificate);
    }
    if is_asked && state.entra.is_none() && state.certificate.is_none() {
        log::info!("there are neither credentials nor a certificate to read again");
    }
}

fn reload_credentials(entra: &Entra, is_asked: bool) {
    let mut problems = Problems::default();
    let variables = Variables::from_process(&mut problems);
    let read = Credentials::read(&variables, problems);
    match read.map(|credentials| entra.keychain().replace(credentials)) {
        Ok(true) => log::info!("the credentials were read again and are in use"),
        Ok(false) if is_asked => log::warn!(
            "the credentials are as they were: nothing has changed in .env, in PORTCULLIS_CONFIG or in the files that they \
             name; variables of the environment count from the next start"
        ),
        Ok(false) => {}
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_change_while_a_file_is_read_is_read_at_the_next_look() {
        let size = Cell::new(1);
        let look = || {
            vec![(
                PathBuf::from("client.pem"),
                Some((SystemTime::UNIX_EPOCH, size.get())),
            )]
        };
        let mut seen = look();
        let reads = Cell::new(0);
        let read = || reads.set(reads.get() + 1);
        read_again(&mut seen, false, look, read);
        assert_eq!(reads.get(), 0, "nothing changed");
        size.set(2);
        read_again(&mut seen, false, look, || {
            read();
            size.set(3);
        });
        read_again(&mut seen, false, look, read);
        read_again(&mut seen, false, look, read);
        assert_eq!(reads.get(), 2, "once for each change");
        read_again(&mut seen, true, look, read);
        assert_eq!(reads.get(), 3, "and whenever somebody asks");
    }
}
