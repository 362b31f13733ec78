//! Requests that change something must come from our own pages. No tokens: browsers say where a request comes from.

use actix_web::http::Method;
use actix_web::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, ORIGIN, TRANSFER_ENCODING, UPGRADE,
};

/// Whether the request may do what it asks for: a safe method, or `Sec-Fetch-Site: same-origin`, or an `Origin`
/// equal to ours. With neither header no browser of today sent it, and only what a form could send is refused.
pub fn is_ours(method: &Method, headers: &HeaderMap, origin: &str) -> bool {
    if asks_for_a_websocket(headers) {
        return headers.get(ORIGIN).is_some_and(|sender| sender == origin);
    }
    if method == Method::GET || method == Method::HEAD {
        return true;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    if let Some(sender) = headers.get(ORIGIN) {
        return sender == origin;
    }
    !could_be_a_form(headers)
}

/// Browsers open these to any site, with cookies and by GET, and leave it to the server to look at the origin, which they
/// always tell.
fn asks_for_a_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).any(|named| {
        let named = String::from_utf8_lossy(named.as_bytes()).to_ascii_lowercase();
        named.contains("websocket")
    })
}

fn could_be_a_form(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        let empty = headers
            .get(CONTENT_LENGTH)
            .is_none_or(|length| length == "0");
        return !empty || headers.contains_key(TRANSFER_ENCODING);
    };
    let kind = kind.to_str().unwrap_or("").to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or("").trim();
    matches!(
        essence,
        "" | "application/x-www-form-urlencoded" | "multipart/form-data" | "text/plain"
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const OURS: &str = "https://portal.example";

    fn passes(method: Method, pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        is_ours(&method, &headers, OURS)
    }

    #[test]
    fn the_browser_decides_where_it_says_something() {
        assert!(passes(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(passes(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(passes(Method::POST, &[("origin", OURS)]));
        for site in ["cross-site", "same-site", "none", "", "Same-Origin"] {
            assert!(!passes(Method::POST, &[("sec-fetch-site", site)]), "{site}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "https://portal.example.evil",
            "http://portal.example",
        ] {
            assert!(!passes(Method::DELETE, &[("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn a_websocket_is_opened_from_our_own_pages_alone() {
        for (upgrade, origin, passing) in [
            ("websocket", Some(OURS), true),
            ("websocket", None, false),
            ("websocket", Some("https://evil.example"), false),
            ("WebSocket", Some("null"), false),
            ("h2c, websocket", Some("http://portal.example"), false),
            ("h2c", None, true),
        ] {
            let mut pairs = vec![("upgrade", upgrade), ("sec-fetch-site", "same-origin")];
            pairs.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(passes(Method::GET, &pairs), passing, "{pairs:?}");
        }
    }

    #[test]
    fn without_a_word_from_the_browser_only_form_types_are_refused() {
        for kind in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "Text/Plain;charset=utf-8",
            "",
        ] {
            assert!(!passes(Method::POST, &[("content-type", kind)]), "{kind}");
        }
        assert!(passes(
            Method::POST,
            &[("content-type", "application/json")]
        ));
        assert!(passes(Method::POST, &[]));
        assert!(passes(Method::POST, &[("content-length", "0")]));
        assert!(!passes(Method::POST, &[("content-length", "5")]));
        assert!(!passes(Method::POST, &[("transfer-encoding", "chunked")]));
    }
}
