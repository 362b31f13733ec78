//! In development and test mode everybody is somebody without a password. This keeps that on one machine:
//! requests that came through a tunnel, a proxy or a foreign host name are answered 421.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Version;
use actix_web::http::header::{FORWARDED, HOST, HeaderMap, VIA};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::app::State;
use crate::error::AppError;
use crate::settings::Mode;

/// Refuses what does not come straight from this machine's browser.
///
/// # Errors
/// Never of its own.
pub async fn local_only(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let fake = req
        .app_data::<web::Data<State>>()
        .is_some_and(|state| state.settings.mode != Mode::Entra);
    // No browser speaks HTTP/1.0, and a proxy with nothing set does.
    let is_direct = req.version() >= Version::HTTP_11 && !is_forwarded(req.headers());
    // An embedding program may have bound any address, whatever HOST says.
    let is_from_here = req.peer_addr().is_none_or(|peer| peer.ip().is_loopback());
    if !fake || (is_direct && is_from_here && is_local_name(host(&req))) {
        return next
            .call(req)
            .await
            .map(ServiceResponse::map_into_left_body);
    }
    Ok(req
        .error_response(AppError::Misdirected)
        .map_into_right_body())
}

/// What the request calls us: the target's authority where it has one (RFC 9112 section 3.2.2), else `Host`.
fn host(req: &ServiceRequest) -> &str {
    let authority = req.uri().authority().map(|authority| authority.as_str());
    let header = req
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok());
    authority.or(header).unwrap_or("")
}

/// A name that cannot be made to point here from outside (DNS rebinding).
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&name.to_ascii_lowercase().as_str())
}

/// What proxies and tunnels add. One that adds nothing at all cannot be told from a browser.
fn is_forwarded(headers: &HeaderMap) -> bool {
    const MARKS: [&str; 4] = ["x-forwarded-", "x-real-ip", "x-original-", "cf-"];
    headers.keys().any(|name| {
        let name = name.as_str();
        name == FORWARDED || name == VIA || MARKS.iter().any(|mark| name.starts_with(mark))
    })
}

#[cfg(test)]
mod tests {
    use super::is_local_name;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
        ] {
            assert!(is_local_name(local), "{local}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example:8000",
            "127.0.0.1.nip.io",
            "::1",
            "localhost:x",
        ] {
            assert!(!is_local_name(foreign), "{foreign}");
        }
    }
}
