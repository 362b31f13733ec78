//! What the audit is told of a download when it ends, however it ends.

use std::time::{Duration, Instant};

use portcullis::audit::store::Entry;
use portcullis::roles::Role;
use reqwest::Method;
use tokio::time::timeout;

use super::noise;
use crate::bad_input::raw;
use crate::support::app::account;
use crate::support::client::Browser;
use crate::support::on_both;

/// All download rows, oldest first, once the download of `last.txt`, which is made here, is among them.
/// The queue keeps its order, so nothing that ended before can still be on its way.
async fn downloads(app: &crate::support::app::TestApp, reader: &Browser) -> Vec<Entry> {
    app.write("last.txt", "last");
    reader.get("/api/files/last.txt").await.expect(200);
    app.eventually("the row of last.txt", async || {
        let rows = app.audit().await;
        rows.iter()
            .any(|row| row.action == "downloaded" && row.subject == "last.txt")
    })
    .await;
    let mut rows = app.audit().await;
    rows.retain(|row| row.action == "downloaded" && row.subject != "last.txt");
    rows.reverse();
    rows
}

fn detail(row: &Entry) -> serde_json::Value {
    serde_json::from_str(&row.detail).unwrap()
}

on_both! {
    async fn a_whole_download_is_a_row_with_person_path_and_bytes(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("Finance/Übersicht 1.bin", noise(100_000));
        app.write("empty.bin", "");
        reader.get("/api/files/Finance/%C3%9Cbersicht%201.bin").await.expect(200);
        reader.get("/api/files/empty.bin").await.expect(200);
        let rows = downloads(&app, &reader).await;
        assert_eq!(rows.len(), 2, "{rows:?}");
        for (row, path, bytes) in [(&rows[0], "Finance/Übersicht 1.bin", 100_000), (&rows[1], "empty.bin", 0)] {
            assert_eq!(row.subject, path);
            assert_eq!(row.outcome, "whole");
            assert_eq!(row.bytes, Some(bytes));
            assert_eq!(row.actor, account(Some(Role::Reader)));
            assert_eq!(row.address.as_deref(), Some("127.0.0.1"));
            assert_eq!(row.reference.as_ref().map(String::len), Some(9));
            assert!(detail(row)["range"].is_null(), "{row:?}");
            assert!(detail(row)["milliseconds"].is_u64(), "{row:?}");
            assert_eq!(detail(row)["sent_by"], "portcullis", "{row:?}");
            assert!(detail(row)["reason"].is_null(), "{row:?}");
        }
    }

    async fn a_part_is_a_row_with_its_range(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("ten.txt", "0123456789");
        for range in ["bytes=2-4", "bytes=-1"] {
            reader.send(Method::GET, "/api/files/ten.txt", &[("range", range)], Vec::new()).await.expect(206);
        }
        let rows = downloads(&app, &reader).await;
        let told: Vec<_> = rows.iter().map(|row| (detail(row)["range"].clone(), row.bytes, row.outcome.as_str())).collect();
        assert_eq!(told, [("bytes 2-4/10".into(), Some(3), "whole"), ("bytes 9-9/10".into(), Some(1), "whole")]);
    }

    async fn a_client_that_hangs_up_in_the_middle_leaves_a_broken_off_row_with_fewer_bytes(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let length = 50_000_000;
        std::fs::File::create(app.files().join("big.bin")).unwrap().set_len(length).unwrap();
        let mut wire = raw::Wire::open(&app).await;
        let request = raw::request("GET", "/api/files/big.bin", &[("Cookie", &raw::cookie(&reader))]);
        assert!(wire.send(&request).await);
        wire.take(100_000).await;
        drop(wire);
        let row = app.audited("downloaded").await;
        assert_eq!((row.subject.as_str(), row.outcome.as_str()), ("big.bin", "broken_off"));
        assert_eq!(row.actor, account(Some(Role::Reader)));
        let sent = row.bytes.unwrap();
        assert!(sent > 90_000 && sent < i64::try_from(length).unwrap(), "{sent}");
    }

    async fn a_row_is_written_within_a_second(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let mut slowest = Vec::new();
        // Another program may hold the machine up now and then, but not every time.
        for name in ["1.txt", "2.txt", "3.txt", "4.txt", "5.txt"] {
            app.write(name, name);
            reader.get(&format!("/api/files/{name}")).await.expect(200);
            let began = Instant::now();
            app.eventually(name, async || app.audit().await.iter().any(|row| row.subject == name)).await;
            if began.elapsed() < Duration::from_secs(1) {
                return;
            }
            slowest.push(began.elapsed());
        }
        panic!("{slowest:?}");
    }

    async fn a_download_waits_while_the_queue_is_full_and_nothing_is_dropped(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("ten.txt", "0123456789");
        let mut places = Vec::new();
        while let Ok(place) = timeout(Duration::from_millis(200), app.state.audit.place()).await {
            places.push(place.unwrap());
        }
        assert!((1_000..100_000).contains(&places.len()), "{} places", places.len());
        let ask = async |method| reader.send(method, "/api/files/ten.txt", &[], Vec::new()).await;
        // What leaves no row needs no place.
        ask(Method::HEAD).await.expect(200);
        let mut download = std::pin::pin!(ask(Method::GET));
        assert!(timeout(Duration::from_millis(500), download.as_mut()).await.is_err(), "it did not wait");
        places.pop();
        download.await.expect(200);
        app.audited("downloaded").await;
    }

    async fn what_sends_no_byte_of_a_file_leaves_no_row(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("ten.txt", "0123456789");
        let ask = async |method, path, headers: &[(&str, &str)], status| {
            reader.send(method, path, headers, Vec::new()).await.expect(status);
        };
        ask(Method::HEAD, "/api/files/ten.txt", &[], 200).await;
        ask(Method::HEAD, "/api/files/ten.txt", &[("range", "bytes=0-1")], 200).await;
        ask(Method::GET, "/api/files/ten.txt", &[("if-none-match", "*")], 304).await;
        ask(Method::GET, "/api/files/ten.txt", &[("range", "bytes=10-")], 416).await;
        ask(Method::GET, "/api/files/ten.txt", &[("if-match", "\"x\"")], 412).await;
        ask(Method::GET, "/api/files/absent.txt", &[], 404).await;
        ask(Method::POST, "/api/files/ten.txt", &[], 405).await;
        app.visitor().get("/api/files/ten.txt").await.expect(401);
        app.signed_in_as(None).await.get("/api/files/ten.txt").await.expect(403);
        let rows = downloads(&app, &reader).await;
        assert!(rows.is_empty(), "{rows:?}");
    }
}
