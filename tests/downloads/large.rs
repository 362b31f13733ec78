//! Much at once: a file beyond four gibibytes, and more slow clients than anybody expects.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use portcullis::roles::Role;
use reqwest::Method;

use crate::bad_input::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::emulator::accounts::Account;

const GIBIBYTE: u64 = 1 << 30;
const SIX: u64 = 6 * GIBIBYTE;
const MARK: &[u8] = b"a mark";

/// A sparse file, which takes no room on the disk, with marks where offsets of 32 bits would go wrong.
fn six_gibibytes(app: &TestApp) -> [u64; 5] {
    let marks = [
        0,
        2 * GIBIBYTE - 3,
        4 * GIBIBYTE - 3,
        5 * GIBIBYTE + 1,
        SIX - MARK.len() as u64,
    ];
    let file = std::fs::File::create(app.files().join("six.bin")).unwrap();
    file.set_len(SIX).unwrap();
    for mark in marks {
        file.write_all_at(MARK, mark).unwrap();
    }
    marks
}

/// A reader, signed in.
async fn somebody(app: &TestApp, number: u32) -> Browser {
    let email = format!("person{number}@contoso.example");
    let oid = format!("bbbbbbbb-0000-4000-8000-00000000000{number}");
    let person = Account::member(&email, &email, &oid);
    app.emulator.add_person(person);
    app.grant(&email, Role::Reader).await;
    let browser = app.visitor();
    let me = app.sign_in(&browser, &email, "/api/me").await;
    me.expect(200);
    browser
}

async fn begin(app: &TestApp, reader: &Browser, path: &str) -> Wire {
    let mut wire = Wire::open(app).await;
    let request = raw::request("GET", path, &[("Cookie", &raw::cookie(reader))]);
    assert!(wire.send(&request).await);
    wire
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_at_the_very_end_of_six_gibibytes_are_exact() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let marks = six_gibibytes(&app);
    for mark in marks {
        let last = mark + MARK.len() as u64 - 1;
        let range = format!("bytes={mark}-{last}");
        let headers = [("range", range.as_str())];
        let reply = reader
            .send(Method::GET, "/api/files/six.bin", &headers, Vec::new())
            .await
            .expect(206);
        assert_eq!(reply.body, MARK, "{range}");
        let told = format!("bytes {mark}-{last}/{SIX}");
        assert_eq!(reply.header("content-range"), told);
    }
    for range in [
        "bytes=-6",
        "bytes=6442450938-",
        "bytes=6442450938-9999999999",
    ] {
        let headers = [("range", range)];
        let reply = reader
            .send(Method::GET, "/api/files/six.bin", &headers, Vec::new())
            .await
            .expect(206);
        assert_eq!(reply.body, MARK, "{range}");
    }
    let beyond = [("range", "bytes=6442450944-")];
    let reply = reader
        .send(Method::GET, "/api/files/six.bin", &beyond, Vec::new())
        .await
        .expect(416);
    assert_eq!(reply.header("content-range"), format!("bytes */{SIX}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_gibibytes_arrive_whole() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let marks = six_gibibytes(&app);
    let mut wire = begin(&app, &reader, "/api/files/six.bin").await;
    let head = wire.head().await;
    assert!(head.contains(&format!("content-length: {SIX}")), "{head}");
    const PIECE: usize = 1 << 20;
    let zeros = vec![0; PIECE];
    for at in (0..SIX).step_by(PIECE) {
        let piece = wire.take(PIECE).await;
        let end = at + PIECE as u64;
        let marked = |mark: &&u64| **mark < end && **mark + MARK.len() as u64 > at;
        let Some(mark) = marks.iter().find(marked) else {
            assert!(piece == zeros, "other bytes at {at}");
            continue;
        };
        // A mark may lie across the border of two pieces.
        let expected = (at..end).map(|place| match place.checked_sub(*mark) {
            Some(index) if index < MARK.len() as u64 => MARK[index as usize],
            _ => 0,
        });
        assert!(expected.eq(piece), "other bytes at {at}");
    }
    let row = app.audited("downloaded").await;
    assert_eq!(row.outcome, "whole");
    assert_eq!(row.bytes, Some(i64::try_from(SIX).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_answers_beside_three_hundred_slow_clients() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    // More people, because one person may have a hundred downloads open.
    let mut people = Vec::new();
    for number in 0..5 {
        people.push(somebody(&app, number).await);
    }
    let big = std::fs::File::create(app.files().join("big.bin")).unwrap();
    big.set_len(GIBIBYTE).unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut clients = Vec::new();
    for number in 0..300 {
        let mut wire = begin(&app, &people[number % people.len()], "/api/files/big.bin").await;
        let stopped = stopped.clone();
        clients.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(250));
            while !*stopped.borrow() {
                ticks.tick().await;
                wire.take(20_000).await;
            }
        }));
    }
    let began = Instant::now();
    let mut asked = 0;
    while began.elapsed() < Duration::from_secs(5) || asked < 20 {
        let answer = reader.get("/api/items");
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        answer.expect("the list waits for slow clients").expect(200);
        asked += 1;
    }
    stop.send(true).unwrap();
    for client in clients {
        client.await.expect("a slow client got no more");
    }
}
