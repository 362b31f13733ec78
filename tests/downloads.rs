//! Downloads: the bytes, the headers around them, what is listed, what is never served, and what the audit is told.

mod broken;
mod chromium;
mod conditions;
mod large;
mod listing;
pub mod names;
mod offload;
pub mod page;
mod paths;
mod ranges;
mod resume;
mod slow;
mod slow_disk;
pub mod told;

use std::time::Duration;

use portcullis::roles::Role;
use reqwest::Method;

use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::database::Backend;

/// Bytes that repeat nowhere near, the same ones every time (xorshift).
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// The test's own way of writing a path into a URL: everything but letters and digits is encoded.
pub fn url_of(path: &str) -> String {
    let encode =
        |name| percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let names: Vec<String> = path
        .split('/')
        .map(|name| encode(name).to_string())
        .collect();
    format!("/api/files/{}", names.join("/"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_the_file_byte_for_byte_with_the_headers_that_keep_it_safe() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for (path, length) in [
        ("empty.bin", 0),
        ("one.bin", 1),
        ("block.bin", 65_536),
        ("Finance/block and one.bin", 65_537),
        ("Finance/2026/Q3/large.bin", 3_000_017),
    ] {
        let content = noise(length);
        app.write(path, &content);
        let reply = reader.get(&url_of(path)).await.expect(200);
        assert!(reply.body == content, "{path}: other bytes arrived");
        assert_eq!(reply.header("content-length"), length.to_string(), "{path}");
        assert_eq!(reply.header("accept-ranges"), "bytes", "{path}");
        assert_eq!(reply.header("cache-control"), "private, no-cache", "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("content-encoding"), "", "{path}");
        assert!(!reply.header("last-modified").is_empty(), "{path}");
        let disposition = reply.header("content-disposition");
        assert!(
            disposition.starts_with("attachment; "),
            "{path}: {disposition}"
        );
        let etag = reply.header("etag");
        assert!(
            etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
            "{path}: {etag}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_could_show_is_still_saved_and_never_run() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for name in [
        "page.html",
        "drawing.svg",
        "script.js",
        "text.txt",
        "x.pdf",
        "x.xml",
    ] {
        app.write(name, "<script>alert(1)</script>");
        let reply = reader.navigate(&url_of(name)).await.expect(200);
        let disposition = reply.header("content-disposition");
        assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{name}");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{name}: {policy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_files_arrive_as_they_are() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for name in ["a.tar.gz", "a.svgz", "a.br", "a.zst", "a.txt", "a.json"] {
        let content = vec![b'x'; 100_000];
        app.write(name, &content);
        let headers = [("accept-encoding", "gzip, br, zstd, deflate")];
        let reply = reader
            .send(Method::GET, &url_of(name), &headers, Vec::new())
            .await
            .expect(200);
        assert!(reply.body == content, "{name}: other bytes arrived");
        assert_eq!(reply.header("content-encoding"), "", "{name}");
        assert_eq!(reply.header("content-length"), "100000", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_tells_the_true_length_and_sends_no_byte_of_the_file() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    for length in [0, 10, 1_000_000] {
        app.write("a b.bin", noise(length));
        let get = reader.get(&url_of("a b.bin")).await.expect(200);
        // A range means nothing to HEAD (RFC 9110 section 14.2).
        for headers in [
            vec![("Cookie", cookie.as_str())],
            vec![("Cookie", cookie.as_str()), ("Range", "bytes=0-3")],
        ] {
            let head = raw::request("HEAD", url_of("a b.bin"), &headers);
            let head = raw::ask(&app, &head).await.unwrap().expect(200, "HEAD");
            assert_eq!(head.body, b"", "a body came with HEAD");
            for name in [
                "content-length",
                "etag",
                "last-modified",
                "content-type",
                "content-disposition",
            ] {
                assert_eq!(head.header(name), get.header(name), "{name}");
            }
            assert_eq!(head.header("content-length"), length.to_string());
            assert_eq!(head.header("cache-control"), "private, no-cache");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_never_carry_a_file_name() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (nobody, visitor) = (app.signed_in_as(None).await, app.visitor());
    app.write("a.txt", "0123456789");
    let plain: &[(&str, &str)] = &[];
    for (status, browser, method, path, headers) in [
        (401, &visitor, Method::GET, "a.txt", plain),
        (403, &nobody, Method::GET, "a.txt", plain),
        (404, &reader, Method::GET, "b.txt", plain),
        (405, &reader, Method::DELETE, "a.txt", plain),
        (412, &reader, Method::GET, "a.txt", &[("if-match", "\"x\"")]),
        (
            416,
            &reader,
            Method::GET,
            "a.txt",
            &[("range", "bytes=10-")],
        ),
    ] {
        let what = format!("{method} {path} {status}");
        let reply = browser
            .send(method, &url_of(path), headers, Vec::new())
            .await
            .expect(status);
        assert_eq!(reply.header("content-disposition"), "", "{what}");
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        assert_eq!(reply.json()["status"], status, "{what}");
        assert!(!reply.text().contains("0123456789"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_served_from_the_moment_it_is_on_disk_and_gone_with_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/files/late/news.txt").await.expect(404);
    assert_eq!(
        reader.get("/api/items").await.expect(200).json(),
        serde_json::json!([])
    );

    let file = app.write("late/news.txt", "first");
    let first = reader.get("/api/files/late/news.txt").await.expect(200);
    assert_eq!(first.text(), "first");
    let listed = reader.get("/api/items").await.expect(200).json();
    assert_eq!(listed[0]["path"], "late/news.txt");
    let page = reader.navigate("/?folder=late").await.expect(200).text();
    assert!(page.contains("href=\"/api/files/late/news.txt\""), "{page}");

    app.write("late/news.txt", "other");
    let second = reader.get("/api/files/late/news.txt").await.expect(200);
    assert_eq!(second.text(), "other");
    assert_ne!(
        first.header("etag"),
        second.header("etag"),
        "same length, other content"
    );

    std::fs::remove_file(file).unwrap();
    reader.get("/api/files/late/news.txt").await.expect(404);
    assert_eq!(
        reader.get("/api/items").await.expect(200).json(),
        serde_json::json!([])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_nobody_up() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let big = std::fs::File::create(app.files().join("big.bin")).unwrap();
    big.set_len(200_000_000).unwrap();
    app.write("small.txt", "small");
    let request = raw::request(
        "GET",
        "/api/files/big.bin",
        &[("Cookie", &raw::cookie(&reader))],
    );
    // More of them than there are workers.
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut wire = raw::Wire::open(&app).await;
        assert!(wire.send(&request).await);
        wire.take(1_000).await;
        slow.push(wire);
    }
    for _ in 0..8 {
        let visitor = app.visitor();
        let alive = tokio::time::timeout(Duration::from_secs(5), visitor.get("/health/live")).await;
        alive
            .expect("the portal waits for slow readers")
            .expect(200);
        assert_eq!(
            reader.get("/api/files/small.txt").await.expect(200).text(),
            "small"
        );
    }
}
