//! What must hold for any bytes from outside. The fuzz targets feed it, and `cargo test` replays the seeds through it.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use portcullis::auth::entra::{fuzzing, is_plain_address};
use portcullis::auth::flow::Flows;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::recent::Recent;
use portcullis::auth::{client, return_to};
use portcullis::files::ItemPath;
use portcullis::settings::{ClientCertificate, Secret};
use url::Url;

/// Takes bytes as they come from outside and panics when a promise is broken.
pub type Check = fn(&[u8]);

/// Name of the folder of seeds, and the check.
pub const ALL: [(&str, Check); 6] = [
    ("return_target", return_target),
    ("cookies", cookies),
    ("id_token", id_token),
    ("forwarded", forwarded),
    ("pem", pem),
    ("path", path),
];

/// A return target stays on the portal and fits into a header.
pub fn return_target(bytes: &[u8]) {
    let target = return_to::local(&String::from_utf8_lossy(bytes));
    let base = Url::parse("https://portal.example").unwrap();
    let landed = base.join(&target).unwrap();
    assert_eq!(landed.origin(), base.origin(), "{target:?}");
    assert!(target.starts_with('/') && !target.starts_with("//"));
    assert!(target.len() <= return_to::LONGEST && HeaderValue::from_str(&target).is_ok());
    // What was once let through is let through again, unchanged: it travels in a link and comes back.
    assert_eq!(return_to::local(&target), target);
    let login = base.join(&return_to::login_url(&target)).unwrap();
    assert!(
        login
            .query_pairs()
            .any(|(name, value)| name == "redirect_uri" && value == target)
    );
}

/// Cookies that nobody sealed open as nothing, whatever else stands in the header.
pub fn cookies(bytes: &[u8]) {
    let keys = Keyring::derive(
        &[Secret::new(vec![7; 32]), Secret::new(vec![8; 32])],
        "fuzz",
    )
    .unwrap();
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    for name in ["session", "flow", "recent"] {
        assert!(keys.open(&headers, name).is_none());
    }
    assert!(Flows::read(&headers, &keys, "flow").take("").is_none());
    assert!(Recent::read(&headers, &keys, "recent").target("").is_none());
    // One that we sealed is found among them, unless somebody's cookie breaks off in the middle of a quoted string.
    let sealed = keys.cookie("session", "ours".to_owned(), 60, false);
    headers.append(
        COOKIE,
        HeaderValue::from_str(&sealed.stripped().encoded().to_string()).unwrap(),
    );
    assert_eq!(
        keys.open(&headers, "session")
            .map(|(text, _)| text)
            .as_deref(),
        Some("ours")
    );
}

/// The first line is a token whose header is looked at, the rest are claims: whoever comes out of them is somebody plain.
pub fn id_token(bytes: &[u8]) {
    let (token, claims) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, bytes),
    };
    let _ = fuzzing::header_is_taken(&String::from_utf8_lossy(token));
    let Some(who) = fuzzing::identity(claims) else {
        return;
    };
    assert!(is_plain_address(&who.email) && !who.email.contains(|c: char| c.is_ascii_uppercase()));
    assert_eq!(who.tid, fuzzing::TENANT);
    assert!(!who.oid.is_empty() && who.oid.is_ascii() && who.oid.len() <= 256);
    for text in [&who.name, &who.sid, &who.logout_hint]
        .into_iter()
        .flatten()
    {
        assert!(
            text.len() <= 256 && !text.chars().any(char::is_control),
            "{text:?}"
        );
    }
}

/// Whatever was forwarded, an untrusted peer is itself, and behind a trusted one there is some address.
pub fn forwarded(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static("x-forwarded-for"), value);
        }
    }
    let peer = "10.1.2.3".parse().ok();
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    assert_eq!(client::address(peer, &headers, &[]), peer);
    assert!(client::address(peer, &headers, &trusted).is_some());
    assert_eq!(client::address(None, &headers, &trusted), None);
}

/// A certificate is read or refused in a sentence that quotes nothing of it.
pub fn pem(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(sentence) = ClientCertificate::read(&text) {
        let quoted = text
            .lines()
            .find(|line| line.len() > 40 && sentence.contains(*line));
        assert_eq!(quoted, None);
    }
}

/// A path from a URL has only visible names, and comes back from its own URL.
pub fn path(bytes: &[u8]) {
    let Some(path) = ItemPath::from_url(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    for name in path.as_str().split('/') {
        assert!(
            !name.is_empty() && !name.starts_with('.') && !name.contains('\0') && name.len() <= 255
        );
    }
    let url = path.download_url();
    assert!(url.is_ascii());
    let encoded = url.strip_prefix("/api/files/").unwrap();
    assert_eq!(ItemPath::from_url(encoded), Some(path));
}
