//! What people reach the portal by: the redirect URI, the cookie secrets, the proxies in front.

use std::collections::HashSet;

use super::Finding;
use super::ends::end_of_life;
use crate::settings::{Secret, Settings, TlsSettings};
use crate::tls::Certificate;

const SECRETS: &str = "cookie secret";
/// A random secret of 32 bytes has about 30 different ones.
const FEWEST_DIFFERENT: usize = 16;

pub fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![
        redirect_uri(settings),
        cookie_secrets(&settings.session.secrets),
        proxies(settings),
    ];
    findings.extend(settings.web.tls.as_ref().map(certificate));
    findings
}

/// Of the portal's own TLS, as its files are now.
fn certificate(settings: &TlsSettings) -> Finding {
    match Certificate::read(settings) {
        Ok(certificate) => end_of_life(&certificate.as_ref().into()),
        Err(wrong) => Finding::fail(
            "end of life",
            format!("TLS_CERT_PATH {wrong}"),
            "put certificate and key back: the portal goes on with the last good ones until it is started again",
        ),
    }
}

fn redirect_uri(settings: &Settings) -> Finding {
    const CHECK: &str = "redirect URI";
    let uri = &settings.web.redirect_uri;
    match settings.web.is_https() {
        true => Finding::ok(CHECK, format!("people come by {}", settings.web.origin)),
        false => Finding::warn(
            CHECK,
            format!("{uri} is http, so only this machine can use the portal"),
            "set APP_REG_REDIRECT_URI to https://YOUR-HOST/callback before others use it",
        ),
    }
}

fn cookie_secrets(secrets: &[Secret<Vec<u8>>]) -> Finding {
    let weak = secrets.iter().any(|secret| {
        let different: HashSet<_> = secret.expose().iter().collect();
        different.len() < FEWEST_DIFFERENT
    });
    let distinct: HashSet<_> = secrets.iter().map(Secret::expose).collect();
    if weak {
        return Finding::fail(
            SECRETS,
            "an API_COOKIE_SECRET is not random: whoever guesses it is anybody they like",
            "make one with `portcullis secret` or `openssl rand -hex 32`, and sign everybody out by leaving the old one away",
        );
    }
    if distinct.len() < secrets.len() {
        return Finding::warn(
            SECRETS,
            "API_COOKIE_SECRET lists the same secret twice",
            "to rotate it, set `old,new`, then `new,old`, then `new`",
        );
    }
    match secrets.len() {
        1 => Finding::ok(SECRETS, "one secret, as random as it looks"),
        several => Finding::warn(
            SECRETS,
            format!("{several} secrets open cookies, so a rotation is under way"),
            "once SESSION_TTL has passed, leave the older ones away",
        ),
    }
}

/// What the request that asks tells of the way that people come: the client's address as the portal sees it, and
/// whether somebody forwarded it who is not believed.
pub fn forwarded(peer: Option<&str>, client: Option<&str>, has_header: bool) -> Finding {
    const CHECK: &str = "your request";
    let (peer, client) = (peer.unwrap_or("?"), client.unwrap_or("?"));
    match has_header && peer == client {
        true => Finding::warn(
            CHECK,
            format!("{peer} forwarded it, and is not believed when it says for whom"),
            format!("if that is your proxy, add {peer} to TRUSTED_PROXIES"),
        ),
        false => Finding::ok(CHECK, format!("it comes from {client}")),
    }
}

/// Behind TLS of somebody else's, everybody seems to come from that one address.
fn proxies(settings: &Settings) -> Finding {
    const CHECK: &str = "proxy headers";
    let (web, trusted) = (&settings.web, settings.web.trusted_proxies.len());
    if trusted > 0 {
        let from = match trusted {
            1 => "one address or network".to_owned(),
            several => format!("{several} addresses or networks"),
        };
        return Finding::ok(CHECK, format!("X-Forwarded-For is believed from {from}"));
    }
    match web.is_https() && web.tls.is_none() {
        false => Finding::ok(CHECK, "no proxy is expected, and no header is believed"),
        true => Finding::warn(
            CHECK,
            "people come by https, which something in front of the portal ends, but TRUSTED_PROXIES is empty",
            "set TRUSTED_PROXIES to the proxy's address: until then SIGN_IN_RATE counts all people as one, and the audit has the proxy's address",
        ),
    }
}
