//! What the audit is told of a download when it ends, however it ends.

use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use portcullis::audit::store::Entry;
use portcullis::audit::{Action, Actor, Event};
use portcullis::db::Conn;
use portcullis::roles::Role;
use reqwest::Method;
use tokio::time::timeout;

use super::noise;
use crate::bad_input::raw;
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::on_both;

/// All download rows, oldest first, once the download of `last.txt`, which is made here, is among them.
/// The queue keeps its order, so nothing that ended before can still be on its way.
async fn downloads(app: &TestApp, reader: &Browser) -> Vec<Entry> {
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

/// Keeps every row out of the audit until it is let go; what reads it goes on.
pub async fn hold_the_audit(app: &TestApp) -> Conn {
    let mut conn = app.db.conn().await.unwrap();
    match &mut conn {
        Conn::Postgres(conn) => {
            conn.batch_execute("BEGIN; LOCK TABLE dim.audit IN EXCLUSIVE MODE")
                .await
        }
        Conn::Sqlite(conn) => conn.batch_execute("BEGIN IMMEDIATE").await,
    }
    .unwrap();
    conn
}

pub async fn let_the_audit_go(hold: Conn) {
    match hold {
        Conn::Postgres(mut conn) => conn.batch_execute("ROLLBACK").await,
        Conn::Sqlite(mut conn) => conn.batch_execute("ROLLBACK").await,
    }
    .unwrap();
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
        let ask = async |method| reader.send(method, "/api/files/ten.txt", &[], Vec::new()).await;
        let hold = hold_the_audit(&app).await;
        let mut told = 0;
        while let Ok(ticket) = timeout(Duration::from_millis(500), app.state.audit.admit()).await {
            ticket.unwrap().tell(Actor::portal(), Event::new(Action::Published, "filler", "published"));
            told += 1;
        }
        assert!((1_000..100_000).contains(&told), "{told} events");
        assert_eq!(app.state.audit.waiting(), told);
        // What leaves no row waits for nothing.
        ask(Method::HEAD).await.expect(200);
        let refused = ask(Method::GET).await.expect(503);
        assert_eq!(refused.header("retry-after"), "5");
        let mut download = std::pin::pin!(ask(Method::GET));
        assert!(timeout(Duration::from_secs(1), download.as_mut()).await.is_err(), "it did not wait");
        let_the_audit_go(hold).await;
        download.await.expect(200);
        app.audited("downloaded").await;
        let rows = app.audit().await;
        let filler = rows.iter().filter(|row| row.subject == "filler").count();
        assert!(filler > 90, "the newest hundred rows hold {filler} of those that had to wait");
        app.eventually("all are written", async || app.state.audit.waiting() == 0).await;
    }

    async fn a_download_that_nobody_takes_keeps_no_place_in_the_queue(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        std::fs::File::create(app.files().join("big.bin")).unwrap().set_len(50_000_000).unwrap();
        let request = raw::request("GET", "/api/files/big.bin", &[("Cookie", &raw::cookie(&reader))]);
        let mut wires = Vec::new();
        for _ in 0..20 {
            let mut wire = raw::Wire::open(&app).await;
            assert!(wire.send(&request).await);
            let head = wire.head().await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            wires.push(wire);
        }
        assert_eq!(app.state.audit.waiting(), 0);
        drop(wires);
        app.eventually("all are told", async || {
            let rows = app.audit().await;
            rows.iter().filter(|row| row.action == "downloaded").count() == 20
        }).await;
    }

    async fn one_person_may_have_a_hundred_downloads_open_and_others_are_not_held_up(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let other = app.signed_in_as(Role::Editor).await;
        std::fs::File::create(app.files().join("big.bin")).unwrap().set_len(50_000_000).unwrap();
        app.write("ten.txt", "0123456789");
        let request = raw::request("GET", "/api/files/big.bin", &[("Cookie", &raw::cookie(&reader))]);
        let mut wires = Vec::new();
        for _ in 0..100 {
            let mut wire = raw::Wire::open(&app).await;
            assert!(wire.send(&request).await);
            let head = wire.head().await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            wires.push(wire);
        }
        let refused = reader.get("/api/files/ten.txt").await.expect(429);
        assert_eq!(refused.header("retry-after"), "5");
        assert_eq!(refused.header("content-disposition"), "");
        assert!(refused.text().contains("100 downloads open"), "{}", refused.text());
        // What sends nothing, and other pages and people, go on.
        reader.send(Method::HEAD, "/api/files/ten.txt", &[], Vec::new()).await.expect(200);
        reader.get("/api/items").await.expect(200);
        other.get("/api/files/ten.txt").await.expect(200);
        wires.pop();
        app.eventually("one that ended makes room", async || {
            reader.get("/api/files/ten.txt").await.status == 200
        }).await;
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
