//! The storage hangs, or is gone: a sentence and a time to come back, no half item, and everything else goes on.

use std::time::{Duration, Instant};

use portcullis::roles::Role;

use super::{Stored, portal};
use crate::bad_input::raw::{self, Wire};
use crate::downloads::noise;
use crate::publishing::form::Form;
use crate::publishing::published;
use crate::support::object_storage::{Kind, Server};

async fn a_storage_that_hangs_or_is_gone(kind: Kind) {
    let Some(server) = Server::own(kind) else {
        return;
    };
    let bucket = server.bucket().await;
    let Some(app) = portal(&bucket, &[]).await else {
        return;
    };
    let stored = Stored { app, bucket };
    let editor = stored.signed_in_as(Role::Editor).await;
    stored.bucket.put("large.bin", noise(30_000_000)).await;
    let form = || {
        Form::new()
            .text("folder", "")
            .file("new.bin", noise(9_000_000))
    };
    stored.app.indexed().await;
    let cookie = raw::cookie(&editor);
    let head =
        format!("GET /api/files/large.bin HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let mut running = Wire::open(&stored.app).await;
    assert!(running.send(head.as_bytes()).await);
    running.take(100_000).await;

    server.signal("STOP");
    let began = Instant::now();
    let asked = [
        editor.get("/api/files/large.bin").await,
        editor.get("/api/files/none.bin").await,
    ];
    for reply in asked {
        assert_eq!(reply.header("retry-after"), "5");
        let reply = reply.expect(503);
        assert!(reply.text().contains("storage"), "{}", reply.text());
    }
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    // What needs no storage goes on meanwhile, lists included.
    let began = Instant::now();
    let (listed, _) = tokio::join!(editor.get("/api/items"), editor.get("/api/files/large.bin"));
    assert_eq!(listed.expect(200).json()[0]["name"], "large.bin");
    assert!(began.elapsed() < Duration::from_secs(15));
    server.signal("CONT");
    stored
        .app
        .eventually("it is back", async || {
            editor.get("/api/files/none.bin").await.status == 404
        })
        .await;
    assert!(
        running.rest().await.len() > 29_000_000,
        "a download that ran goes on"
    );

    server.signal("KILL");
    let began = Instant::now();
    editor.get("/api/files/large.bin").await.expect(503);
    form().publish(&editor).await.expect(503);
    let small = Form::new()
        .file("small.txt", "x")
        .publish(&editor)
        .await
        .expect(503);
    assert_eq!(small.header("retry-after"), "5");
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
    editor.get("/api/items").await.expect(200);
    assert!(stored.app.state.index.scan().await.is_err());
    assert_eq!(
        editor
            .get("/api/items")
            .await
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1,
        "nothing is forgotten"
    );
    assert!(published(&stored.app).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_that_hangs_or_is_gone_gives_503_and_forgets_nothing() {
    a_storage_that_hangs_or_is_gone(Kind::Azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_that_hangs_or_is_gone_gives_503_and_forgets_nothing() {
    a_storage_that_hangs_or_is_gone(Kind::S3).await;
}
