//! Uploads that end too early: nothing is left behind, and nobody sees half a file.

use portcullis::roles::Role;

use super::form::{Form, file, head};
use super::{assert_on_disk, on_disk, problem, published, row};
use crate::bad_input::raw::Wire;
use crate::downloads::noise;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::on_both;

/// Bytes of unfinished files.
fn in_the_workroom(app: &TestApp) -> u64 {
    let Ok(entries) = std::fs::read_dir(app.files().join(".portcullis")) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

on_both! {
    async fn an_editor_who_loses_role_or_session_while_the_file_arrives_publishes_nothing(app: TestApp) {
        let body = Form::new().file("late.txt", noise(200_000)).body();
        for (by, sql, status) in [
            ("role", "DELETE FROM dim.user_roles", 403),
            ("session", "UPDATE dim.sessions SET ended_at = 1", 401),
        ] {
            let editor = app.signed_in_as(Role::Editor).await;
            let mut wire = Wire::open(&app).await;
            let length = format!("Content-Length: {}", body.len());
            assert!(wire.send(&head(&editor, &length)).await);
            assert!(wire.send(&body[..100_000]).await);
            app.eventually("the upload began", async || !on_disk(&app).is_empty()).await;
            app.execute(sql).await;
            app.eventually("the portal noticed", async || editor.get("/api/items").await.status == status).await;
            assert!(wire.send(&body[100_000..]).await);
            let answer = wire.answer().await.unwrap();
            assert_eq!(answer.status, status, "{by}: {}", answer.text());
            app.eventually("nothing is left", async || on_disk(&app).is_empty()).await;
        }
    }

    async fn a_connection_that_is_cut_leaves_nothing_and_nobody_saw_half_a_file(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let reader = app.signed_in_as(Role::Reader).await;
        file("old.bin", "whole and old").publish(&editor).await.expect(201);
        let before = row(&app, "old.bin").await.unwrap();
        for name in ["new.bin", "old.bin"] {
            let body = Form::new().text("overwrite", "true").file(name, noise(3_000_000)).body();
            let chunk = format!("{:x}\r\n", body.len());
            for (length, opening) in [
                (format!("Content-Length: {}", body.len()), String::new()),
                ("Transfer-Encoding: chunked".to_owned(), chunk),
            ] {
                let mut wire = Wire::open(&app).await;
                assert!(wire.send(&head(&editor, &length)).await);
                assert!(wire.send(opening.as_bytes()).await);
                assert!(wire.send(&body[..2_000_000]).await);
                app.eventually("half of it is on disk", async || in_the_workroom(&app) > 1_000_000).await;
                let old = reader.get("/api/files/old.bin").await.expect(200);
                assert_eq!(old.text(), "whole and old");
                reader.get("/api/files/new.bin").await.expect(404);
                let listed = reader.get("/api/items").await.expect(200).json();
                assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
                let unfinished = on_disk(&app).into_iter().find(|path| path.starts_with(".portcullis/")).unwrap();
                reader.get(&format!("/api/files/{unfinished}")).await.expect(404);
                drop(wire);
                app.eventually("the unfinished file is gone", async || on_disk(&app).len() == 1).await;
            }
        }
        assert_on_disk(&app, &["old.bin"], "cut");
        assert_eq!(reader.get("/api/files/old.bin").await.expect(200).text(), "whole and old");
        let after = row(&app, "old.bin").await.unwrap();
        assert_eq!((after.sha256, after.published_at), (before.sha256, before.published_at));
        assert_eq!(published(&app).await.len(), 1);
    }

    async fn a_publication_that_cannot_be_written_down_does_not_happen(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        file("old.txt", "old").publish(&editor).await.expect(201);
        app.execute("ALTER TABLE dim.items RENAME TO items_away").await;
        for (name, overwrite) in [("new.txt", "false"), ("old.txt", "true")] {
            let form = file(name, "x").text("overwrite", overwrite);
            let reply = form.publish(&editor).await;
            assert!([500, 503].contains(&reply.status), "{}", reply.text());
            problem(&reply, reply.status);
        }
        assert_on_disk(&app, &["old.txt"], "not written down");
        assert_eq!(std::fs::read(app.files().join("old.txt")).unwrap(), b"old");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_ends_at_any_byte_too_early_publishes_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let form = Form::new()
        .text("overwrite", "true")
        .file("a.txt", "hello")
        .text("folder", "in/here")
        .text("title", "T");
    let body = form.body();
    // Without the line end behind the last boundary it is whole all the same.
    for end in 0..body.len() - 2 {
        let reply = editor.post("/api/items", &Form::kind(), &body[..end]).await;
        let what = format!("{:?}", String::from_utf8_lossy(&body[..end]));
        assert!(
            (400..500).contains(&reply.status),
            "{} for {what}",
            reply.status
        );
        problem(&reply, reply.status);
        assert_on_disk(&app, &[], &what);
    }
    assert!(published(&app).await.is_empty());
    let whole = &body[..body.len() - 2];
    editor
        .post("/api/items", &Form::kind(), whole)
        .await
        .expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_goes_on_when_the_client_leaves_after_the_last_byte() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for number in 0..10 {
        let name = format!("{number}.bin");
        let body = file(&name, noise(100_000)).body();
        let mut wire = Wire::open(&app).await;
        let length = format!("Content-Length: {}", body.len());
        assert!(wire.send(&head(&editor, &length)).await);
        assert!(wire.send(&body).await);
        drop(wire);
    }
    // Each of them happened whole, or not at all.
    app.eventually("all have ended", async || in_the_workroom(&app) == 0)
        .await;
    let rows = published(&app).await;
    let found = on_disk(&app);
    app.eventually("file, row and audit agree", async || {
        let told: std::collections::BTreeSet<_> = published(&app)
            .await
            .into_iter()
            .map(|row| row.subject)
            .collect();
        told == on_disk(&app)
    })
    .await;
    for path in &found {
        assert!(row(&app, path).await.is_some(), "{path} has no row");
    }
    assert!(rows.len() <= 10);
}
