//! A share that is not mounted leaves an empty folder behind; nothing is concluded from that, and nothing is lost by it.

use portcullis::db::Conn;
use portcullis::error::AppError;
use portcullis::files::ItemPath;
use portcullis::index::state;
use portcullis::roles::Role;

use reqwest::Method;
use serde_json::json;

use super::{listed, row};
use crate::changing::send;
use crate::publishing::form::Form;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::disk::Disk;
use crate::support::{left_out, on_both};

async fn warning(app: &TestApp) -> Option<String> {
    let mut conn = app.db.conn().await.unwrap();
    state::of(&mut conn).await.unwrap().warning
}

on_both! {
    async fn another_folder_in_its_place_stops_the_scan_and_is_said_to_be_so(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let reader = app.signed_in_as(Role::Reader).await;
        Form::new().text("title", "Kept").file("a.txt", "hello").publish(&editor).await.expect(201);
        app.write("sub/b.txt", "b");
        app.indexed().await;
        let (place, away) = (app.files(), app.folder().join("away"));
        for its_place in ["nothing", "something else"] {
            std::fs::rename(&place, &away).unwrap();
            std::fs::create_dir(&place).unwrap();
            if its_place == "something else" {
                app.write("unknown.txt", "x");
            }
            let stopped = app.state.index.scan().await;
            assert!(matches!(stopped, Err(AppError::FilesAway(_))), "{its_place}: {stopped:?}");
            assert!(warning(&app).await.unwrap().contains("portcullis index reset"));
            for path in ["/", "/?q=a", "/api/items", "/api/items?q=b"] {
                let reply = reader.navigate(path).await.expect(503);
                assert!(reply.text().contains("The files are not there just now"), "{path}");
                assert_ne!(reply.header("retry-after"), "", "{path}");
                assert!(!reply.text().contains(place.to_str().unwrap()), "{path}");
            }
            // What is not on the disk is not served, whatever the index says; what is there is.
            reader.get("/api/files/a.txt").await.expect(404);
            let there = reader.get("/api/files/unknown.txt").await;
            assert_eq!(there.status, if its_place == "nothing" { 404 } else { 200 });
            assert_eq!(row(&app, "a.txt").await.unwrap().missing_since, 0, "{its_place}");

            std::fs::remove_dir_all(&place).unwrap();
            std::fs::rename(&away, &place).unwrap();
            assert_eq!(listed(&reader, "").await.0, ["a.txt", "sub/b.txt"], "back at once");
            assert_eq!(row(&app, "a.txt").await.unwrap().title.as_deref(), Some("Kept"));
            app.indexed().await;
            assert_eq!(warning(&app).await, None);
        }
    }

    async fn nothing_is_published_into_a_folder_in_its_place(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        Form::new().text("title", "Kept").file("a.txt", "hello").publish(&editor).await.expect(201);
        app.indexed().await;
        let (place, away) = (app.files(), app.folder().join("away"));
        std::fs::rename(&place, &away).unwrap();
        std::fs::create_dir(&place).unwrap();
        Form::new().file("lost.txt", "x").publish(&editor).await.expect(503);
        send(&editor, "POST", "/api/folders", json!({ "path": "Lost" })).await.expect(503);
        let headers = [("tus-resumable", "1.0.0"), ("upload-length", "9"), ("upload-metadata", "filename bG9zdC50eHQ=")];
        editor.send(Method::POST, "/api/uploads", &headers, Vec::new()).await.expect(503);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "it would be hidden below the share");
        assert!(app.state.index.scan().await.is_err());
        assert_eq!(row(&app, "a.txt").await.unwrap().missing_since, 0);

        std::fs::remove_dir(&place).unwrap();
        std::fs::rename(&away, &place).unwrap();
        Form::new().file("found.txt", "x").publish(&editor).await.expect(201);
        assert_eq!(listed(&editor, "").await.0, ["a.txt", "found.txt"]);
    }

    async fn a_folder_that_was_exchanged_on_purpose_is_taken_after_a_word(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        Form::new().text("title", "Old").file("old.txt", "old").publish(&editor).await.expect(201);
        app.indexed().await;
        let (place, away) = (app.files(), app.folder().join("away"));
        std::fs::rename(&place, &away).unwrap();
        std::fs::create_dir(&place).unwrap();
        app.write("new.txt", "new");
        editor.get("/api/items").await.expect(503);
        // What `portcullis index reset` does.
        app.db.transaction::<_, portcullis::db::DbError>(async |conn: &mut Conn| state::reset(conn).await).await.unwrap();
        assert_eq!(listed(&editor, "").await.0, ["new.txt"]);
        // Whoever copies the old file over finds its title again.
        std::fs::copy(away.join("old.txt"), place.join("old.txt")).unwrap();
        let found = editor.get("/api/items?q=old").await.expect(200).json()[0].clone();
        assert_eq!(found["title"], "Old");
    }

    async fn a_folder_that_is_suddenly_empty_is_believed_by_nobody(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let form = Form::new().text("folder", "share/deep").text("title", "Kept").file("a.txt", "hello");
        form.publish(&editor).await.expect(201);
        app.write("share/b.txt", "b");
        app.indexed().await;
        // As of a server whose share shows nothing: the folder itself stays the same, and what was in it is gone at once.
        let (share, away) = (app.files().join("share"), app.folder().join("away"));
        std::fs::rename(&share, &away).unwrap();
        let nothing_is_lost = async |after: &str| {
            for path in ["share/deep/a.txt", "share/b.txt"] {
                assert_eq!(row(&app, path).await.unwrap().missing_since, 0, "{path} after {after}");
            }
        };
        // Nobody asked for a list: the system's notice is not believed either.
        app.eventually("the notice warns", async || warning(&app).await.is_some()).await;
        nothing_is_lost("the notice").await;
        for path in ["/", "/?q=a", "/api/items", "/api/items?q=b", "/api/folders"] {
            let reply = editor.navigate(path).await.expect(503);
            assert!(reply.text().contains("The files are not there just now"), "{path}");
        }
        nothing_is_lost("a look").await;
        for (folder, name) in [("", "share"), ("share", "b.txt"), ("share/deep", "a.txt")] {
            let looked = app.state.index.look_at(ItemPath::parse(folder).as_ref(), &[name.to_owned()]).await;
            assert!(matches!(looked, Err(AppError::FilesAway(_))), "{name}: {looked:?}");
        }
        let stopped = app.state.index.scan().await;
        assert!(matches!(stopped, Err(AppError::FilesAway(_))), "{stopped:?}");
        nothing_is_lost("a scan").await;
        let sentence = "FILES_DIR is empty, but the index knows 2 files there";
        assert!(warning(&app).await.unwrap().contains(sentence));
        assert!(admin.navigate("/admin/folders").await.expect(200).text().contains(sentence));

        std::fs::rename(&away, &share).unwrap();
        assert_eq!(listed(&editor, "").await.0, ["share/b.txt", "share/deep/a.txt"], "back at once");
        assert_eq!(row(&app, "share/deep/a.txt").await.unwrap().title.as_deref(), Some("Kept"));
        app.indexed().await;
        assert_eq!(warning(&app).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_is_mounted_late_is_found_when_it_comes() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("RESCAN_INTERVAL", "1s")
        .with("METRICS_TOKEN", "token-for-the-test")
        .start()
        .await;
    let reader = app.signed_in_as(Role::Reader).await;
    let disk = match Disk::mount(&app.files(), "1m", 50) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    app.write("on the share.txt", "x");
    app.indexed().await;
    let gauge = async || {
        let headers = [("authorization", "Bearer token-for-the-test")];
        let get = reqwest::Method::GET;
        let text = app
            .visitor()
            .send(get, "/metrics", &headers, Vec::new())
            .await
            .expect(200)
            .text();
        text.contains("portcullis_index_warning 1")
    };
    assert!(!gauge().await);
    // Another file system over it: an empty one, as the mount point is.
    let empty = Disk::mount(&app.files(), "1m", 50).unwrap();
    app.eventually("the scan stops", async || warning(&app).await.is_some())
        .await;
    app.eventually("the metric", async || gauge().await).await;
    reader.get("/api/items").await.expect(503);
    assert_eq!(
        row(&app, "on the share.txt").await.unwrap().missing_since,
        0
    );
    drop(empty);
    assert_eq!(listed(&reader, "").await.0, ["on the share.txt"]);
    app.eventually("the warning is gone", async || {
        warning(&app).await.is_none()
    })
    .await;
    drop(disk);
}
