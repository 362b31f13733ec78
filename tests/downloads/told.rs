//! What the audit is told of a download when it ends, however it ends.

use portcullis::audit::store::Entry;
use portcullis::roles::Role;
use reqwest::Method;

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
