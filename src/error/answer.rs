//! The answer to a request that failed: its status, and the headers that go with it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::AppError;

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
