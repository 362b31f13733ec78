//! Where the portal listens, what it is called from outside, and who may stand in front of it.

use std::net::{IpAddr, Ipv4Addr};

use url::Url;

use super::super::problems::Problems;
use super::super::variables::Variables;
use super::super::{Mode, TlsSettings, WebSettings, origin_of, parse};
use super::{duration, is_loopback};

pub(super) fn web(
    variables: &Variables,
    mode: Mode,
    problems: &mut Problems,
) -> Option<WebSettings> {
    let host = match variables.get("HOST") {
        None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.trim_matches(['[', ']']).parse().unwrap_or_else(|_| {
            problems.add(
                "HOST",
                "must be an IP address such as 127.0.0.1, 0.0.0.0 or ::",
            );
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }),
    };
    let port = match variables.get("PORT").map(str::parse::<u16>) {
        None => 8000,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            problems.add("PORT", "must be a number from 1 to 65535");
            8000
        }
    };
    let trusted_proxies = trusted_proxies(variables, problems);
    let sign_in_rate = parse::rate(variables.get("SIGN_IN_RATE").unwrap_or("600/min"))
        .map_err(|wrong| problems.add("SIGN_IN_RATE", wrong))
        .ok();
    let redirect_uri = redirect_uri(variables, host, port, problems);
    let tls = tls(variables, problems);
    if mode != Mode::Entra {
        refuse_fake_user_in_public(mode, host, redirect_uri.as_ref(), problems);
    }
    let redirect_uri = redirect_uri?;
    Some(WebSettings {
        host,
        port,
        origin: origin_of(&redirect_uri),
        redirect_uri,
        trusted_proxies,
        sign_in_rate: sign_in_rate?,
        tls,
        shutdown_delay: duration(variables, "SHUTDOWN_DELAY", 0, 0, 300, problems),
        shutdown_grace: duration(variables, "SHUTDOWN_GRACE", 30, 0, 3600, problems),
    })
}

fn tls(variables: &Variables, problems: &mut Problems) -> Option<TlsSettings> {
    const CERT: &str = "TLS_CERT_PATH";
    const KEY: &str = "TLS_KEY_PATH";
    let settings = match (variables.get(CERT), variables.get(KEY)) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => TlsSettings {
            certificate: certificate.into(),
            key: key.into(),
        },
        (Some(_), None) => {
            problems.add(
                KEY,
                "is missing: the private key of TLS_CERT_PATH's certificate",
            );
            return None;
        }
        (None, Some(_)) => {
            problems.add(
                CERT,
                "is missing: the certificate that belongs to TLS_KEY_PATH",
            );
            return None;
        }
    };
    if let Err(sentence) = crate::tls::certified(&settings) {
        problems.add(CERT, sentence);
        return None;
    }
    Some(settings)
}

/// The fake user must never be reachable from another machine.
fn refuse_fake_user_in_public(
    mode: Mode,
    host: IpAddr,
    redirect_uri: Option<&Url>,
    problems: &mut Problems,
) {
    let name = if mode == Mode::Dev {
        "DEV_MODE"
    } else {
        "TEST_MODE"
    };
    if !host.is_loopback() {
        problems.add(
            name,
            "gives everybody a fake user, so HOST must be a loopback address; unset one of them",
        );
    }
    if redirect_uri.is_some_and(|uri| uri.scheme() == "https") {
        problems.add(
            name,
            "gives everybody a fake user and is refused beside an https APP_REG_REDIRECT_URI; unset one of them",
        );
    }
}

fn trusted_proxies(variables: &Variables, problems: &mut Problems) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for part in variables.get("TRUSTED_PROXIES").unwrap_or("").split(',') {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        match (part.parse::<ipnet::IpNet>(), part.parse::<IpAddr>()) {
            (Ok(network), _) => networks.push(network),
            (_, Ok(address)) => networks.push(address.into()),
            _ => problems.add(
                "TRUSTED_PROXIES",
                "must be addresses or networks separated by commas, such as 10.0.0.7, 10.1.0.0/16",
            ),
        }
    }
    networks
}

fn redirect_uri(
    variables: &Variables,
    host: IpAddr,
    port: u16,
    problems: &mut Problems,
) -> Option<Url> {
    const NAME: &str = "APP_REG_REDIRECT_URI";
    let default = format!("http://localhost:{port}/callback");
    let text = match variables.get(NAME) {
        Some(text) => text,
        None if host.is_loopback() => &default,
        None => {
            problems.add(
                NAME,
                "is required when HOST is not loopback: the full callback URL, such as https://files.contoso.com/callback",
            );
            return None;
        }
    };
    let Ok(url) = Url::parse(text) else {
        problems.add(
            NAME,
            "must be a full URL such as https://files.contoso.com/callback",
        );
        return None;
    };
    let sentence = if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        "must begin with https:// (http:// only for a loopback host)"
    } else if url.path() != "/callback" {
        "must end in /callback, the path that Entra returns people to"
    } else if url.query().is_some() || url.fragment().is_some() {
        "must not carry a query or a fragment"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not carry a user name or password"
    } else {
        return Some(url);
    };
    problems.add(NAME, sentence);
    None
}
