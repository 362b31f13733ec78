//! Where values come from: environment, `.env`, then the TOML file. The only file that reads the environment.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, File, FileFormat};

use super::problems::Problems;

/// Every variable that Portcullis reads: name, older alias, and whether the value is a secret.
/// The settings table of the README and `.env.example` are tested against this list.
pub const KNOWN: &[(&str, Option<&str>)] = &[
    ("AZURE_TENANT_ID", None),
    ("AZURE_AUTHORITY_HOST", None),
    ("APP_REG_CLIENT_ID", Some("AZURE_CLIENT_ID")),
    ("EMAIL_CLAIM", None),
    ("APP_REG_CLIENT_SECRET", Some("AZURE_CLIENT_SECRET")),
    ("APP_REG_CLIENT_SECRET_EXPIRES_ON", None),
    ("APP_REG_CLIENT_SECRET_NEXT", None),
    ("APP_REG_CLIENT_CERT", None),
    (
        "APP_REG_CLIENT_CERT_PATH",
        Some("AZURE_CLIENT_CERTIFICATE_PATH"),
    ),
    ("APP_REG_CLIENT_CERT_NEXT_PATH", None),
    ("APP_REG_CLIENT_THUMBPRINT", None),
    ("APP_REG_ASSERTION_ALG", None),
    ("AZURE_FEDERATED_TOKEN_FILE", None),
    ("APP_REG_MANAGED_IDENTITY", None),
    ("APP_REG_REDIRECT_URI", None),
    ("API_COOKIE_SECRET", None),
    ("DATABASE_URL", None),
    ("FILES_DIR", None),
    ("FILES_URL", None),
    ("FILES_DOWNLOADS", None),
    ("AZURE_STORAGE_ACCOUNT_KEY", Some("AZURE_STORAGE_KEY")),
    ("AZURE_STORAGE_SAS_TOKEN", None),
    ("AZURE_STORAGE_CLIENT_ID", None),
    ("AZURE_STORAGE_ENDPOINT", None),
    ("AWS_ACCESS_KEY_ID", None),
    ("AWS_SECRET_ACCESS_KEY", None),
    ("AWS_SESSION_TOKEN", None),
    ("AWS_REGION", Some("AWS_DEFAULT_REGION")),
    ("AWS_ENDPOINT_URL", None),
    ("UPLOAD_LIMIT", None),
    ("UPLOAD_KINDS", None),
    ("SENDFILE_HEADER", None),
    ("SENDFILE_PREFIX", None),
    ("RESCAN_INTERVAL", None),
    ("HOST", None),
    ("PORT", None),
    ("TRUSTED_PROXIES", None),
    ("SIGN_IN_RATE", None),
    ("TLS_CERT_PATH", None),
    ("TLS_KEY_PATH", None),
    ("SHUTDOWN_DELAY", None),
    ("SHUTDOWN_GRACE", None),
    ("SESSION_TTL", None),
    ("SESSION_IDLE", None),
    ("ROLE_CACHE_TTL", None),
    ("ALLOW_GUESTS", None),
    ("AUDIT_RETENTION", None),
    ("AUDIT_ADDRESSES", None),
    ("ACCESS_REQUEST_WEBHOOK", None),
    ("ACCESS_REQUEST_WEBHOOK_SECRET", None),
    ("METRICS_TOKEN", None),
    ("LOG_FORMAT", None),
    ("RUST_LOG", None),
    ("DEV_MODE", None),
    ("TEST_MODE", None),
];

/// The values that were found, by variable name, before any of them is understood.
/// Empty values count as unset, so that a copied `.env.example` changes nothing.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    started_by_cargo: bool,
}

impl Variables {
    /// Collects the values from the process: environment first, then `.env` in the working
    /// directory, then the file that `PORTCULLIS_CONFIG` names. Unreadable sources and names
    /// that nothing reads go to `problems`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn from_process(problems: &mut Problems) -> Self {
        let mut environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let started_by_cargo = environment.contains_key("CARGO")
            && environment
                .get("CARGO_PKG_NAME")
                .is_some_and(|name| name == env!("CARGO_PKG_NAME"));

        for (name, value) in read_dotenv(problems) {
            environment.entry(name).or_insert(value);
        }
        let mut values = match environment.get("PORTCULLIS_CONFIG") {
            Some(path) => read_file(Path::new(path), problems),
            None => BTreeMap::new(),
        };
        values.extend(environment);
        Self {
            values,
            started_by_cargo,
        }
    }

    /// Values given by a test or by an embedding program, instead of the process's.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let values = pairs
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            values,
            started_by_cargo: false,
        }
    }

    /// The value of `name`, or of its alias. The name itself wins where both are set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let alias = KNOWN
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, alias)| *alias);
        self.values
            .get(name)
            .or_else(|| self.values.get(alias?))
            .map(|value| value.trim())
    }

    /// The same without those, as if they were not set.
    pub fn without(&self, names: &[&str]) -> Self {
        let mut rest = self.clone();
        for (name, alias) in KNOWN.iter().filter(|(known, _)| names.contains(known)) {
            rest.values.remove(*name);
            alias.and_then(|alias| rest.values.remove(alias));
        }
        rest
    }

    /// Whether nothing about identity was configured, so that `cargo run` may start with the fake user.
    pub fn nothing_about_sign_in(&self) -> bool {
        !self.values.keys().any(|name| {
            name.starts_with("AZURE_")
                || name.starts_with("APP_REG_")
                || ["API_COOKIE_SECRET", "DEV_MODE", "TEST_MODE"].contains(&name.as_str())
        })
    }

    /// Whether `cargo run` started this process (cargo tells its children so).
    pub fn started_by_cargo(&self) -> bool {
        self.started_by_cargo
    }
}

fn read_dotenv(problems: &mut Problems) -> Vec<(String, String)> {
    let entries = match dotenvy::from_path_iter(".env") {
        Ok(entries) => entries,
        Err(error) if error.not_found() => return Vec::new(),
        Err(error) => {
            problems.add(".env", format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let mut pairs = Vec::new();
    for entry in entries {
        match entry {
            Ok((name, value)) if !value.trim().is_empty() => pairs.push((name, value)),
            Ok(_) => {}
            Err(_) => problems.add(
                ".env",
                "has a line that is not NAME=value; put values with spaces or # in quotes",
            ),
        }
    }
    pairs
}

fn read_file(path: &Path, problems: &mut Problems) -> BTreeMap<String, String> {
    let table = Config::builder()
        .add_source(File::from(path).format(FileFormat::Toml))
        .build()
        .and_then(Config::try_deserialize::<BTreeMap<String, config::Value>>);
    let table = match table {
        Ok(table) => table,
        Err(_) => {
            problems.add(
                "PORTCULLIS_CONFIG",
                format!(
                    "names {}, which is missing or is not a TOML file of NAME = \"value\" lines",
                    path.display()
                ),
            );
            return BTreeMap::new();
        }
    };
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let name = key.to_ascii_uppercase();
        if !is_known(&name) {
            problems.add(&name, format!("in {} is not a setting", path.display()));
            continue;
        }
        match value.into_string() {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                values.insert(name, text);
            }
            Err(_) => problems.add(&name, "must be a text, a number or true/false"),
        }
    }
    values
}

fn is_known(name: &str) -> bool {
    KNOWN
        .iter()
        .any(|(known, alias)| *known == name || *alias == Some(name))
}
