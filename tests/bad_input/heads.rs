//! Heads of requests that are too large, or hold bytes that no head may hold.

use portcullis::roles::Role;

use super::{assert_serves, raw};
use crate::support::app::TestApp;
use crate::support::database::Backend;

const MEGABYTES: usize = 10 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_megabytes_of_head_are_refused_and_nobody_else_notices() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    let start = format!("GET /api/me HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n");
    let line = |name: &str, length: usize| format!("{name}: {}\r\n", "x".repeat(length));
    let mut many = start.clone();
    while many.len() < MEGABYTES {
        many.push_str(&line("X-Filler", 8_000));
    }
    for (what, head) in [
        ("many headers", many + "\r\n"),
        (
            "one header",
            format!("{start}{}\r\n", line("X-Filler", MEGABYTES)),
        ),
        (
            "one cookie",
            format!("{start}{}\r\n", line("Cookie", MEGABYTES)),
        ),
        (
            "a name without an end",
            format!("{start}{}", "x".repeat(MEGABYTES)),
        ),
        (
            "an address",
            format!(
                "GET /?q={} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "x".repeat(MEGABYTES)
            ),
        ),
        (
            "a method",
            format!(
                "{} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "X".repeat(MEGABYTES)
            ),
        ),
        ("empty lines", "\r\n".repeat(MEGABYTES / 2)),
        (
            "tiny headers",
            format!("{start}{}\r\n", "a:\r\n".repeat(200_000)),
        ),
    ] {
        let ask = raw::ask(&app, head.as_bytes());
        let (answer, ()) = tokio::join!(ask, assert_serves(&app, &reader, what));
        // Closing without a word is an answer to this, too: whoever still writes does not read.
        if let Some(answer) = answer {
            assert!(
                (400..500).contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
            assert_eq!(answer.header("server"), "", "{what}");
        }
        assert_serves(&app, &reader, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_common_size_is_taken() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    let filler = "x".repeat(500);
    let mut headers = vec![("Cookie", cookie.as_str())];
    headers.extend([("X-Filler", filler.as_str()); 60]);
    let answer = raw::ask(&app, &raw::request("GET", "/api/me", &headers))
        .await
        .unwrap();
    answer.expect(200, "32 KB in 60 headers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_no_head_may_hold_are_refused() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("a.txt", "content");
    let session = raw::cookie(&reader);
    for (what, bytes) in [
        (
            "invalid UTF-8",
            &b"GET /api/files/\xff HTTP/1.1\r\nHost: x\r\n"[..],
        ),
        (
            "a truncated letter",
            b"GET /api/files/\xc3 HTTP/1.1\r\nHost: x\r\n",
        ),
        ("NUL", b"GET /api/files/a.txt\0 HTTP/1.1\r\nHost: x\r\n"),
        ("escape", b"GET /api/files/\x1b[31m HTTP/1.1\r\nHost: x\r\n"),
        ("delete", b"GET /api/files/\x7f HTTP/1.1\r\nHost: x\r\n"),
        ("tab", b"GET\t/api/files/a.txt\tHTTP/1.1\r\nHost: x\r\n"),
        (
            "carriage return",
            b"GET /api/files/a\r.txt HTTP/1.1\r\nHost: x\r\n",
        ),
        (
            "NUL in a header",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\nX-A: \0\r\n",
        ),
        (
            "a header without a name",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\n: x\r\n",
        ),
        (
            "a header without a colon",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\nnonsense\r\n",
        ),
        (
            "a header with a space",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\nX A: x\r\n",
        ),
        (
            "a folded header",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\nX-A: x\r\n folded\r\n",
        ),
        (
            "two hosts",
            b"GET /api/files/a.txt HTTP/1.1\r\nHost: x\r\nHost: y\r\n",
        ),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("zeros", &[0; 1_000]),
        ("all bits", &[0xff; 1_000]),
    ] {
        let mut request = bytes.to_vec();
        request.extend_from_slice(
            format!("Cookie: {session}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        if let Some(answer) = raw::ask(&app, &request).await {
            assert!(
                [400, 404].contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains("content"), "{what}");
        }
        assert_serves(&app, &reader, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_letters_in_an_address_mean_the_letters_or_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ü.txt", "umlaut");
    // No client should send them unencoded, and some do.
    for target in ["/api/files/ü.txt", "/api/items?q=ü", "/?q=ü"] {
        let answer = raw::get(&app, &reader, target).await;
        assert!(
            [200, 400, 404].contains(&answer.status),
            "{target}: {}",
            answer.text()
        );
    }
    assert_serves(&app, &reader, "raw letters").await;
}
