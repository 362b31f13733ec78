//! What the audit is told of a zip: a row for every file, and never so many at once that others have to wait.

use std::time::Duration;

use portcullis::audit::store::Entry;
use portcullis::roles::Role;

use super::{begin, keep, read, select};
use crate::bad_input::raw;
use crate::catalogue::{count, row};
use crate::downloads::noise;
use crate::downloads::told::{hold_the_audit, let_the_audit_go};
use crate::support::app::{TestApp, account};
use crate::support::database::Backend;
use crate::support::on_both;

const DOWNLOADED: &str = "SELECT count(*) AS count FROM dim.audit WHERE action = 'downloaded'";

/// The rows of downloads, oldest first, once there are so many.
async fn rows(app: &TestApp, expected: usize) -> Vec<Entry> {
    let mut rows = Vec::new();
    app.eventually("the rows of the zip", async || {
        rows = app.audit().await;
        rows.retain(|row| row.action == "downloaded");
        rows.len() >= expected
    })
    .await;
    rows.reverse();
    rows
}

on_both! {
    async fn every_file_of_a_zip_is_a_row_under_one_reference_and_counts_once(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for (path, size) in [("z/1.txt", 0), ("z/2.bin", 100_000), ("z/3/4.bin", 10)] {
            app.write(path, noise(size));
        }
        app.indexed().await;
        reader.get("/api/zip?folder=z").await.expect(200);
        let rows = rows(&app, 3).await;
        let told: Vec<_> = rows.iter().map(|row| (row.subject.as_str(), row.outcome.as_str(), row.bytes)).collect();
        assert_eq!(told, [("z/1.txt", "whole", Some(0)), ("z/2.bin", "whole", Some(100_000)), ("z/3/4.bin", "whole", Some(10))]);
        for entry in &rows {
            assert_eq!(entry.actor, account(Some(Role::Reader)));
            assert_eq!(entry.reference, rows[0].reference);
            assert_eq!(entry.reference.as_ref().map(String::len), Some(9));
            let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap();
            assert_eq!(detail["zip"], "z.zip", "{entry:?}");
            assert_eq!(row(&app, &entry.subject).await.unwrap().downloads, 1, "{entry:?}");
        }
        // What sends nothing is no row.
        reader.send(reqwest::Method::HEAD, "/api/zip?folder=z", &[], Vec::new()).await.expect(200);
        reader.get("/api/zip?folder=absent").await.expect(404);
        reader.get("/api/zip?path=z%2F1.txt").await.expect(200);
        assert_eq!(self::rows(&app, 4).await.len(), 4);
    }

    async fn a_client_that_goes_away_stops_the_reading_and_the_rest_is_not_told(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("z/1.txt", "one");
        for name in ["2.bin", "3.bin"] {
            std::fs::File::create(app.files().join("z").join(name)).unwrap().set_len(50_000_000).unwrap();
        }
        let (mut wire, _) = begin(&app, &reader, "/api/zip?folder=z").await;
        wire.take(100_000).await;
        drop(wire);
        let rows = rows(&app, 2).await;
        let told: Vec<_> = rows.iter().map(|row| (row.subject.as_str(), row.outcome.as_str())).collect();
        assert_eq!(told, [("z/1.txt", "whole"), ("z/2.bin", "broken_off")]);
        let sent = rows[1].bytes.unwrap();
        assert!(sent > 90_000 && sent < 50_000_000, "{sent}");
    }

    async fn every_selected_file_arrives_and_is_a_row(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        std::fs::create_dir_all(app.files().join("many/a longer name of a folder")).unwrap();
        // Ten thousand in a full run.
        let count_of_files: i64 = if std::env::var_os("PORTCULLIS_ZIP").is_some() { 10_000 } else { 1_500 };
        let paths: Vec<String> = (0..count_of_files).map(|number| format!("many/a longer name of a folder/{number}.txt")).collect();
        for path in &paths {
            std::fs::write(app.files().join(path), path).unwrap();
        }
        let reply = select(&reader, &paths).await.expect(200);
        let entries = read(&keep(&app, &reply));
        assert_eq!(entries.len(), paths.len());
        assert!(entries.iter().all(|entry| entry.size > 30));
        app.eventually("all rows", async || count(&app, DOWNLOADED).await >= count_of_files).await;
        assert_eq!(count(&app, DOWNLOADED).await, count_of_files);
        let references = "SELECT count(DISTINCT reference) AS count FROM dim.audit WHERE action = 'downloaded' AND outcome = 'whole'";
        assert_eq!(count(&app, references).await, 1);
    }

    async fn a_zip_of_many_files_keeps_nobody_from_beginning_a_download(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let other = app.signed_in_as(Role::Editor).await;
        std::fs::create_dir_all(app.files().join("many")).unwrap();
        for number in 0..6_000 {
            std::fs::write(app.files().join(format!("many/{number}")), "").unwrap();
        }
        app.write("other.txt", "other");
        app.indexed().await;
        let hold = hold_the_audit(&app).await;
        let (mut wire, length) = begin(&app, &reader, "/api/zip?folder=many").await;
        let rest = tokio::spawn(async move { wire.rest().await });
        app.eventually("the zip waits for the audit", async || app.state.audit.waiting() >= 1_024).await;
        let began = tokio::time::timeout(Duration::from_secs(5), other.get("/api/files/other.txt")).await;
        began.expect("a download waits for the rows of a zip").expect(200);
        let waiting = app.state.audit.waiting();
        assert!(waiting < 2_000, "{waiting} rows of one zip wait");
        assert!(!rest.is_finished(), "the zip does not wait");
        let_the_audit_go(hold).await;
        assert_eq!(rest.await.unwrap().len() as u64, length);
        app.eventually("all rows", async || count(&app, DOWNLOADED).await == 6_001).await;
    }

    async fn a_zip_is_one_of_the_downloads_that_a_person_may_have_open(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        std::fs::create_dir(app.files().join("z")).unwrap();
        std::fs::File::create(app.files().join("z/big.bin")).unwrap().set_len(50_000_000).unwrap();
        let mut wires = Vec::new();
        for _ in 0..100 {
            wires.push(begin(&app, &reader, "/api/zip?folder=z").await);
        }
        let refused = reader.get("/api/zip?folder=z").await.expect(429);
        assert_eq!(refused.header("content-disposition"), "");
        reader.get("/api/files/z/big.bin").await.expect(429);
        drop(wires);
        app.eventually("those that ended make room", async || {
            let request = raw::request("GET", "/api/zip?folder=z", &[("Cookie", &raw::cookie(&reader))]);
            let mut wire = raw::Wire::open(&app).await;
            wire.send(&request).await && wire.head().await.starts_with("HTTP/1.1 200")
        }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_that_is_too_much_is_refused_with_a_sentence_and_nothing_is_told() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("a.txt", "a");
    let many = "path=a.txt&".repeat(100_001);
    let long = format!("path={}", "x".repeat(8 * 1024 * 1024));
    for (what, body, sentence) in [
        ("one more than a zip holds", many, "100,000"),
        ("a form of over 8 MiB", long, "too much for one form"),
    ] {
        let reply = reader
            .post("/api/zip", "application/x-www-form-urlencoded", body)
            .await;
        let told = crate::publishing::problem(&reply, 413);
        assert!(told.contains(sentence), "{what}: {told}");
    }
    let rows = app.audit().await;
    assert!(
        rows.iter().all(|row| row.action != "downloaded"),
        "{rows:?}"
    );
    // The turns that both took are free again.
    reader.get("/api/zip?path=a.txt").await.expect(200);
    assert_eq!(crate::publishing::on_disk(&app).len(), 1);
}
