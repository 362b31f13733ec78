//! Headers that protect people stand on every answer of every status, and none tells what the portal is made of.

use std::collections::BTreeSet;

use portcullis::roles::Role;
use reqwest::Method;

use super::raw;
use crate::publishing::form::{Form, file};
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::database::Backend;

/// Headers as (name, value), names in lower case.
type Headers = Vec<(String, String)>;

fn assert_safe(what: &str, headers: &Headers, stored: &str) {
    let value = |name: &str| {
        let mut values = headers
            .iter()
            .filter(|(held, _)| held == name)
            .map(|(_, value)| value.as_str());
        let first = values.next().unwrap_or("");
        assert_eq!(values.next(), None, "{what}: {name} stands there twice");
        first
    };
    let policy = value("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{what}: no {part} in {policy:?}");
    }
    for part in ["unsafe", "*", "data:", "http://evil"] {
        assert!(!policy.contains(part), "{what}: {part} in {policy:?}");
    }
    // Scripts run on one page, and come from where nobody publishes.
    for sources in policy.split("script-src ").skip(1) {
        let sources = sources.split(';').next().unwrap();
        let ours = sources.starts_with("http://localhost:") && sources.ends_with("/static/");
        assert!(what.contains("/publish") && ours, "{what}: {policy:?}");
        assert!(!sources.contains(' '), "{what}: {policy:?}");
    }
    assert_eq!(value("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(value("x-frame-options"), "DENY", "{what}");
    let referrer = value("referrer-policy");
    assert!(
        ["same-origin", "no-referrer"].contains(&referrer),
        "{what}: {referrer:?}"
    );
    assert_eq!(value("cross-origin-opener-policy"), "same-origin", "{what}");
    assert_eq!(
        value("cross-origin-resource-policy"),
        "same-origin",
        "{what}"
    );
    assert_eq!(value("cache-control"), stored, "{what}");
    assert_eq!(value("access-control-allow-origin"), "", "{what}");
    for (name, value) in headers {
        let tells =
            ["server", "via", "x-powered-by", "x-version", "x-runtime"].contains(&name.as_str());
        let value = value.to_ascii_lowercase();
        assert!(
            !tells && !value.contains("actix") && !value.contains("rust"),
            "{what}: {name}: {value}"
        );
    }
}

fn pairs(reply: &Reply) -> Headers {
    let pair = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    reply.headers.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_every_status_carries_them() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    let (nobody, visitor) = (app.signed_in_as(None).await, app.visitor());
    app.write("ten.txt", "0123456789");
    let css = admin.navigate("/").await.expect(200).text();
    let css = css
        .split_once("rel=\"stylesheet\" href=\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0
        .to_owned();
    let mut seen = BTreeSet::new();
    let mut check = |what: &str, status: u16, headers: &Headers, stored: &str| {
        seen.insert(status);
        assert_safe(&format!("{status} {what}"), headers, stored);
    };
    let (none, json) = (&[][..], &[("accept", "application/json")][..]);
    let page = &[("accept", "text/html")][..];
    for (browser, method, path, headers, status, stored) in [
        (&admin, Method::GET, "/", page, 200, "no-store"),
        (&admin, Method::GET, "/publish", page, 200, "no-store"),
        (&admin, Method::GET, "/admin", page, 200, "no-store"),
        (&admin, Method::GET, "/api/me", json, 200, "no-store"),
        (&admin, Method::GET, "/api/items", json, 200, "no-store"),
        (
            &admin,
            Method::GET,
            "/api/files/ten.txt",
            none,
            200,
            "private, no-cache",
        ),
        (
            &admin,
            Method::HEAD,
            "/api/files/ten.txt",
            none,
            200,
            "private, no-cache",
        ),
        (&visitor, Method::GET, "/health/live", none, 200, "no-store"),
        (
            &visitor,
            Method::GET,
            "/health/ready",
            none,
            200,
            "no-store",
        ),
        (&visitor, Method::GET, "/signed-out", page, 200, "no-store"),
        (
            &visitor,
            Method::GET,
            &css,
            none,
            200,
            "public, max-age=31536000, immutable",
        ),
        (
            &admin,
            Method::GET,
            "/api/files/ten.txt",
            &[("range", "bytes=0-1")],
            206,
            "private, no-cache",
        ),
        (&visitor, Method::GET, "/", page, 303, "no-store"),
        (&visitor, Method::GET, "/login", page, 303, "no-store"),
        (&visitor, Method::GET, "/logout", page, 303, "no-store"),
        (
            &visitor,
            Method::GET,
            "/callback?state=x",
            page,
            400,
            "no-store",
        ),
        (
            &admin,
            Method::GET,
            "/api/items?page=x",
            json,
            400,
            "no-store",
        ),
        (&visitor, Method::GET, "/api/items", json, 401, "no-store"),
        (&visitor, Method::GET, "/api/items", page, 401, "no-store"),
        (&visitor, Method::POST, "/", page, 401, "no-store"),
        (&nobody, Method::GET, "/", page, 403, "no-store"),
        (&nobody, Method::GET, "/api/items", json, 403, "no-store"),
        (
            &admin,
            Method::POST,
            "/publish",
            &[("origin", "https://evil.example")],
            403,
            "no-store",
        ),
        (&admin, Method::GET, "/nothing", page, 404, "no-store"),
        (
            &admin,
            Method::GET,
            "/api/files/nothing",
            json,
            404,
            "no-store",
        ),
        (
            &visitor,
            Method::GET,
            "/static/nothing",
            none,
            404,
            "no-store",
        ),
        (&admin, Method::DELETE, "/", page, 405, "no-store"),
        (&visitor, Method::DELETE, "/login", none, 405, "no-store"),
        (
            &admin,
            Method::OPTIONS,
            "/api/items",
            &[("origin", "https://evil.example")],
            403,
            "no-store",
        ),
        (
            &admin,
            Method::GET,
            "/api/files/ten.txt",
            &[("if-match", "\"x\"")],
            412,
            "private, no-cache",
        ),
        (
            &admin,
            Method::GET,
            "/api/files/ten.txt",
            &[("range", "bytes=10-")],
            416,
            "private, no-cache",
        ),
    ] {
        let what = format!("{method} {path} {headers:?}");
        let reply = browser
            .send(method, path, headers, Vec::new())
            .await
            .expect(status);
        // What is refused may be stored by nobody, whichever of the two says so.
        let stored = if [412, 416].contains(&status) {
            reply.header("cache-control")
        } else {
            stored
        };
        assert!(
            [
                "no-store",
                "private, no-cache",
                "public, max-age=31536000, immutable"
            ]
            .contains(&stored),
            "{what}"
        );
        check(&what, status, &pairs(&reply), stored);
    }
    let request = raw::request(
        "GET",
        "/api/files/ten.txt",
        &[("Cookie", &raw::cookie(&admin)), ("If-None-Match", "*")],
    );
    let answer = raw::ask(&app, &request)
        .await
        .unwrap()
        .expect(304, "If-None-Match");
    check("If-None-Match", 304, &answer.headers, "private, no-cache");
    let long = "x".repeat(5_000);
    for (form, status) in [
        (file("a.txt", "a"), 201),
        (file("a.txt", "a"), 409),
        (file("a.txt", "a").text("title", &long), 413),
        (Form::new(), 422),
        (file(".a", "a"), 422),
    ] {
        let reply = form.clone().publish(&admin).await.expect(status);
        check("POST /api/items", status, &pairs(&reply), "no-store");
        if status > 201 {
            let reply = form.submit(&admin, "/publish").await.expect(status);
            check("POST /publish", status, &pairs(&reply), "no-store");
        }
    }
    let reply = file("b.txt", "b")
        .submit(&admin, "/publish")
        .await
        .expect(303);
    check("POST /publish", 303, &pairs(&reply), "no-store");
    std::fs::rename(app.files(), app.folder().join("away")).unwrap();
    for path in ["/", "/api/items"] {
        check(
            path,
            500,
            &pairs(&admin.get(path).await.expect(500)),
            "no-store",
        );
    }
    let reply = admin
        .post("/api/me/sign-out", "application/json", "")
        .await
        .expect(204);
    check("POST /api/me/sign-out", 204, &pairs(&reply), "no-store");
    let statuses = [
        200, 201, 204, 206, 303, 304, 400, 401, 403, 404, 405, 409, 412, 413, 416, 422, 500,
    ];
    assert!(seen.iter().eq(&statuses), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_need_other_settings_carry_them_too() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SIGN_IN_RATE", "1/h")
        .start()
        .await;
    let visitor = app.visitor();
    visitor.navigate("/login").await.expect(303);
    let reply = visitor.navigate("/login").await.expect(429);
    assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_safe("429", &pairs(&reply), "no-store");
    assert!(super::reference(&reply.text()).is_some());

    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_ID", "")
        .start()
        .await;
    let reply = app.visitor().navigate("/login").await.expect(503);
    assert!(
        reply.text().contains("APP_REG_CLIENT_ID"),
        "{}",
        reply.text()
    );
    assert_safe("503", &pairs(&reply), "no-store");
    assert!(super::reference(&reply.text()).is_some());

    let app = TestApp::builder(Backend::Sqlite)
        .with("TEST_MODE", "true")
        .start()
        .await;
    let request =
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let answer = raw::ask(&app, request)
        .await
        .unwrap()
        .expect(421, "a foreign host");
    assert_safe("421", &answer.headers, "no-store");
    assert!(super::reference(&answer.text()).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_front_channel_may_be_framed_and_only_by_the_authority() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reply = app
        .visitor()
        .get("/logout/frontchannel?sid=x")
        .await
        .expect(200);
    let policy = reply.header("content-security-policy");
    let authority = url::Url::parse(&app.emulator.url())
        .unwrap()
        .origin()
        .ascii_serialization();
    assert_eq!(
        policy,
        format!("default-src 'none'; frame-ancestors {authority}")
    );
    assert_eq!(reply.header("x-frame-options"), "");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_the_answers_of_the_http_parser_tell_what_it_is() {
    let app = TestApp::start(Backend::Sqlite).await;
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
    ] {
        if let Some(answer) = raw::ask(&app, request.as_bytes()).await {
            assert!([400, 431].contains(&answer.status), "{answer:?}");
            let names: Vec<_> = answer
                .headers
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            assert!(!names.contains(&"server"), "{names:?}");
            assert!(
                !answer.text().to_lowercase().contains("actix"),
                "{answer:?}"
            );
        }
    }
}
