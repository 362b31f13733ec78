//! Headers that make other gateways believe another host, another path, another method or another address.

use portcullis::roles::Role;
use reqwest::Method;

use super::raw;
use crate::support::app::TestApp;
use crate::support::database::Backend;

const SPOOFED: &[(&str, &str)] = &[
    ("Host", "evil.example"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Server", "evil.example"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Prefix", "/evil"),
    ("Forwarded", "for=1.2.3.4;host=evil.example;proto=https"),
    ("X-Host", "evil.example"),
    ("X-Original-Host", "evil.example"),
    ("X-Forwarded-Uri", "/health/live"),
    ("X-Original-URL", "/health/live"),
    ("X-Rewrite-URL", "/health/live"),
    ("X-Original-Method", "GET"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-HTTP-Method", "GET"),
    ("X-Method-Override", "GET"),
    ("X-Test-User", "ada.byron@contoso.example"),
    ("X-Forwarded-User", "ada.byron@contoso.example"),
    ("X-Forwarded-Email", "ada.byron@contoso.example"),
    ("X-Auth-Request-Email", "ada.byron@contoso.example"),
    ("X-MS-CLIENT-PRINCIPAL-NAME", "ada.byron@contoso.example"),
    ("Remote-User", "ada.byron@contoso.example"),
    ("Authorization", "Bearer anything"),
    ("User-Agent", "kube-probe/1.30"),
    ("User-Agent", "GoogleHC/1.0"),
];

/// A request as it stands, with one header that must make no difference.
async fn answer(
    app: &TestApp,
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
) -> raw::Answer {
    let (hosts, others): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| *name == "Host");
    let mut request = raw::request(method.as_str(), path, &others);
    if let [(_, host)] = hosts[..] {
        // In place of the usual one: two of them are refused.
        let text = String::from_utf8(request).unwrap();
        request = text
            .replace("Host: localhost", &format!("Host: {host}"))
            .into();
    }
    raw::ask(app, &request).await.unwrap()
}

fn without_secrets(location: &str) -> String {
    let Ok(mut url) = url::Url::parse(location) else {
        return location.to_owned();
    };
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear();
    for (name, value) in pairs {
        if !["state", "nonce", "code_challenge"].contains(&name.as_str()) {
            url.query_pairs_mut().append_pair(&name, &value);
        }
    }
    url.into()
}

async fn nothing_changes(app: &TestApp) {
    app.write("a.txt", "a");
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    let requests = [
        (Method::GET, "/login?redirect_uri=/a", ""),
        (Method::GET, "/", ""),
        (Method::GET, "/api/items", ""),
        (Method::GET, "/api/me", ""),
        (Method::GET, "/admin", ""),
        (Method::POST, "/api/items", ""),
        (Method::GET, "/api/me", cookie.as_str()),
        (Method::GET, "/admin", cookie.as_str()),
        (Method::POST, "/api/me", cookie.as_str()),
        (Method::DELETE, "/api/files/a.txt", cookie.as_str()),
        (Method::GET, "/api/files/a.txt", cookie.as_str()),
        (Method::GET, "/metrics", cookie.as_str()),
    ];
    for (method, path, cookie) in &requests {
        let plain = [("Cookie", *cookie), ("Accept", "text/html")];
        let expected = answer(app, method, path, &plain).await;
        for spoofed in SPOOFED {
            let what = format!("{method} {path} with {}: {}", spoofed.0, spoofed.1);
            let headers = [plain[0], plain[1], *spoofed];
            let got = answer(app, method, path, &headers).await;
            assert_eq!(got.status, expected.status, "{what}: {}", got.text());
            let places = [&got, &expected].map(|one| without_secrets(one.header("location")));
            assert_eq!(places[0], places[1], "{what}");
            assert!(!got.text().contains("evil"), "{what}: {}", got.text());
            assert_eq!(
                got.header("strict-transport-security"),
                expected.header("strict-transport-security"),
                "{what}"
            );
            let is_me = *path == "/api/me" && got.status == 200;
            assert!(
                !is_me || got.text().contains("karl.weber"),
                "{what}: {}",
                got.text()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_changes_where_anything_points_or_what_is_allowed() {
    nothing_changes(&TestApp::start(Backend::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_from_a_trusted_proxy() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await;
    nothing_changes(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_written_down_is_the_rightmost_that_no_trusted_proxy_wrote() {
    for (trusted, forwarded, expected) in [
        (None, "203.0.113.7", "127.0.0.1"),
        (Some("127.0.0.1"), "203.0.113.7", "203.0.113.7"),
        (Some("127.0.0.1"), "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (
            Some("127.0.0.1,10.0.0.0/8"),
            "6.6.6.6, 203.0.113.7, 10.1.1.1",
            "203.0.113.7",
        ),
        (Some("10.0.0.0/8"), "203.0.113.7", "127.0.0.1"),
    ] {
        let mut builder = TestApp::builder(Backend::Sqlite);
        if let Some(trusted) = trusted {
            builder = builder.with("TRUSTED_PROXIES", trusted);
        }
        let app = builder.start().await;
        let nobody = app.signed_in_as(None).await;
        let headers = [("x-forwarded-for", forwarded)];
        nobody
            .send(Method::GET, "/api/items", &headers, Vec::new())
            .await
            .expect(403);
        let row = app.audited("access_refused").await;
        assert_eq!(row.address.as_deref(), Some(expected), "{forwarded}");
    }
}
