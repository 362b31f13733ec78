//! `GET /api/files/{path}`: the download. What is asked for is decided by `asked`, read by `source`, sent by `sending`.

use std::convert::Infallible;
use std::fs::Metadata;
use std::time::SystemTime;

use actix_files::NamedFile;
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, CROSS_ORIGIN_RESOURCE_POLICY, ETAG, HeaderName, LAST_MODIFIED, X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream;

use super::asked::{Answer, Asked};
use super::buffers::LEAST;
use super::door::{Opened, open_then};
use super::range::Part;
use super::reading::Lanes;
use super::sending::Sending;
use super::source::{Piece, Source, Unread};
use super::told::{Download, Told};
use super::validators::Validators;
use super::{ItemPath, from_storage, path};
use crate::app::State;
use crate::audit::Action;
use crate::audit::queue::Closed;
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};
use crate::openapi::{ForRoles, Sent};

const PREFIX: &str = "/api/files/";
pub(super) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// A file that was found, opened and looked at, and what of it goes out.
struct Found {
    metadata: Metadata,
    /// The path without links.
    resolved: ItemPath,
    validators: Validators,
    content_type: String,
    answer: Answer,
    /// The beginning of it and what is left, when bytes of it are to be sent.
    begin: Option<Piece>,
}

/// `GET /api/files/{path}`: the file, to be saved under its own name. People with a role.
///
/// # Errors
/// 404 for what is not there; 412 and 416 after RFC 9110; 429 for too many at once; 503 while the audit cannot keep up.
#[utoipa::path(
    get,
    path = "/api/files/{path}",
    operation_id = "download",
    tag = "Files",
    summary = "Download a file.",
    description = "Conditions and single ranges after RFC 9110, so that downloads resume.",
    params(
        ("path" = String, Path, description = "Folders and name", example = "Reports/2026/Revenue.pdf"),
        ("Range" = Option<String>, Header, description = "A part of it", example = "bytes=0-99"),
    ),
    responses(
        Sent,
        (status = 302, description = "The storage itself sends it, at an address that serves for a minute (with FILES_DOWNLOADS=redirect)",
            headers(("Location" = String, description = "Where"))),
        ForRoles,
    ),
    security(("session" = [])),
)]
pub async fn download(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    // From the raw path: the router has decoded some of it, and a name may hold a percent sign.
    let path = req
        .uri()
        .path()
        .strip_prefix(PREFIX)
        .and_then(ItemPath::from_url)
        .ok_or(AppError::NotFound)?;
    send(&reader, &req, &state, path, None).await
}

/// How a file is shown inside a page of ours.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// What it is said to be, whatever its bytes are; browsers are told not to guess.
    pub content_type: &'static str,
    /// Whether it may also be opened by itself; it is saved else.
    pub alone: bool,
}

/// What a file is allowed to do that is shown: nothing. Not even as a page of its own, where it has no origin.
const POLICY: &str =
    "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Sends a file, or a part of it, to be saved, or to be `shown`.
///
/// # Errors
/// As for [`download`].
pub async fn send(
    reader: &Reader,
    req: &HttpRequest,
    state: &web::Data<State>,
    path: ItemPath,
    shown: Option<Shown>,
) -> AppResult<HttpResponse> {
    let asked = Asked::of(req);
    let is_get = asked.is_get();
    let ticket = match is_get {
        true => Some(state.audit.admit().await.map_err(not_told)?),
        false => None,
    };
    if let Some(storage) = state.files.storage() {
        if shown.is_some() {
            return Err(AppError::NeedsFolder);
        }
        return from_storage::download(reader, state, storage, path, &asked, ticket).await;
    }
    let settings = &state.settings;
    let front = settings.files.sendfile.as_ref();
    let front = front.filter(|front| {
        // It would leave out the policy that keeps what is shown from doing anything.
        shown.is_none() && is_get && front.is_for(req, &settings.web.trusted_proxies)
    });
    let sends = is_get && front.is_none();
    let turn = match sends {
        true => Some(state.files.turns.take(reader.email())?),
        false => None,
    };
    let (lanes, name) = (state.files.lanes.clone(), path.name().to_owned());
    let look = move |opened| Found::look(opened, &asked, &name, sends.then_some(&lanes));
    let found = open_then(&state.files, reader, &path, look).await?;
    let size = found.metadata.len();
    let mut response = HttpResponse::build(found.status());
    found.describe(&mut response);
    if let Some(shown) = shown {
        response
            .insert_header((CONTENT_TYPE, shown.content_type))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((X_FRAME_OPTIONS, "DENY"))
            .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"));
    }
    if found.answer == Answer::NotModified {
        return Ok(response.finish());
    }
    let kind = match shown {
        Some(Shown { alone: true, .. }) => "inline",
        _ => "attachment",
    };
    response.insert_header((CONTENT_DISPOSITION, disposition(kind, path.name())));
    if let Some(digest) = state.digests.of(&path, &found.metadata).await {
        response.insert_header((REPR_DIGEST, digest));
    }
    let (length, range) = match found.answer {
        Answer::Part(part) => (part.length, Some(part.content_range(size))),
        _ => (size, None),
    };
    let download = Download {
        action: match shown {
            Some(_) => Action::Previewed,
            None => Action::Downloaded,
        },
        actor: reader.actor(),
        path,
        range: range.clone(),
        ticket,
        metrics: state.metrics.clone(),
    };
    if let Some(front) = front {
        download.handed_over(front.sender());
        response.status(StatusCode::OK);
        response.insert_header(front.header(&found.resolved));
        return Ok(response.finish());
    }
    if let Some(range) = range {
        response.insert_header((CONTENT_RANGE, range));
    }
    let (Some(begin), Some(turn)) = (found.begin, turn) else {
        // The server would read a body to its end only to throw it away.
        let nothing = stream::empty::<Result<web::Bytes, Infallible>>();
        return Ok(response.body(SizedStream::new(length, nothing)));
    };
    let told = Told::new(download, turn, length);
    let admitted = reader.still_admitted(&state.people);
    let sending = Sending::new(state.files.lanes.clone(), begin, admitted, told);
    Ok(response.body(SizedStream::new(length, sending.stream())))
}

impl Found {
    /// Runs where the file was opened. A small one that is not near is read at once, to save another trip.
    /// Without lanes nothing is read.
    fn look(opened: Opened, asked: &Asked, name: &str, lanes: Option<&Lanes>) -> AppResult<Self> {
        let validators = Validators::of(&opened.metadata);
        let size = opened.metadata.len();
        let answer = asked.answer(&validators, size, SystemTime::now())?;
        let named = NamedFile::from_file(opened.file, name)?;
        let content_type = content_type(named.content_type().as_ref());
        let part = match answer {
            Answer::Part(part) => part,
            _ => Part {
                first: 0,
                length: size,
            },
        };
        let begin = match lanes.filter(|_| answer != Answer::NotModified) {
            None => None,
            Some(lanes) => {
                let is_near = opened.is_near;
                let source = Source::new(named, &opened.metadata, part, is_near);
                match !is_near && source.left() <= LEAST as u64 {
                    true => Some(source.read(&lanes.buffers, LEAST).map_err(unreadable)?),
                    false => Some((web::Bytes::new(), Some(source))),
                }
            }
        };
        Ok(Self {
            metadata: opened.metadata,
            resolved: opened.resolved,
            validators,
            content_type,
            answer,
            begin,
        })
    }

    fn status(&self) -> StatusCode {
        match self.answer {
            Answer::Whole => StatusCode::OK,
            Answer::Part(_) => StatusCode::PARTIAL_CONTENT,
            Answer::NotModified => StatusCode::NOT_MODIFIED,
        }
    }

    fn describe(&self, response: &mut HttpResponseBuilder) {
        response
            .insert_header((ETAG, self.validators.etag.to_string()))
            .insert_header((CACHE_CONTROL, "private, no-cache"))
            .insert_header((ACCEPT_RANGES, "bytes"))
            .insert_header((CONTENT_TYPE, self.content_type.as_str()));
        if let Some(date) = self.validators.last_modified(SystemTime::now()) {
            response.insert_header((LAST_MODIFIED, date.to_string()));
        }
    }
}

/// A download that could not be told does not begin.
pub(crate) fn not_told(closed: Closed) -> AppError {
    match closed {
        Closed::Full => {
            AppError::DatabaseAway("too many rows of the audit wait to be written".to_owned())
        }
        Closed::Ending => AppError::Restarting,
    }
}

fn unreadable(error: Unread) -> AppError {
    match error {
        Unread::Changed => AppError::BeingWritten,
        Unread::Failed(error) => error.into(),
    }
}

/// By the name's ending. Text is said to be UTF-8, as most is by now.
pub(super) fn content_type(kind: &str) -> String {
    match kind.starts_with("text/") && !kind.contains("charset=") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_owned(),
    }
}

/// `Content-Disposition` after RFC 6266: an ASCII fallback, and the true name after RFC 8187 where that differs.
pub(super) fn disposition(kind: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%');
    let fallback: String = name
        .chars()
        .map(|c| if plain(c) || c == ' ' { c } else { '_' })
        .collect();
    if fallback == name {
        return format!("{kind}; filename=\"{name}\"");
    }
    format!(
        "{kind}; filename=\"{fallback}\"; filename*=UTF-8''{}",
        path::encode(name)
    )
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_travels_whole_and_with_a_fallback() {
        assert_eq!(
            disposition("attachment", "report 1.pdf"),
            "attachment; filename=\"report 1.pdf\""
        );
        assert_eq!(
            disposition("attachment", "Übersicht \"Q3\".pdf"),
            "attachment; filename=\"_bersicht _Q3_.pdf\"; filename*=UTF-8''%C3%9Cbersicht%20%22Q3%22.pdf"
        );
        let nasty = disposition("attachment", "a\r\nX: y\\%41;.txt");
        assert!(!nasty.contains(['\r', '\n', '\\']), "{nasty}");
        assert!(nasty.contains("filename*=UTF-8''a%0D%0AX%3A%20y%5C%2541%3B.txt"));
    }
}
