//! Where to go after signing in: a local path with its query, or `/`. Nothing else is ever a target.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use url::Url;

/// Longest target kept, in bytes; the pending sign-in travels in a cookie.
pub const LONGEST: usize = 1_500;

/// Paths that as a target would sign out again or go round in a circle.
const NEVER: [&str; 5] = [
    "/login",
    "/callback",
    "/logout",
    "/logout/frontchannel",
    "/signed-out",
];

/// `target` unchanged when it is a path of this portal (bytes that a header cannot carry are
/// percent-encoded), else `/`.
pub fn local(target: &str) -> String {
    let local = local_of_any_length(target);
    if local.len() <= LONGEST {
        local
    } else {
        "/".to_owned()
    }
}

/// As [`local`], for what no cookie has to carry.
pub fn local_of_any_length(target: &str) -> String {
    let encoded = encode(target);
    if is_local(&encoded) {
        encoded
    } else {
        "/".to_owned()
    }
}

/// `/login` with the way back to `path_and_query`.
pub fn login_url(path_and_query: &str) -> String {
    let target: String = url::form_urlencoded::byte_serialize(path_and_query.as_bytes()).collect();
    format!("/login?redirect_uri={target}")
}

fn is_local(target: &str) -> bool {
    // Browsers read a backslash as a slash and drop tabs and line ends, so "/\host" and "/\t/host" leave the site.
    if !target.starts_with('/') || target.starts_with("//") || target.contains('\\') {
        return false;
    }
    let Ok(base) = Url::parse("https://portal.invalid") else {
        return false;
    };
    base.join(target).is_ok_and(|url| {
        // Decoded as the router does it.
        let path = percent_decode_str(url.path()).decode_utf8_lossy();
        url.origin() == base.origin() && !NEVER.contains(&path.as_ref())
    })
}

/// Percent-encodes what is not visible ASCII; control characters are kept out by making the result no path at all.
fn encode(target: &str) -> String {
    let mut encoded = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            0x21..=0x7e => encoded.push(byte.into()),
            b' ' | 0x80.. => {
                let _ = write!(encoded, "%{byte:02X}");
            }
            _ => return String::new(),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_paths_are_kept_unchanged() {
        for target in [
            "/",
            "/?q=a&b=c",
            "/api/files/report%202026.pdf?x=1&y=2#part",
            "/a//b",
            "/a?next=https://evil.example/",
            "/login-help",
            "/%2F%2Fevil.example",
        ] {
            assert_eq!(local(target), target);
        }
        assert_eq!(local("/Übersicht 1"), "/%C3%9Cbersicht%201");
    }

    #[test]
    fn everything_else_becomes_the_start_page() {
        let long = format!("/{}", "a".repeat(LONGEST));
        for target in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            "https://evil.example/",
            "https:evil.example",
            "javascript:alert(1)",
            "evil.example",
            "@evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/a\0b",
            "/login?redirect_uri=/login",
            "/callback?code=1",
            "/logout",
            "/%6cogout",
            "/./logout",
            "/x/../logout",
            &long,
        ] {
            assert_eq!(local(target), "/", "{target:?}");
        }
    }

    #[test]
    fn the_way_back_survives_the_login_link() {
        let url = login_url("/a?b=c&d=e f");
        let query = url.split_once('?').map(|(_, query)| query).unwrap_or("");
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        assert_eq!(pairs.len(), 1);
        assert_eq!(pairs[0].1, "/a?b=c&d=e f");
    }
}
