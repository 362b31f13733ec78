//! The outermost middleware: gives each request its reference number, counts it, and writes one line about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use crate::app::State;
use crate::auth::user::{self, CurrentUser};
use crate::connections::{Connection, Working};
use crate::reference::Reference;

/// Writes `REFERENCE METHOD PATH STATUS DURATION PERSON ADDRESS`. The query stays out: it may hold a code or a state.
///
/// # Errors
/// Never of its own.
pub async fn observe(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let connection = req.conn_data::<Arc<Connection>>();
    let work = connection.map(Connection::work);
    let reference = Reference::new();
    req.extensions_mut().insert(reference);
    let response = next.call(req).await?;
    let (req, status, took) = (
        response.request(),
        response.status().as_u16(),
        began.elapsed(),
    );
    if let Some(state) = req.app_data::<web::Data<State>>() {
        state
            .metrics
            .answered(req.method().as_str(), &route(req), status, took);
    }
    if log::log_enabled!(target: "portcullis::access", log::Level::Info) {
        tell(req, reference, status, took);
    }
    Ok(response.map_body(|_, body| Working::new(body, work)))
}

/// The address as `routes` spells it, so that metrics have as many series as there are routes.
fn route(req: &HttpRequest) -> String {
    req.match_pattern().unwrap_or_else(|| "other".to_owned())
}

fn tell(req: &HttpRequest, reference: Reference, status: u16, took: Duration) {
    let (method, path) = (req.method().as_str(), req.path().escape_debug().to_string());
    let milliseconds = took.as_secs_f64() * 1000.0;
    let user = req.extensions().get::<CurrentUser>().cloned();
    let person = user.as_ref().map_or("-", CurrentUser::email);
    let address = user::address(req);
    let address = address.as_deref().unwrap_or("-");
    let trace = trace_id(req.headers()).unwrap_or("-");
    log::info!(
        target: "portcullis::access",
        reference:% = reference, method, path, status, milliseconds, person, address, trace;
        "{reference} {method} {path} {status} {milliseconds:.1}ms {person} {address}{}",
        if trace == "-" { String::new() } else { format!(" trace={trace}") },
    );
}

/// The trace that the caller is part of (W3C Trace Context, `traceparent`), when it is well formed.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags, ..] = parts[..] else {
        return None;
    };
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_known = version != "ff" && (version != "00" || parts.len() == 4);
    let is_set = |part: &str| part.bytes().any(|byte| byte != b'0');
    (is_known
        && is_hex(version, 2)
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2)
        && is_set(trace)
        && is_set(parent))
    .then_some(trace)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_trace_is_taken_over_only_when_it_is_one() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static("traceparent"),
                HeaderValue::from_str(text).unwrap(),
            );
            trace_id(&headers).map(str::to_owned)
        };
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(of(&good).as_deref(), Some(trace));
        assert_eq!(
            of(&format!("cc-{trace}-00f067aa0ba902b7-01-more")).as_deref(),
            Some(trace)
        );
        for wrong in [
            String::new(),
            format!("{good}-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            good.to_uppercase(),
            format!("00-{trace}\"-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(of(&wrong), None, "{wrong}");
        }
    }
}
