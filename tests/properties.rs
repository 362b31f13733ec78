//! Whatever comes from outside: parsers take any bytes without a panic, and what they let through keeps their promise.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use portcullis::auth::entra::is_plain_address;
use portcullis::auth::flow::Flows;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::{client, origin, return_to};
use portcullis::db::PostgresUrl;
use portcullis::files::ItemPath;
use portcullis::settings::{ClientCertificate, Secret, parse};
use proptest::prelude::*;
use url::Url;

fn keys() -> Keyring {
    Keyring::derive(
        &[Secret::new(vec![7; 32]), Secret::new(vec![8; 32])],
        "flow",
    )
    .unwrap()
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_return_target_never_leaves_the_portal(target in "(/|//|\\\\|http:|%2f|\\.|@|\t|\r|\n|[a-z?#&=:]|\\PC){0,40}") {
        let kept = return_to::local(&target);
        let base = Url::parse("https://portal.example").unwrap();
        let landed = base.join(&kept).unwrap();
        prop_assert_eq!(landed.origin(), base.origin());
        prop_assert!(kept.starts_with('/') && HeaderValue::from_str(&kept).is_ok());
        prop_assert!(kept.len() <= return_to::LONGEST);
    }

    #[test]
    fn a_cookie_of_any_bytes_opens_nothing(value in "\\PC{0,300}") {
        let headers = with("cookie", &format!("flow={value}; session={value}"));
        prop_assert!(keys().open(&headers, "flow").is_none());
        prop_assert!(Flows::read(&headers, &keys(), "flow").take("").is_none());
    }

    #[test]
    fn a_sealed_cookie_that_was_changed_anywhere_does_not_open(at in 0_usize..60, with_byte in "[A-Za-z0-9+/]") {
        let sealed = keys().seal(actix_web::cookie::Cookie::new("flow", "a text that was sealed"));
        let mut value = sealed.value().to_owned();
        let at = at % value.len();
        prop_assume!(value.get(at..=at) != Some(with_byte.as_str()) && at + 3 < value.len());
        value.replace_range(at..=at, &with_byte);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(&format!("flow={}", value.replace('=', "%3D"))).unwrap());
        prop_assert!(keys().open(&headers, "flow").is_none());
    }

    #[test]
    fn forwarded_addresses_of_any_form_give_an_address(value in "[0-9a-f:., \\[\\]]{0,60}|\\PC{0,40}") {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = "10.1.2.3".parse().ok();
        prop_assert!(client::address(peer, &with("x-forwarded-for", &value), &trusted).is_some());
        prop_assert_eq!(client::address(peer, &with("x-forwarded-for", &value), &[]), peer);
    }

    #[test]
    fn a_path_from_a_url_stays_below_the_root(encoded in "(%2e|%2f|%5c|%00|%|\\.|/|[a-z]|\\PC){0,40}") {
        if let Some(path) = ItemPath::from_url(&encoded) {
            for name in path.as_str().split('/') {
                prop_assert!(!name.is_empty() && !name.starts_with('.') && !name.contains('\0'));
            }
            let again = path.download_url();
            prop_assert_eq!(ItemPath::from_url(again.strip_prefix("/api/files/").unwrap()), Some(path));
        }
    }

    #[test]
    fn any_text_as_a_certificate_is_refused_without_being_quoted(text in "(-----BEGIN (PRIVATE KEY|RSA PRIVATE KEY|CERTIFICATE)-----\n)?[A-Za-z0-9+/=\n]{0,200}(-----END CERTIFICATE-----)?") {
        let refused = ClientCertificate::read(&text);
        prop_assert!(refused.is_err());
        let body: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        prop_assert!(body.len() < 40 || !refused.unwrap_err().contains(&body[..40]));
    }

    #[test]
    fn settings_of_any_text_are_understood_or_refused(text in "\\PC{0,60}") {
        let _ = (parse::duration(&text), parse::size(&text), parse::rate(&text), parse::switch(&text));
        if let Ok(secret) = parse::cookie_secret(&text) {
            prop_assert!(secret.len() >= 32);
        }
        if let Err(sentence) = PostgresUrl::parse(&format!("postgres://u:pass-word-{text}@h/{text}")) {
            prop_assert!(!sentence.contains("pass-word"));
        }
    }

    #[test]
    fn an_address_that_names_a_person_is_printable_ascii(text in "[a-zA-Z@. \\n\\PC]{0,30}") {
        if is_plain_address(&text) {
            prop_assert!(text.is_ascii() && text.matches('@').count() == 1 && !text.contains(char::is_whitespace));
        }
    }

    #[test]
    fn only_our_own_origin_may_change_something(sent in "\\PC{0,40}") {
        let ours = origin::is_ours(&actix_web::http::Method::POST, &with("origin", &sent), "https://portal.example");
        prop_assert!(!ours || sent == "https://portal.example" || HeaderValue::from_str(&sent).is_err());
    }
}
