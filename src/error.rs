//! Everything that can go wrong for a visitor: one status, one heading, one sentence that says what to do.
//! The cause stays here for the log; `error_pages` turns the rest into a page or into problem+json.

use std::fmt;
use std::time::Duration;

use crate::auth::entra::Refusal;
use crate::db::DbError;
use crate::roles::Role;

mod answer;
mod problem;
mod words;

pub use problem::{Problem, Way};

/// The result of a handler.
pub type AppResult<T> = Result<T, AppError>;

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppError {
    /// Nobody is signed in: 401.
    SignInNeeded,
    /// Signed in, but without any role: 403.
    NoRole,
    /// The address has a role, but belongs to another account of the tenant: 403.
    OtherAccount,
    /// Signed in, with a lesser role than this needs: 403.
    RoleNeeded(Role),
    /// A change that was not asked for by one of our own pages: 403.
    CrossSite,
    /// There is no such thing, or the person may not know of it: 404.
    NotFound,
    /// The address exists, but not for this method: 405 with the methods allowed.
    MethodNotAllowed(&'static str),
    /// The portal cannot use the request: 400 with a sentence.
    Unusable(String),
    /// A value in it is wrong: 422 with a sentence.
    Unprocessable(String),
    /// Something by that name is there already: 409 with a sentence.
    Conflict(String),
    /// More than is taken: 413 with a sentence.
    TooLarge(String),
    /// The upload's address was good once: 410.
    Gone,
    /// The bytes begin at another place than the upload has reached, which is told: 409.
    WrongOffset(u64),
    /// The bytes are not those that the checksum was made of: 460 of the tus protocol.
    WrongChecksum,
    /// Somebody else is writing it at this moment: 423.
    InUse,
    /// Another version of the tus protocol than ours: 412.
    TusVersion,
    /// The body is not of the kind that this address takes: 415 with a sentence.
    WrongKind(String),
    /// The person has as many unfinished uploads as one may have: 429 with how many, or how large, those are.
    TooManyUploads(String),
    /// Too often: 429, and when to come back.
    TooMany(Duration),
    /// The person has as many downloads open as one may have: 429 with that number.
    TooManyDownloads(usize),
    /// The zips that are being sent take all the memory that they may: 503.
    ZipsFull,
    /// The file is not in the state that the request was for: 412.
    Changed,
    /// The file is being written at this very moment: 503.
    BeingWritten,
    /// There is no such part of the file, which has so many bytes: 416 with a sentence.
    Range(u64, &'static str),
    /// No space is left on the disk: 507.
    NoSpace,
    /// The portal's own rights do not reach the file or folder: 500 with the cause.
    Unreadable(String),
    /// FILES_DIR is empty or another folder than the one that the index knows: 503 with the cause.
    FilesAway(String),
    /// The object storage does not answer, or refuses the portal: 503 with the cause.
    StorageAway(String),
    /// This needs a folder, and the files lie in object storage: 501.
    NeedsFolder,
    /// The host name is not one that the fake user answers to: 421.
    Misdirected,
    /// A prefetch asked for something that only a person's click may do: 503.
    Prefetch,
    /// A callback whose sign-in is not known (any more): 400, with the target where that is still known.
    SignInLost(String),
    /// Entra or our checks refused: 401, with the way back to this target.
    SignInRefused(Box<Refusal>, String),
    /// `/login` while the portal is about to end: 503.
    Restarting,
    /// `/login` without a client id: 503.
    NotConfigured,
    /// Entra cannot be reached: 503 with the cause.
    AuthorityAway(String),
    /// The database cannot be reached: 503 with the cause.
    DatabaseAway(String),
    /// The cookie is gone, and the session ends on the server as soon as the database is back: 503 with the cause.
    SignOutPending(String),
    /// A mistake of ours: 500 with the cause.
    Internal(String),
}

impl AppError {
    /// What to write into the log, where there is more to say than the status does.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::SignInRefused(refusal, _) => Some(format!(
                "sign-in refused ({}): {}",
                refusal.reason, refusal.cause
            )),
            Self::AuthorityAway(cause)
            | Self::DatabaseAway(cause)
            | Self::SignOutPending(cause)
            | Self::Unreadable(cause)
            | Self::FilesAway(cause)
            | Self::StorageAway(cause)
            | Self::Internal(cause) => Some(cause.clone()),
            Self::NotConfigured => Some("APP_REG_CLIENT_ID is not set".to_owned()),
            Self::NoSpace => Some("no space is left in FILES_DIR".to_owned()),
            _ => None,
        }
    }

    /// Whether whoever runs the portal has to do something, although the status is not a 5xx.
    pub fn is_operators(&self) -> bool {
        matches!(self, Self::SignInRefused(refusal, _) if refusal.is_operators)
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)
    }
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Away(cause) => Self::DatabaseAway(cause),
            query @ DbError::Query(_) => Self::Internal(query.to_string()),
        }
    }
}

impl From<diesel::result::Error> for AppError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<std::io::Error> for AppError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::NotFound,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Internal(error.to_string()),
        }
    }
}
