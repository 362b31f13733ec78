//! Understands the variables, one file per section; every problem is noted, none ends the search.

use std::time::Duration;

use url::{Host, Url};

use super::parse;
use super::problems::Problems;
use super::secret::Secret;
use super::variables::Variables;
use super::{
    Credentials, DatabaseSettings, FilesSettings, LogSettings, Mode, Settings, WebSettings,
};

mod audit;
mod credentials;
mod entra;
mod object_storage;
mod session;
mod storage;
mod web;

impl Settings {
    /// Reads what `portcullis serve` needs.
    ///
    /// # Errors
    /// All problems at once, each naming its variable.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        let p = &mut problems;
        let mode = mode(variables, p);
        let entra = match mode {
            Mode::Entra => entra::entra(variables, p),
            Mode::Dev | Mode::Test => None,
        };
        let web = web::web(variables, mode, p);
        let session = session::session(variables, mode, p);
        let database = storage::database(variables, p);
        let files = storage::files(variables, p);
        storage::apart(database.as_ref(), &files, p);
        let role_cache_ttl = duration(variables, "ROLE_CACHE_TTL", 300, 0, 3600, p);
        let audit = audit::audit(variables, p);
        let webhook = audit::webhook(variables, p);
        let metrics_token = variables
            .get("METRICS_TOKEN")
            .map(|token| Secret::new(token.to_owned()));
        let (Some(web), Some(database)) = (web, database) else {
            return Err(problems);
        };
        problems.none_or(Self {
            mode,
            entra,
            web,
            session,
            database,
            files,
            role_cache_ttl,
            audit,
            webhook,
            metrics_token,
        })
    }
}

impl Credentials {
    /// Reads only what proves that we are the registered application, for a change while the portal runs.
    ///
    /// # Errors
    /// All problems at once.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        match credentials::credentials(variables, &mut problems) {
            Some(credentials) => problems.none_or(credentials),
            None => Err(problems),
        }
    }
}

impl WebSettings {
    /// Reads only where the portal listens, for the command that asks whether it is ready.
    ///
    /// # Errors
    /// All problems at once.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        let mode = mode(variables, &mut problems);
        match web::web(variables, mode, &mut problems) {
            Some(settings) => problems.none_or(settings),
            None => Err(problems),
        }
    }
}

impl DatabaseSettings {
    /// Reads only `DATABASE_URL`, for commands that need nothing else.
    ///
    /// # Errors
    /// The problem with that variable.
    pub fn read(variables: &Variables, mut problems: Problems) -> Result<Self, Problems> {
        match storage::database(variables, &mut problems) {
            Some(database) => problems.none_or(database),
            None => Err(problems),
        }
    }
}

impl FilesSettings {
    /// Reads only what is about files, for commands that need nothing else but the database. What is wrong is noted.
    pub fn read(variables: &Variables, mut problems: Problems) -> (Self, Problems) {
        let files = storage::files(variables, &mut problems);
        (files, problems)
    }
}

impl LogSettings {
    /// Reads the logging variables.
    pub fn read(variables: &Variables, problems: &mut Problems) -> Self {
        let json = match variables.get("LOG_FORMAT") {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => {
                problems.add("LOG_FORMAT", "must be text or json");
                false
            }
        };
        let filter = variables.get("RUST_LOG").unwrap_or("info").to_owned();
        Self { json, filter }
    }
}

fn mode(variables: &Variables, problems: &mut Problems) -> Mode {
    let mut wants = |name| {
        variables.get(name).is_some_and(|text| {
            parse::switch(text).unwrap_or_else(|wrong| {
                problems.add(name, wrong);
                false
            })
        })
    };
    let (dev, test) = (wants("DEV_MODE"), wants("TEST_MODE"));
    if test {
        Mode::Test
    } else if dev || (variables.started_by_cargo() && variables.nothing_about_sign_in()) {
        Mode::Dev
    } else {
        Mode::Entra
    }
}

fn switch(variables: &Variables, name: &str, problems: &mut Problems) -> bool {
    match variables.get(name).map(parse::switch) {
        None => false,
        Some(Ok(on)) => on,
        Some(Err(wrong)) => {
            problems.add(name, wrong);
            false
        }
    }
}

/// A duration within bounds; all numbers in seconds.
fn duration(
    variables: &Variables,
    name: &str,
    default: u64,
    least: u64,
    most: u64,
    problems: &mut Problems,
) -> Duration {
    let default = Duration::from_secs(default);
    match variables.get(name).map(parse::duration) {
        None => default,
        Some(Ok(value)) if (least..=most).contains(&value.as_secs()) => value,
        Some(Ok(_)) => {
            problems.add(name, format!("must be between {least}s and {most}s"));
            default
        }
        Some(Err(wrong)) => {
            problems.add(name, wrong);
            default
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Scheme, host and port of a URL, without a trailing slash.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
