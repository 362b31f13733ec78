//! What a test can break: an endpoint's answer, a token's signature. Apart because these are the
//! emulator's knobs, not its protocol.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{StatusCode, header};
use actix_web::rt::time::sleep;
use actix_web::web::Bytes;

/// The parts of the emulator that are counted and can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The OpenID configuration.
    Discovery,
    /// The signing keys.
    Keys,
    /// Where the browser is sent to sign in.
    Authorize,
    /// Where a code becomes tokens.
    Token,
    /// Where the browser is sent to sign out.
    Logout,
}

/// How an endpoint misbehaves, until it is told otherwise.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Exactly this answer.
    Answer {
        /// The status code.
        status: u16,
        /// The `Content-Type`; empty for none.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// Says nothing for so long, then answers as usual.
    Silence(Duration),
    /// A 302 to this address.
    Redirect(String),
    /// A JSON document of about so many bytes, without a `Content-Length`.
    Flood(u64),
}

impl Fault {
    /// An answer of the caller's choice.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let (content_type, body) = (content_type.to_owned(), body.into());
        Self::Answer {
            status,
            content_type,
            body,
        }
    }

    /// Acts the fault out. `None` after a silence: the endpoint then answers as usual.
    pub(super) async fn act(self) -> Option<HttpResponse> {
        match self {
            Self::Answer {
                status,
                content_type,
                body,
            } => Some(plain(status, &content_type, body)),
            Self::Redirect(to) => Some(
                HttpResponse::Found()
                    .insert_header((header::LOCATION, to))
                    .finish(),
            ),
            Self::Flood(left) => Some(
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(Flood { left, begun: false }),
            ),
            Self::Silence(time) => {
                sleep(time).await;
                None
            }
        }
    }
}

fn plain(status: u16, content_type: &str, body: Vec<u8>) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    if !content_type.is_empty() {
        answer.insert_header((header::CONTENT_TYPE, content_type));
    }
    answer.body(body)
}

/// Who signs the ID tokens, and how their headers look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// RS256 with the current key.
    #[default]
    Normal,
    /// RS256 with a key that was never published, under the current key's `kid`.
    ForeignKey,
    /// `alg: none`, with an empty signature.
    Unsigned,
    /// HS256, keyed with the client secret.
    HmacWithSecret,
    /// HS256, keyed with the current public key's PEM text.
    HmacWithPublicKey,
    /// RS256 with the current key, without a `kid`.
    NoKid,
    /// RS256 with the current key, under a `kid` that is not published.
    UnknownKid,
}

/// A body of unannounced length: an opened JSON string, then blanks.
struct Flood {
    left: u64,
    begun: bool,
}

impl MessageBody for Flood {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        static BLANKS: [u8; 65_536] = [b' '; 65_536];
        if !self.begun {
            self.begun = true;
            return Poll::Ready(Some(Ok(Bytes::from_static(b"{\"keys\":[],\"issuer\":\""))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = self.left.min(65_536);
        self.left -= size;
        let size = usize::try_from(size).unwrap_or(BLANKS.len());
        Poll::Ready(Some(Ok(Bytes::from_static(&BLANKS[..size]))))
    }
}
