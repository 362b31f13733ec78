//! `portcullis doctor` and `/admin/diagnostics`: everything around the portal that can be wrong, looked at beforehand,
//! each with what to do about it.

use serde::Serialize;

use crate::auth::entra::Entra;
use crate::db::Db;
use crate::settings::Settings;

mod database;
mod ends;
mod entra;
mod files;
mod storage;
mod web;

pub use database::examine as database;
pub use web::forwarded;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and will bite one day.
    Warn,
    /// It does not work.
    Fail,
}

impl Level {
    /// `ok`, `warn` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub says: String,
    /// What to do about it, naming the variable or the place in the Azure portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Ok,
            says: says.into(),
            cure: None,
        }
    }

    /// It works for now.
    pub fn warn(check: &'static str, says: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            cure: Some(cure.into()),
            ..Self::ok(check, says)
        }
    }

    /// It does not work.
    pub fn fail(check: &'static str, says: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            cure: Some(cure.into()),
            ..Self::ok(check, says)
        }
    }
}

/// Looks at everything that these settings name. Changes nothing but for a file of a few bytes in FILES_DIR or
/// an object at FILES_URL, which is removed again.
///
/// `db` is `None` where that could not be opened and was told already.
pub async fn examine(settings: &Settings, db: Option<&Db>, entra: Option<&Entra>) -> Vec<Finding> {
    let mut findings = web::examine(settings);
    findings.extend(sign_in(settings, entra).await);
    if let Some(db) = db {
        findings.extend(database::examine(db).await);
    }
    findings.extend(files(settings).await);
    findings
}

/// Looks at what signing in needs.
pub async fn sign_in(settings: &Settings, entra: Option<&Entra>) -> Vec<Finding> {
    match (&settings.entra, entra) {
        (None, _) => vec![Finding::warn(
            "sign-in",
            "everybody is a fake user, and Microsoft is not asked",
            "unset DEV_MODE and TEST_MODE, and fill in what .env.example lists, for real use",
        )],
        (Some(_), None) => vec![Finding::fail(
            "sign-in",
            "nobody can sign in",
            "set APP_REG_CLIENT_ID to the Application (client) ID on the app registration's Overview page",
        )],
        (Some(_), Some(entra)) => entra::examine(entra).await,
    }
}

/// Looks at where the files lie.
pub async fn files(settings: &Settings) -> Vec<Finding> {
    match &settings.files.storage {
        Some(storage) => storage::examine(storage).await,
        None => files::examine(&settings.files).await,
    }
}
