//! The download: `NamedFile` decides what to send (ranges, conditions), and what was sent is told to the audit when it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_files::NamedFile;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, HeaderValue,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{ItemPath, open, path};
use crate::app::State;
use crate::audit::queue::Place;
use crate::audit::{Action, Actor, Event};
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};
use crate::metrics::Metrics;

const PREFIX: &str = "/api/files/";

/// `GET /api/files/{path}`: the file, to be saved under its own name. People with a role.
///
/// # Errors
/// 404 for what is not there; 412 and 416 after RFC 9110.
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
    let opened = open(&state.files, &reader, &path).await?;
    let named = NamedFile::from_file(opened.file, path.name())?
        .disable_content_disposition()
        .prefer_utf8(true);
    let mut response = named.into_response(&req);
    let headers = response.headers_mut();
    headers.remove(CONTENT_ENCODING);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let sends_file = matches!(
        response.status(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT
    );
    if !sends_file {
        return Ok(response);
    }
    if let Ok(value) = HeaderValue::from_str(&disposition(path.name())) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    if req.method() != Method::GET {
        return Ok(response);
    }
    let place = state.audit.place().await;
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let told = Told {
        actor: reader.actor(),
        path,
        range,
        place,
        metrics: state.metrics.clone(),
        began: Instant::now(),
        sent: 0,
    };
    Ok(response.map_body(|_, body| Watched { body, told }.boxed()))
}

/// `Content-Disposition` after RFC 6266: an ASCII fallback, and the true name after RFC 8187 where that differs.
fn disposition(name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%');
    let fallback: String = name
        .chars()
        .map(|c| if plain(c) || c == ' ' { c } else { '_' })
        .collect();
    if fallback == name {
        return format!("attachment; filename=\"{name}\"");
    }
    format!(
        "attachment; filename=\"{fallback}\"; filename*=UTF-8''{}",
        path::encode(name)
    )
}

/// A body that counts what leaves it.
struct Watched {
    body: BoxBody,
    told: Told,
}

/// What the audit is told when the download ends, however it ends.
struct Told {
    actor: Actor,
    path: ItemPath,
    range: Option<String>,
    place: Option<Place>,
    metrics: Arc<Metrics>,
    began: Instant,
    sent: u64,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.told.sent += bytes.len() as u64;
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let whole = matches!(self.body.size(), BodySize::Sized(size) if size == self.told.sent)
            || matches!(self.body.size(), BodySize::None);
        let outcome = if whole { "whole" } else { "broken_off" };
        let metrics = &self.told.metrics;
        metrics.downloads.with_label_values(&[outcome]).inc();
        metrics.download_bytes.inc_by(self.told.sent);
        let Some(place) = self.told.place.take() else {
            return;
        };
        let millis = u64::try_from(self.told.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event::new(Action::Downloaded, self.told.path.as_str(), outcome)
            .bytes(self.told.sent)
            .with("range", self.told.range.take())
            .with("milliseconds", millis);
        place.tell(self.told.actor.clone(), event);
    }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_travels_whole_and_with_a_fallback() {
        assert_eq!(
            disposition("report 1.pdf"),
            "attachment; filename=\"report 1.pdf\""
        );
        assert_eq!(
            disposition("Übersicht \"Q3\".pdf"),
            "attachment; filename=\"_bersicht _Q3_.pdf\"; filename*=UTF-8''%C3%9Cbersicht%20%22Q3%22.pdf"
        );
        let nasty = disposition("a\r\nX: y\\%41;.txt");
        assert!(!nasty.contains(['\r', '\n', '\\']), "{nasty}");
        assert!(nasty.contains("filename*=UTF-8''a%0D%0AX%3A%20y%5C%2541%3B.txt"));
    }
}
