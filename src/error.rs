//! Everything that can go wrong for a visitor: one status, one heading, one sentence that says what to do.
//! The cause stays here for the log; `error_pages` turns the rest into a page or into problem+json.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::auth::entra::Refusal;
use crate::auth::return_to;
use crate::db::DbError;
use crate::roles::Role;

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

/// What the visitor is told.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// A few words.
    pub heading: String,
    /// What happened and what to do.
    pub sentence: String,
    /// Further facts worth showing, by label.
    pub facts: Vec<(String, String)>,
    /// Ways on.
    pub actions: Vec<Way>,
}

/// A way on from a problem.
#[derive(Debug, Clone)]
pub struct Way {
    /// What the link says.
    pub label: &'static str,
    /// Where it leads.
    pub href: String,
}

impl Problem {
    /// The same where there are no files: in a program that embeds us.
    pub fn without_files(&mut self) {
        match self.status {
            StatusCode::NOT_FOUND => {
                self.sentence =
                    "The address may be mistyped, or what was here was moved or removed."
                        .to_owned();
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                self.sentence = "This address does not take that kind of request.".to_owned();
            }
            _ => {}
        }
        for way in self.actions.iter_mut().filter(|way| way.href == "/") {
            way.label = "Start page";
        }
    }
}

impl AppError {
    /// What to tell the visitor who asked for `asked` (path and query).
    pub fn problem(&self, asked: &str) -> Problem {
        let (heading, sentence) = self.words();
        Problem {
            status: self.status_code(),
            heading: heading.to_owned(),
            sentence,
            facts: self.facts(),
            actions: self.ways(asked),
        }
    }

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

    fn words(&self) -> (&'static str, String) {
        let (heading, sentence) = match self {
            Self::SignInNeeded => (
                "Please sign in",
                "This is only for people who are signed in. Sign in, and you come right back here.",
            ),
            Self::NoRole => (
                "You are signed in, but have no access yet",
                "Your address has no role in this portal. Ask an administrator of the portal, or the person who gave you \
                 the link, to add it. If you have another work account, use that one.",
            ),
            Self::OtherAccount => (
                "This address belongs to another account",
                "Your address has a role here, but it was used with another Microsoft account before. Addresses change hands, \
                 so an administrator of the portal has to confirm that it is yours now. If you have another work account, use that one.",
            ),
            Self::RoleNeeded(role) => {
                return (
                    "This needs another role",
                    format!(
                        "This part of the portal is for people with the role {role}. \
                         Ask an administrator of the portal if you should have it."
                    ),
                );
            }
            Self::CrossSite => (
                "That request came from elsewhere",
                "Another site, or no page at all, sent this, so nothing was done. Open the portal and do it from there.",
            ),
            Self::NotFound => (
                "There is nothing here",
                "The address may be mistyped, or the file was moved or removed. Look for it in the list of files.",
            ),
            Self::MethodNotAllowed(_) => (
                "That cannot be done here",
                "This address does not take that kind of request. Go back to the list of files.",
            ),
            Self::Unusable(sentence) => {
                return ("The portal cannot use that request", sentence.clone());
            }
            Self::Unprocessable(sentence) => {
                return ("That cannot be taken as it is", sentence.clone());
            }
            Self::Conflict(sentence) => return ("That name is taken", sentence.clone()),
            Self::TooLarge(sentence) => return ("That is too large", sentence.clone()),
            Self::TooMany(wait) => {
                return (
                    "Too many tries",
                    format!(
                        "There were too many sign-ins from your network in a short time. Try again in {} seconds.",
                        wait.as_secs().max(1)
                    ),
                );
            }
            Self::TooManyDownloads(most) => {
                return (
                    "Too many downloads at once",
                    format!(
                        "You have {most} downloads open, which is as many as one person may have. \
                         Wait until some of them have ended, or cancel them, and try again."
                    ),
                );
            }
            Self::ZipsFull => (
                "Too many zips are on their way",
                "The portal sends only so many large zips at a time, so that there is room for everybody. Wait until yours \
                 have ended, try again in a few minutes, or download fewer files at once.",
            ),
            Self::Gone => (
                "That upload is over",
                "Nothing came for a day, so what had arrived was removed. Begin the upload again.",
            ),
            Self::WrongOffset(offset) => {
                return (
                    "The upload is at another place",
                    format!(
                        "{offset} bytes have arrived, and these do not follow them. Ask for the offset (HEAD) and go on there."
                    ),
                );
            }
            Self::WrongChecksum => (
                "Those bytes are not what was sent",
                "They do not agree with their checksum, so none of them was kept. Send them again.",
            ),
            Self::InUse => (
                "That upload is being written",
                "Another connection sends its bytes at this moment, or did so a few seconds ago. Try again in a moment.",
            ),
            Self::TusVersion => (
                "That is another version of the protocol",
                "Uploads in pieces follow tus 1.0.0; send the header Tus-Resumable: 1.0.0.",
            ),
            Self::WrongKind(sentence) => {
                return ("That kind of content is not taken here", sentence.clone());
            }
            Self::TooManyUploads(most) => {
                return (
                    "Too many unfinished uploads",
                    format!(
                        "One person may have {most} that are not finished, and with this one you would have more. \
                         Finish or cancel some of them; what is left alone for a day goes by itself."
                    ),
                );
            }
            Self::Changed => (
                "The file has changed",
                "It is not the one that was asked for any more, and nothing was changed. Download it again, or look at it as it is now.",
            ),
            Self::BeingWritten => (
                "The file is being written",
                "It changed at the very moment when it was to be sent. Try again when it is complete.",
            ),
            Self::Range(_, sentence) => ("That part of the file does not exist", *sentence),
            Self::NoSpace => (
                "No space is left",
                "The portal's disk is full, so the file was not taken. What was there is unchanged. \
                 Tell the people who run the portal.",
            ),
            Self::Unreadable(_) => (
                "The portal cannot get at that",
                "It is there, but the portal has no right to read or write it. Nothing was changed. Tell the people \
                 who run the portal the reference below.",
            ),
            Self::FilesAway(_) => (
                "The files are not there just now",
                "The place where the portal keeps them is empty or is another one than before, as happens when a network \
                 share is not mounted. Nothing is lost. Try again later, and tell the people who run the portal.",
            ),
            Self::StorageAway(_) => (
                "The files cannot be reached just now",
                "The storage that holds them does not answer the portal as it should. Nothing that was there is lost. \
                 Try again in a minute; if it goes on, tell the people who run the portal the reference below.",
            ),
            Self::NeedsFolder => (
                "That is not offered here",
                "This portal keeps its files in object storage, where files can be listed, searched, downloaded, \
                 published and deleted, and nothing else.",
            ),
            Self::Misdirected => (
                "The fake user lives on this machine only",
                "In development mode the portal answers only to localhost, without proxies or tunnels. \
                 Open it as http://localhost.",
            ),
            Self::Prefetch => (
                "Not in advance",
                "This happens only when you click. Follow the link again.",
            ),
            Self::SignInLost(_) => (
                "That sign-in cannot be finished",
                "It took longer than three minutes, was already used, or began in another browser. Start again; it takes a moment.",
            ),
            Self::SignInRefused(refusal, _) => {
                return ("You were not signed in", refusal.sentence.to_owned());
            }
            Self::Restarting => (
                "The portal is being restarted",
                "It begins no new sign-ins for a moment. Try again in a few seconds.",
            ),
            Self::NotConfigured => (
                "Signing in is not set up yet",
                "The setting APP_REG_CLIENT_ID is empty, so the portal stays closed. Whoever runs it sets it to the \
                 Application (client) ID of its app registration, and starts the portal again.",
            ),
            Self::AuthorityAway(_) => (
                "Microsoft cannot be reached",
                "The portal cannot reach Microsoft's sign-in just now. Try again in a minute.",
            ),
            Self::DatabaseAway(_) => (
                "The portal is resting for a moment",
                "Its database does not answer, so nobody can be let in. Try again in a few seconds; downloads that run go on.",
            ),
            Self::SignOutPending(_) => (
                "You are signed out in this browser",
                "The portal's database does not answer just now. Your session ends everywhere else as soon as it is back; \
                 until then nobody can use it, because the portal is closed.",
            ),
            Self::Internal(_) => (
                "Something went wrong on our side",
                "It is not your fault, and it has been written down. Try again; if it happens again, tell the people \
                 who run the portal the reference below.",
            ),
        };
        (heading, sentence.to_owned())
    }

    fn facts(&self) -> Vec<(String, String)> {
        match self {
            Self::SignInRefused(refusal, _) => refusal
                .correlation_id
                .iter()
                .map(|id| ("Microsoft's correlation id".to_owned(), id.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn ways(&self, asked: &str) -> Vec<Way> {
        let sign_in = |target: &str| Way {
            label: "Sign in",
            href: return_to::login_url(target),
        };
        let other_account = |target: &str| Way {
            label: "Use another account",
            href: format!("{}&account=other", return_to::login_url(target)),
        };
        let home = Way {
            label: "All files",
            href: "/".to_owned(),
        };
        match self {
            Self::SignInNeeded => vec![sign_in(asked)],
            Self::NoRole | Self::OtherAccount => vec![other_account("/")],
            Self::SignInLost(target) => vec![Way {
                label: "Start again",
                href: return_to::login_url(target),
            }],
            Self::SignInRefused(refusal, target) => {
                let again = Way {
                    label: "Try again",
                    ..sign_in(target)
                };
                match refusal.other_account {
                    true => vec![other_account(target), again],
                    false => vec![again],
                }
            }
            Self::TooMany(_)
            | Self::TooManyDownloads(_)
            | Self::ZipsFull
            | Self::Restarting
            | Self::AuthorityAway(_)
            | Self::DatabaseAway(_)
            | Self::StorageAway(_)
            | Self::FilesAway(_) => vec![Way {
                label: "Try again",
                href: return_to::local(asked),
            }],
            Self::Misdirected | Self::NotConfigured | Self::SignOutPending(_) => Vec::new(),
            _ => vec![home],
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignInNeeded | Self::SignInRefused(..) => StatusCode::UNAUTHORIZED,
            Self::NoRole | Self::OtherAccount | Self::RoleNeeded(_) | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unusable(_) | Self::SignInLost(_) => StatusCode::BAD_REQUEST,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) | Self::TooManyDownloads(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManyUploads(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Gone => StatusCode::GONE,
            Self::WrongOffset(_) => StatusCode::CONFLICT,
            // 460, which no RFC knows.
            Self::WrongChecksum => StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST),
            Self::InUse => StatusCode::LOCKED,
            Self::WrongKind(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TusVersion | Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Range(..) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            Self::NeedsFolder => StatusCode::NOT_IMPLEMENTED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Prefetch
            | Self::ZipsFull
            | Self::Restarting
            | Self::NotConfigured
            | Self::BeingWritten
            | Self::AuthorityAway(_)
            | Self::SignOutPending(_)
            | Self::FilesAway(_)
            | Self::StorageAway(_)
            | Self::DatabaseAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Status and headers; the body is made by `error_pages`, which knows what the client accepts.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            // RFC 9110 section 15.5.2 wants a challenge; this one makes no browser ask for a password.
            Self::SignInNeeded | Self::SignInRefused(..) => {
                response.insert_header(("WWW-Authenticate", "Cookie realm=\"Portcullis\""));
            }
            Self::MethodNotAllowed(methods) => {
                response.insert_header(("Allow", *methods));
            }
            Self::TooMany(wait) => {
                response.insert_header(("Retry-After", wait.as_secs().max(1)));
            }
            Self::Range(size, _) => {
                response.insert_header(("Content-Range", format!("bytes */{size}")));
            }
            Self::WrongOffset(offset) => {
                response.insert_header(("Upload-Offset", *offset));
            }
            Self::TusVersion => {
                response.insert_header(("Tus-Version", "1.0.0"));
            }
            Self::InUse => {
                response.insert_header(("Retry-After", 2));
            }
            Self::DatabaseAway(_)
            | Self::AuthorityAway(_)
            | Self::TooManyDownloads(_)
            | Self::ZipsFull
            | Self::Prefetch
            | Self::Restarting
            | Self::FilesAway(_)
            | Self::StorageAway(_)
            | Self::BeingWritten => {
                response.insert_header(("Retry-After", 5));
            }
            _ => {}
        }
        response.finish()
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
