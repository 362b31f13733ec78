//! Takes new credentials over while the portal runs: on SIGHUP, and when a file that one was read from changes.
//! No request is lost by it, and what cannot be used changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use crate::auth::entra::Entra;
use crate::settings::{Credentials, Problems, Variables};

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs until the process ends.
pub async fn watch(entra: Arc<Entra>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return log::error!("SIGHUP is not listened to: {error}"),
    };
    let mut interval = tokio::time::interval(LOOK_EVERY);
    let mut seen = stamps(&entra);
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interval.tick() => {
                if stamps(&entra) == seen {
                    continue;
                }
            }
        }
        reload(&entra);
        seen = stamps(&entra);
    }
}

fn reload(entra: &Entra) {
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

/// When each file was last changed, and its size: an editor may put the old time back.
fn stamps(entra: &Entra) -> Vec<(PathBuf, Option<(SystemTime, u64)>)> {
    let files = entra.keychain().all().into_iter();
    files
        .filter_map(|credential| credential.file)
        .map(|file| {
            let metadata = std::fs::metadata(&file);
            let stamp = metadata.and_then(|metadata| Ok((metadata.modified()?, metadata.len())));
            (file, stamp.ok())
        })
        .collect()
}
