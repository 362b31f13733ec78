//! The headers of tus 1.0, read and written.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, guard};
use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{AppError, AppResult};

/// Ours, and the only one.
pub const VERSION: &str = "1.0.0";
/// What we take beyond the core of the protocol.
pub const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration,checksum";
/// Names of the checksums that are taken.
pub const CHECKSUMS: &str = "sha1,sha256";
const PIECE: &str = "application/offset+octet-stream";

/// What goes with the bytes of a request.
pub struct Piece {
    /// Where they begin.
    pub offset: u64,
    /// How many there are, where that is told.
    pub length: Option<u64>,
    /// What they have to be.
    pub checksum: Option<Checksum>,
    /// Another `Upload-Metadata` than the upload was begun with.
    pub metadata: Option<String>,
}

impl Piece {
    /// No bytes, at the beginning.
    pub fn empty() -> Self {
        Self {
            offset: 0,
            length: Some(0),
            checksum: None,
            metadata: None,
        }
    }
}

/// `Upload-Checksum`, with what it is computed by.
pub struct Checksum {
    /// Takes the bytes.
    pub context: Context,
    expected: Vec<u8>,
}

impl Checksum {
    /// Whether the bytes were those.
    pub fn holds(self) -> bool {
        self.context.finish().as_ref() == self.expected
    }
}

/// Refuses other versions of the protocol.
///
/// # Errors
/// 412.
pub fn check_version(req: &HttpRequest) -> AppResult<()> {
    match text(req, "tus-resumable")? {
        Some(VERSION) => Ok(()),
        _ => Err(AppError::TusVersion),
    }
}

/// How long the file will be.
///
/// # Errors
/// 400 where that is not told.
pub fn length(req: &HttpRequest) -> AppResult<u64> {
    let untold = || {
        AppError::Unusable(
            "Upload-Length has to say how many bytes the file has; the portal takes no upload whose length is told later."
                .to_owned(),
        )
    };
    text(req, "upload-length")?
        .and_then(number)
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or_else(untold)
}

/// The headers of a PATCH.
///
/// # Errors
/// 415 for another type of content, 400 for what is missing or wrong.
pub fn piece(req: &HttpRequest) -> AppResult<Piece> {
    if !is_piece(req) {
        return Err(AppError::WrongKind(format!(
            "Send the bytes of an upload as {PIECE}."
        )));
    }
    let offset = text(req, "upload-offset")?
        .and_then(number)
        .ok_or_else(|| {
            AppError::Unusable("Upload-Offset has to say where these bytes begin.".to_owned())
        })?;
    Ok(Piece {
        offset,
        length: body_length(req),
        checksum: checksum(req)?,
        metadata: metadata(req)?,
    })
}

/// The bytes that come with the creation, if any do.
///
/// # Errors
/// 400 for a checksum that is none.
pub fn first_piece(req: &HttpRequest) -> AppResult<Option<Piece>> {
    if !is_piece(req) {
        return Ok(None);
    }
    Ok(Some(Piece {
        offset: 0,
        length: body_length(req),
        checksum: checksum(req)?,
        metadata: None,
    }))
}

/// `Upload-Metadata`.
///
/// # Errors
/// 400 for what is no text.
pub fn metadata(req: &HttpRequest) -> AppResult<Option<String>> {
    Ok(text(req, "upload-metadata")?.map(str::to_owned))
}

/// Clients that cannot send PATCH or DELETE name the method beside a POST.
pub fn is_meant(method: &'static str) -> impl guard::Guard {
    guard::fn_guard(move |context| {
        let head = context.head();
        let named = head.headers().get("x-http-method-override");
        head.method == method || (head.method == "POST" && named.is_some_and(|name| name == method))
    })
}

/// Says our version with every answer to people who may upload; a refusal is the same everywhere.
///
/// # Errors
/// Never of its own.
pub async fn tell_version(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(req).await?;
    let is_refusal = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&response.status());
    if !is_refusal {
        response.headers_mut().insert(
            HeaderName::from_static("tus-resumable"),
            HeaderValue::from_static(VERSION),
        );
    }
    Ok(response)
}

fn is_piece(req: &HttpRequest) -> bool {
    req.headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == PIECE)
}

fn body_length(req: &HttpRequest) -> Option<u64> {
    let headers: &HeaderMap = req.headers();
    match headers.get(CONTENT_LENGTH) {
        Some(length) => number(length.to_str().ok()?),
        None if headers.contains_key(TRANSFER_ENCODING) => None,
        None => Some(0).filter(|_| req.version() < actix_web::http::Version::HTTP_2),
    }
}

fn checksum(req: &HttpRequest) -> AppResult<Option<Checksum>> {
    let Some(header) = text(req, "upload-checksum")? else {
        return Ok(None);
    };
    let wrong = || {
        AppError::Unusable(format!(
            "Upload-Checksum has to be one of {CHECKSUMS}, a space, and the checksum in Base64."
        ))
    };
    let (name, value) = header.split_once(' ').ok_or_else(wrong)?;
    let algorithm: &'static Algorithm = match name {
        "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &SHA256,
        _ => return Err(wrong()),
    };
    let expected = BASE64_STANDARD.decode(value.trim()).map_err(|_| wrong())?;
    Ok(Some(Checksum {
        context: Context::new(algorithm),
        expected,
    }))
}

/// Digits alone; `+5` and ` 5` are none.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn text<'a>(req: &'a HttpRequest, name: &str) -> AppResult<Option<&'a str>> {
    let mut values = req.headers().get_all(name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let once = values.next().is_none();
    match value.to_str() {
        Ok(value) if once => Ok(Some(value)),
        _ => Err(AppError::Unusable(format!(
            "The header {name} has to be there once, in plain ASCII."
        ))),
    }
}
