//! A storage that is stopped while somebody publishes or deletes: a sentence, and nothing half.

use std::time::{Duration, Instant};

use portcullis::roles::Role;
use reqwest::Method;

use super::{Stored, portal};
use crate::downloads::noise;
use crate::publishing::form::{Form, file};
use crate::publishing::published;
use crate::support::object_storage::{Kind, Server};

async fn stopped(kind: Kind) {
    let Some(server) = Server::own(kind) else {
        return;
    };
    let bucket = server.bucket().await;
    let Some(app) = portal(&bucket, &[]).await else {
        return;
    };
    let stored = Stored { app, bucket };
    let editor = stored.signed_in_as(Role::Editor).await;
    file("a.txt", "content").publish(&editor).await.expect(201);

    server.signal("STOP");
    let began = Instant::now();
    let origin = [("sec-fetch-site", "same-origin")];
    let large = Form::new()
        .text("folder", "")
        .file("large.bin", noise(9_000_000));
    let (small, large, deleted) = tokio::join!(
        file("small.txt", "x").publish(&editor),
        large.publish(&editor),
        editor.send(Method::DELETE, "/api/items/a.txt", &origin, Vec::new()),
    );
    for reply in [small, large, deleted] {
        let reply = reply.expect(503);
        assert_eq!(reply.header("retry-after"), "5");
        assert!(reply.text().contains("storage"), "{}", reply.text());
    }
    // A question waits ten seconds. A part may take a minute, since lines are slow, but nothing is sent unasked.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    server.signal("CONT");
    stored
        .app
        .eventually("it is back", async || {
            editor.get("/api/files/none.bin").await.status == 404
        })
        .await;
    stored.app.tended().await.unwrap();
    stored.app.indexed().await;

    let told: Vec<String> = published(&stored.app)
        .await
        .into_iter()
        .map(|row| row.subject)
        .collect();
    assert_eq!(stored.bucket.keys().await, ["a.txt"]);
    assert_eq!(told, ["a.txt"]);
    let listed = editor.get("/api/items").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    file("small.txt", "x").publish(&editor).await.expect(201);
    editor
        .send(Method::DELETE, "/api/items/a.txt", &origin, Vec::new())
        .await
        .expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_azure_that_is_stopped_gives_503_and_no_object_half() {
    stopped(Kind::Azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_that_is_stopped_gives_503_and_no_object_half() {
    stopped(Kind::S3).await;
}

/// Of many files of one form, no more waits in memory than one part has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_a_form_do_not_wait_in_memory_for_its_end() {
    let Some(server) = Server::own(Kind::S3) else {
        return;
    };
    let bucket = server.bucket().await;
    let Some(app) = portal(&bucket, &[]).await else {
        return;
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let mut form = Form::new().text("folder", "Many");
    let content = noise(3_000_000);
    for number in 0..6 {
        form = form.file(&format!("{number}.bin"), &content);
    }
    let begun = form.clone().unfinished();
    let mut wire = crate::bad_input::raw::Wire::open(&app).await;
    let length = format!("Content-Length: {}", form.clone().body().len());
    let head = crate::publishing::form::head(&editor, &length);
    let head = String::from_utf8(head)
        .unwrap()
        .replace("/api/items", "/publish");
    assert!(wire.send(head.as_bytes()).await);
    assert!(wire.send(&begun).await);
    // Two of them fill the memory of a part nearly; the others are in the storage before the form ends.
    app.eventually("the others are in the storage", async || {
        server.parts() >= 3
    })
    .await;
    assert_eq!(bucket.keys().await, Vec::<String>::new());
    drop(wire);
    app.eventually("no part is left", async || server.parts() == 0)
        .await;
    let page = form.submit(&editor, "/publish").await.expect(200).text();
    assert!(page.contains("5.bin"), "{page}");
    for number in 0..6 {
        let there = bucket.get(&format!("Many/{number}.bin")).await;
        assert!(there.unwrap() == content, "{number} is another");
    }
}
