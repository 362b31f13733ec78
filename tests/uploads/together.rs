//! Two who write one upload at the same time, on one instance and on two.

use portcullis::items::uploads::store;
use portcullis::roles::Role;

use super::{begin, head, offset, patch};
use crate::bad_input::raw::{self, Wire};
use crate::downloads::noise;
use crate::publishing::{problem, row};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// The head of a PATCH and the beginning of its body, of which the rest is to come.
pub fn beginning(
    browser: &Browser,
    upload: &str,
    offset: u64,
    length: usize,
    bytes: &[u8],
) -> Vec<u8> {
    let (cookie, length, offset) = (raw::cookie(browser), length.to_string(), offset.to_string());
    let mut request = raw::request(
        "PATCH",
        upload,
        &[
            ("Cookie", &cookie),
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Content-Length", &length),
            ("Upload-Offset", &offset),
        ],
    );
    request.extend_from_slice(bytes);
    request
}

on_both! {
    async fn while_one_writes_another_is_423_and_takes_over_when_the_line_is_dead(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 10).await;
        let mut dead = Wire::open(&app).await;
        assert!(dead.send(&beginning(&editor, &upload, 0, 10, b"01234")).await);
        app.eventually("the first writes", async || {
            let mut conn = app.db.conn().await.unwrap();
            let id = upload.rsplit('/').next().unwrap();
            store::find(&mut conn, id).await.unwrap().unwrap().leased_until > 0
        })
        .await;
        problem(&patch(&editor, &upload, 0, b"xxxxxxxxxx").await, 423);
        // The connection stays open and silent, as one does whose line is dead. What came of it counts.
        app.eventually("what came is told", async || offset(&editor, &upload).await == 5).await;
        app.eventually("another takes over", async || {
            let reply = patch(&editor, &upload, 5, b"56").await;
            assert!([204, 423].contains(&reply.status), "{}", reply.text());
            reply.status == 204
        })
        .await;
        // What comes by the old line now changes nothing.
        assert!(dead.send(b"XXXXX").await);
        dead.answer().await.unwrap().expect(423, "the old line");
        assert_eq!(offset(&editor, &upload).await, 7);
        patch(&editor, &upload, 7, b"789").await.expect(204);
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "0123456789");
        // printf 0123456789 | sha256sum
        let sha256 = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
        assert_eq!(row(&app, "a.txt").await.unwrap().sha256.as_deref(), Some(sha256));
    }

    async fn a_line_that_breaks_loses_nothing_that_arrived(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let content = noise(3_000_000);
        let upload = begin(&editor, "a.bin", content.len()).await;
        let mut at = 0;
        for _ in 0..3 {
            let mut wire = Wire::open(&app).await;
            let rest = &content[at..];
            assert!(wire.send(&beginning(&editor, &upload, at as u64, rest.len(), &rest[..700_000])).await);
            drop(wire);
            let before = at;
            app.eventually("the bytes are told", async || {
                at = usize::try_from(offset(&editor, &upload).await).unwrap();
                at > before
            })
            .await;
        }
        app.eventually("the rest is taken", async || {
            at = usize::try_from(offset(&editor, &upload).await).unwrap();
            let reply = patch(&editor, &upload, at as u64, &content[at..]).await;
            assert!([204, 409, 423].contains(&reply.status), "{}", reply.text());
            reply.status == 204
        })
        .await;
        assert!(editor.get("/api/files/a.bin").await.expect(200).body == content);
        let listed = editor.get("/api/items").await.expect(200).json();
        assert_eq!(listed[0]["sha256"], sha256(&content));
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_goes_on_where_the_first_one_was() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let first = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let files = first.files().display().to_string();
    let second = TestApp::builder(Backend::Postgres)
        .on(&url)
        .beside(&first.emulator)
        .with("FILES_DIR", &files)
        .start()
        .await;
    let here = first.signed_in_as(Role::Editor).await;
    let there = second.visitor();
    there.set_cookie("session", here.cookie("session").as_deref());
    let content = noise(2_000_000);
    let upload = begin(&here, "a.bin", content.len()).await;
    patch(&here, &upload, 0, &content[..500_000])
        .await
        .expect(204);
    // While the first instance writes, the second one does not.
    let mut wire = Wire::open(&first).await;
    let rest = &content[500_000..];
    assert!(
        wire.send(&beginning(
            &here,
            &upload,
            500_000,
            rest.len(),
            &rest[..500_000]
        ))
        .await
    );
    let mut sent = 500_000;
    first
        .eventually("the second waits", async || {
            // A line that is silent for three seconds would be given up.
            assert!(wire.send(&rest[sent..sent + 1_000]).await);
            sent += 1_000;
            let reply = patch(&there, &upload, 500_000, b"").await;
            reply.status == 423
        })
        .await;
    drop(wire);
    let mut at = 500_000;
    first
        .eventually("the second goes on", async || {
            at = usize::try_from(offset(&there, &upload).await).unwrap();
            let end = (at + 400_000).min(1_500_000);
            let reply = patch(&there, &upload, at as u64, &content[at..end]).await;
            assert!([204, 409, 423].contains(&reply.status), "{}", reply.text());
            reply.status == 204
        })
        .await;
    // And the first one ends it, with the checksum of bytes of which it saw only some.
    at = usize::try_from(offset(&here, &upload).await).unwrap();
    patch(&here, &upload, at as u64, &content[at..])
        .await
        .expect(204);
    let listed = there.get("/api/items").await.expect(200).json();
    assert_eq!(listed[0]["sha256"], sha256(&content));
    assert!(
        head(&there, &upload)
            .await
            .expect(200)
            .header("upload-item")
            .ends_with("/a.bin")
    );
    assert!(there.get("/api/files/a.bin").await.expect(200).body == content);
}
