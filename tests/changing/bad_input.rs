//! What cannot be done is said, and leaves everything as it was.

use std::os::unix::fs::symlink;

use portcullis::roles::Role;
use serde_json::{Value, json};

use super::{delete, nothing_is_begun, rename, rename_folder, restore, send};
use crate::publishing::{assert_on_disk, problem};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::disk::Disk;
use crate::support::{left_out, on_both};

on_both! {
    async fn nothing_goes_where_it_cannot_be(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for path in ["a.txt", "taken.txt", "folder/deep/b.txt", "other/c.txt"] {
            app.write(path, path);
        }
        let there = ["a.txt", "folder/deep/b.txt", "other/c.txt", "taken.txt"];
        let long = "x".repeat(256);
        for (to, status) in [
            ("taken.txt", 409), ("TAKEN.txt", 409), ("folder", 409), ("FOLDER", 409), ("a.txt/b.txt", 409),
            ("absent/a.txt", 404), ("../a.txt", 422), ("folder/../b.txt", 422), (".portcullis/a.txt", 422), (".hidden", 422),
            ("", 422), ("/", 422), ("folder/", 422), ("con", 422), ("x.", 422), ("a\nb", 422), ("a\0b", 422), (&long, 422),
        ] {
            problem(&rename(&editor, "a.txt", to).await, status);
            assert_on_disk(&app, &there, to);
        }
        for (from, to, status) in [
            ("folder", "folder/deep/folder", 422), ("folder", "folder/folder", 422), ("folder/deep", "folder/deep", 422),
            ("folder", "other", 409), ("folder", "a.txt", 409), ("absent", "x", 404),
        ] {
            problem(&rename_folder(&editor, from, to).await, status);
            assert_on_disk(&app, &there, to);
        }
        for path in ["", "absent.txt", "../a.txt", ".portcullis", ".portcullis/trash", "a.txt/", "a%2Fb", "folder"] {
            for method in ["GET", "PATCH", "DELETE"] {
                problem(&send(&editor, method, &format!("/api/items/{path}"), json!({ "path": "x.txt" })).await, 404);
            }
        }
        for path in ["", ".portcullis", "a.txt", "absent"] {
            for method in ["GET", "PATCH", "DELETE"] {
                problem(&send(&editor, method, &format!("/api/folders/{path}"), json!({ "path": "x" })).await, 404);
            }
        }
        for (path, status) in [
            ("", 422), ("/", 422), ("folder", 409), ("Folder", 409), ("a.txt", 409), ("a.txt/x", 409), ("absent/x", 404),
            ("..", 422), (".portcullis/x", 422), ("aux", 422), (&long, 422),
        ] {
            problem(&send(&editor, "POST", "/api/folders", json!({ "path": path })).await, status);
        }
        assert_on_disk(&app, &there, "at the end");
        app.eventually("no note stands", async || nothing_is_begun(&app).await).await;
        for action in ["renamed", "moved", "deleted", "folder_made", "title_changed"] {
            assert!(app.audit().await.iter().all(|row| row.action != action), "{action}");
        }
    }

    async fn other_json_is_400_with_a_sentence(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("a.txt", "a");
        for body in [json!([]), json!("x"), json!({ "path": 1 }), json!({ "path": "b.txt", "owner": "me" }), json!({ "title": {} })] {
            problem(&send(&editor, "PATCH", "/api/items/a.txt", body).await, 400);
        }
        problem(&send(&editor, "PATCH", "/api/items/a.txt", Value::Null).await, 400);
        for body in [json!({}), json!({ "path": "x", "mode": 7 })] {
            problem(&send(&editor, "POST", "/api/folders", body).await, 400);
        }
        problem(&send(&editor, "PATCH", "/api/items/a.txt", json!({})).await, 422);
        problem(&send(&editor, "PATCH", "/api/items/a.txt", json!({ "title": "line\nbreak" })).await, 422);
        problem(&send(&editor, "PATCH", "/api/items/a.txt", json!({ "title": "x".repeat(201) })).await, 422);
        let id = delete(&editor, "a.txt").await;
        problem(&restore(&editor, id, json!({ "to": "b.txt" })).await, 400);
        for id in ["0", "x", "99999999999999999999", "-1"] {
            problem(&send(&editor, "POST", &format!("/api/trash/{id}/restore"), Value::Null).await, 404);
        }
        problem(&editor.get("/api/trash?before=x").await, 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_changed_themselves_and_lead_no_change_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("real/a.txt", "a");
    std::fs::create_dir(app.folder().join("beside")).unwrap();
    std::fs::write(app.folder().join("beside/kept.txt"), "kept").unwrap();
    symlink("../beside", app.files().join("out")).unwrap();
    symlink("real/a.txt", app.files().join("link.txt")).unwrap();
    symlink("real", app.files().join("way")).unwrap();
    for path in ["out/kept.txt", "out"] {
        problem(&rename(&editor, path, "x").await, 404);
        problem(
            &send(
                &editor,
                "DELETE",
                &format!("/api/items/{path}"),
                Value::Null,
            )
            .await,
            404,
        );
    }
    problem(&rename(&editor, "real/a.txt", "out/a.txt").await, 422);
    // Through a link one comes to the true place.
    let moved = rename(&editor, "way/a.txt", "way/b.txt")
        .await
        .expect(200)
        .json();
    assert_eq!(moved["path"], "real/b.txt");
    rename(&editor, "real/b.txt", "real/a.txt")
        .await
        .expect(200);
    problem(&rename(&editor, "link.txt", "real/link.txt").await, 422);
    rename(&editor, "link.txt", "link 2.txt").await.expect(200);
    delete(&editor, "link 2.txt").await;
    assert_eq!(std::fs::read(app.files().join("real/a.txt")).unwrap(), b"a");
    assert_eq!(
        std::fs::read(app.folder().join("beside/kept.txt")).unwrap(),
        b"kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_disk_and_a_full_one_are_told_and_what_was_there_stays() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("a.txt", "a");
    let share = app.files().join("share");
    std::fs::create_dir(&share).unwrap();
    let _disk = match Disk::mount(&share, "1m", 8) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    app.write("share/b.txt", "b");
    problem(&rename(&editor, "a.txt", "share/a.txt").await, 422);
    problem(&rename_folder(&editor, "share", "other").await, 409);
    assert_on_disk(&app, &["a.txt", "share/b.txt"], "two disks");
    // Deleted things stay on their disk, and come back on it.
    let id = delete(&editor, "share/b.txt").await;
    assert!(share.join(".portcullis/trash").is_dir());
    restore(&editor, id, Value::Null).await.expect(200);
    assert_eq!(std::fs::read(share.join("b.txt")).unwrap(), b"b");
    let mut made = 0;
    while std::fs::create_dir(share.join(format!("d{made}"))).is_ok() {
        made += 1;
    }
    problem(
        &send(
            &editor,
            "POST",
            "/api/folders",
            json!({ "path": "share/new" }),
        )
        .await,
        507,
    );
    assert_eq!(std::fs::read(share.join("b.txt")).unwrap(), b"b");
    // A rename needs no room.
    rename(&editor, "share/b.txt", "share/c.txt")
        .await
        .expect(200);
}
