//! Clients that begin and never end: their connections are closed, and nobody waits for them.

use std::time::{Duration, Instant};

use portcullis::roles::Role;

use super::assert_serves;
use super::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::database::Backend;

/// Ten seconds for a head, and some for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_head_and_then_silence_ends_in_fifteen_seconds_at_most() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let began = Instant::now();
    let mut wires = Vec::new();
    for start in [
        "",
        "G",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
        "POST /api/items HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n",
    ] {
        // More of each than there are workers.
        for _ in 0..4 {
            let mut wire = Wire::open(&app).await;
            wire.send(start.as_bytes()).await;
            wires.push((start, wire));
        }
    }
    assert_serves(&app, &reader, "silent clients").await;
    for (start, wire) in &mut wires {
        if let Some(answer) = wire.answer().await {
            assert_eq!(answer.status, 408, "{start:?}: {}", answer.text());
        }
        wire.closed().await;
        assert!(
            began.elapsed() < CLOSED_WITHIN,
            "{start:?}: {:?}",
            began.elapsed()
        );
    }
    assert!(
        began.elapsed() > Duration::from_secs(5),
        "slow lines need some time"
    );
    assert_serves(&app, &reader, "silent clients").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_letter_by_letter_ends_as_soon() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let began = Instant::now();
    let mut wire = Wire::open(&app).await;
    wire.send(b"GET / HTTP/1.1\r\nX-Slow: ").await;
    let mut drip = tokio::time::interval(Duration::from_millis(200));
    while wire.send(b"x").await {
        drip.tick().await;
        assert!(began.elapsed() < CLOSED_WITHIN, "still listening");
    }
    assert_serves(&app, &reader, "a slow client").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_rests_after_its_answer_is_closed() {
    let app = TestApp::start(Backend::Sqlite).await;
    let mut wire = Wire::open(&app).await;
    wire.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    wire.answer().await.unwrap().expect(200, "the first");
    assert!(wire.closed().await < CLOSED_WITHIN);
}

/// Some seconds more than a first head is given: keep-alive and head together.
const LATER_HEAD_CLOSED_WITHIN: Duration = Duration::from_secs(22);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_second_request_ends_as_well_whether_silent_or_dripping() {
    let app = TestApp::start(Backend::Sqlite).await;
    let began = Instant::now();
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::open(&app).await;
        wire.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        wire.answer().await.unwrap().expect(200, "the first");
        wire.send(b"GET /health/live HTTP/1.1\r\nX-Slow: ").await;
        wires.push(wire);
    }
    let [silent, dripping] = wires.as_mut_slice() else {
        unreachable!()
    };
    let mut drip = tokio::time::interval(Duration::from_millis(200));
    while dripping.send(b"x").await {
        drip.tick().await;
        assert!(
            began.elapsed() < LATER_HEAD_CLOSED_WITHIN,
            "still listening"
        );
    }
    silent.closed().await;
    assert!(
        began.elapsed() < LATER_HEAD_CLOSED_WITHIN,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_that_nobody_reads_do_not_hold_a_connection() {
    let app = TestApp::start(Backend::Sqlite).await;
    let began = Instant::now();
    let mut wire = Wire::open(&app).await;
    wire.send(
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    wire.answer().await.unwrap().expect(200, "the first");
    let mut drip = tokio::time::interval(Duration::from_millis(200));
    while wire.send(b"1\r\nx\r\n").await {
        drip.tick().await;
        assert!(
            began.elapsed() < LATER_HEAD_CLOSED_WITHIN,
            "still listening"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_is_work_and_its_connection_serves_on() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let size = 48 << 20;
    std::fs::File::create(app.files().join("large.bin"))
        .unwrap()
        .set_len(size)
        .unwrap();
    let mut wire = Wire::open(&app).await;
    let cookie = raw::cookie(&reader);
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let began = Instant::now();
    wire.send(request("/api/files/large.bin").as_bytes()).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(wire.take(1).await);
    }
    let mut pace = tokio::time::interval(Duration::from_millis(400));
    for _ in 0..size >> 20 {
        wire.take(1 << 20).await;
        pace.tick().await;
    }
    assert!(began.elapsed() > Duration::from_secs(16), "within patience");
    wire.send(request("/health/live").as_bytes()).await;
    wire.answer().await.unwrap().expect(200, "the next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_comes_is_not_waited_for_where_nobody_reads_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    let json = ("Content-Type", "application/json");
    let length = ("Content-Length", "1000000");
    for (method, path, headers, status) in [
        ("POST", "/api/items", vec![json, length], 401),
        ("GET", "/", vec![json, length], 303),
        (
            "POST",
            "/api/items",
            vec![json, length, ("Cookie", cookie.as_str())],
            403,
        ),
        (
            "PUT",
            "/api/items",
            vec![json, length, ("Cookie", cookie.as_str())],
            405,
        ),
        (
            "GET",
            "/api/items",
            vec![json, length, ("Cookie", cookie.as_str())],
            200,
        ),
        ("POST", "/login", vec![json, length], 405),
    ] {
        let mut wire = Wire::open(&app).await;
        wire.send(&raw::request(method, path, &headers)).await;
        let answer = wire.answer().await.unwrap();
        answer.expect(status, &format!("{method} {path}"));
        assert!(wire.closed().await < CLOSED_WITHIN, "{method} {path}");
    }
}
