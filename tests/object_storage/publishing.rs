//! Publishing into object storage: nothing is seen before it is whole, nothing is overwritten unasked, and what does not
//! end leaves nothing behind.

use portcullis::db::Db;
use portcullis::roles::Role;
use portcullis::settings::certificate::hex;
use reqwest::Method;
use serde_json::Value;

use super::{Stored, on_both_storages, portal};
use crate::bad_input::raw::Wire;
use crate::downloads::{noise, url_of};
use crate::publishing::form::{Form, file, head};
use crate::publishing::{published, row};
use crate::support::client::Browser;
use crate::support::object_storage::{Kind, Server};

/// Larger than two parts.
const LARGE: usize = 20_000_000;

fn sha256(content: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref())
}

on_both_storages! {
    async fn a_file_is_published_with_row_checksum_and_audit_small_and_in_parts(stored: Stored) {
        let editor = stored.signed_in_as(Role::Editor).await;
        let reader = stored.signed_in_as(Role::Reader).await;
        for (name, length) in [("empty.bin", 0), ("small.bin", 5_000), ("part.bin", 8 * 1024 * 1024), ("large 100%.bin", LARGE)] {
            let content = noise(length);
            let form = Form::new().text("folder", "Finance/2026").text("title", "The “first”").file(name, &content);
            let reply = form.publish(&editor).await.expect(201);
            let path = format!("Finance/2026/{name}");
            assert_eq!(reply.json()["sha256"], sha256(&content));
            assert_eq!(reply.json()["path"], path);
            assert!(stored.bucket.get(&path).await.unwrap() == content, "{name}: other bytes are stored");
            let download = reader.get(&url_of(&path)).await.expect(200);
            assert!(download.body == content);
            assert!(download.header("repr-digest").starts_with("sha-256=:"), "{name}: no checksum is told");
            let told = published(&stored.app).await.pop().unwrap();
            assert_eq!((told.subject, told.bytes), (path, Some(length as i64)));
        }
        let listed = reader.get("/api/items?folder=Finance/2026&q=large").await.expect(200).json();
        assert_eq!(listed[0]["title"], "The “first”", "{listed}");
        let page = reader.navigate("/?folder=Finance").await.expect(200).text();
        assert!(page.contains("2026"), "{page}");
        // The listing tells the same of it, so nothing that is known of it is lost.
        stored.app.indexed().await;
        let again = row(&stored.app, "Finance/2026/large 100%.bin").await.unwrap();
        assert_eq!(again.sha256, Some(sha256(&noise(LARGE))));
        assert_eq!(again.missing_since, 0);
    }

    async fn a_name_that_is_taken_stays_what_it_is_until_it_is_said_that_it_shall_be_replaced(stored: Stored) {
        let editor = stored.signed_in_as(Role::Editor).await;
        let large = noise(LARGE);
        for content in [b"small".to_vec(), large] {
            stored.bucket.put("taken.bin", "there before").await;
            let refused = file("taken.bin", &content).publish(&editor).await.expect(409);
            assert!(refused.text().contains("taken.bin"));
            assert_eq!(stored.bucket.get("taken.bin").await.unwrap(), b"there before");
            let form = Form::new().text("overwrite", "true").text("folder", "").file("taken.bin", &content);
            form.publish(&editor).await.expect(201);
            assert!(stored.bucket.get("taken.bin").await.unwrap() == content);
        }
        assert_eq!(stored.bucket.keys().await, ["taken.bin"], "nothing else is left");
    }

    async fn what_cannot_be_published_leaves_nothing(stored: Stored, "UPLOAD_LIMIT" = "30MB") {
        let editor = stored.signed_in_as(Role::Editor).await;
        for (form, status) in [
            (Form::new().text("folder", "../up").file("a.txt", "x"), 422),
            (Form::new().text("folder", "").file(".hidden", "x"), 422),
            (Form::new().text("folder", ""), 422),
            (Form::new().text("title", &"long".repeat(100)).file("a.txt", "x"), 422),
            (Form::new().text("folder", "").file("big.bin", vec![0; 31_000_000]), 413),
            // A large file is under way to its place before a folder that comes later is read.
            (Form::new().file("late.bin", noise(LARGE)).text("folder", "Elsewhere"), 422),
        ] {
            form.publish(&editor).await.expect(status);
        }
        assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
        assert!(published(&stored.app).await.is_empty());
        // A small one waits in memory until all of the form is here.
        let form = file("late.txt", "small").text("folder", "Elsewhere");
        form.publish(&editor).await.expect(201);
        assert_eq!(stored.bucket.keys().await, ["Elsewhere/late.txt"]);
    }

    async fn nobody_publishes_where_they_may_not_look(stored: Stored) {
        let (admin, editor) = (stored.signed_in_as(Role::Admin).await, stored.signed_in_as(Role::Editor).await);
        let rule = "folder=Board&role=admin&people=";
        admin.post("/admin/folders", "application/x-www-form-urlencoded", rule).await.expect(303);
        Form::new().text("folder", "Board").file("a.txt", "x").publish(&editor).await.expect(404);
        file("a.txt", "x").text("folder", "Board/2026").publish(&editor).await.expect(404);
        assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
        Form::new().text("folder", "Board").file("a.txt", "x").publish(&admin).await.expect(201);
    }

    async fn a_commit_that_fails_takes_the_object_back(stored: Stored) {
        let editor = stored.signed_in_as(Role::Editor).await;
        stored.app.execute(match stored.app.db {
            Db::Postgres(..) => "ALTER TABLE dim.items ADD CONSTRAINT refused CHECK (size < 0)",
            Db::Sqlite(..) => "CREATE TRIGGER dim.refused BEFORE INSERT ON items BEGIN SELECT RAISE(FAIL, 'no'); END",
        }).await;
        for content in [noise(100), noise(LARGE)] {
            let form = Form::new().text("folder", "").file("new.bin", content);
            assert!(form.publish(&editor).await.status >= 500);
            assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
        }
        assert!(published(&stored.app).await.is_empty());
    }

    async fn only_the_object_that_was_seen_is_replaced(stored: Stored) {
        let editor = stored.signed_in_as(Role::Editor).await;
        Form::new().text("folder", "").file("a.txt", "first").publish(&editor).await.expect(201);
        let etag = editor.get("/api/files/a.txt").await.expect(200).header("etag").to_owned();
        let replace = async |content: Vec<u8>, tags: &str| {
            let kind = Form::kind();
            let headers = [("sec-fetch-site", "same-origin"), ("content-type", kind.as_str()), ("if-match", tags)];
            let body = Form::new().text("folder", "").text("overwrite", "true").file("a.txt", content).body();
            editor.send(Method::POST, "/api/items", &headers, body).await
        };
        for size in [10, LARGE] {
            for tags in ["\"another\"", ""] {
                replace(noise(size), tags).await.expect(412);
            }
        }
        assert_eq!(stored.bucket.get("a.txt").await.unwrap(), b"first");
        replace(b"second".to_vec(), &etag).await.expect(201);
        replace(noise(LARGE), &etag).await.expect(412);
        let now = editor.get("/api/files/a.txt").await.expect(200).header("etag").to_owned();
        replace(noise(LARGE), &now).await.expect(201);
        assert!(stored.bucket.get("a.txt").await.unwrap() == noise(LARGE));
    }

    async fn a_file_is_deleted_for_good_with_its_row_and_in_the_audit(stored: Stored) {
        let (editor, reader) = (stored.signed_in_as(Role::Editor).await, stored.signed_in_as(Role::Reader).await);
        for name in ["a.txt", "b.txt"] {
            Form::new().text("folder", "F").file(name, "content").publish(&editor).await.expect(201);
        }
        let delete = async |browser: &Browser, path: &str| {
            browser.send(Method::DELETE, path, &[("sec-fetch-site", "same-origin")], Vec::new()).await
        };
        delete(&reader, "/api/items/F/a.txt").await.expect(403);
        delete(&editor, "/api/items/F/none.txt").await.expect(404);
        let other = [("sec-fetch-site", "same-origin"), ("if-match", "\"another\"")];
        editor.send(Method::DELETE, "/api/items/F/a.txt", &other, Vec::new()).await.expect(412);
        delete(&editor, "/api/items/F/a.txt").await.expect(204);
        delete(&editor, "/api/items/F/a.txt").await.expect(404);
        let told = stored.app.audited("deleted").await;
        assert_eq!((told.subject.as_str(), told.outcome.as_str(), told.bytes), ("F/a.txt", "for good", Some(7)));
        let asked = editor.navigate("/item/delete?path=F/b.txt").await.expect(200);
        assert!(asked.text().contains("for good"));
        assert_eq!(stored.bucket.keys().await, ["F/b.txt"]);
        editor.post("/item/delete?path=F%2Fb.txt", "application/x-www-form-urlencoded", "sure=true").await.expect(303);
        assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
        assert_eq!(reader.get("/api/items").await.expect(200).json().as_array().unwrap().len(), 0);
        reader.get("/api/files/F/b.txt").await.expect(404);
    }

    // The folder's trash waits until the folder is back, and nobody is warned of it every minute.
    async fn what_lay_in_the_trash_of_a_folder_waits(stored: Stored) {
        stored.app.execute("INSERT INTO dim.trash (place, origin, kind, files, size, inode, deleted_by, deleted_at, removed_at) \
            VALUES ('.portcullis/trash/x', 'a.txt', 'file', 1, 1, '1', 'a@x.example', 1, 1)").await;
        stored.app.tended().await.unwrap();
        let mut conn = stored.app.db.conn().await.unwrap();
        assert_eq!(portcullis::trash::store::removed(&mut conn, 0, 1_000).await.unwrap().len(), 1);
    }

    async fn what_needs_a_folder_says_so_and_is_not_offered(stored: Stored) {
        let editor = stored.signed_in_as(Role::Editor).await;
        file("a.txt", "content").publish(&editor).await.expect(201);
        for path in ["/api/zip?path=a.txt", "/preview/a.txt", "/item?path=a.txt", "/item/move?path=a.txt", "/trash", "/api/trash", "/trash/1/restore"] {
            let refused = editor.get(path).await.expect(501);
            assert!(refused.text().contains("object storage"), "{path}: {}", refused.text());
        }
        let begun = crate::uploads::create(&editor, 5, &[("filename", "b.txt")]).await.expect(501);
        assert!(begun.text().contains("object storage"));
        let form = editor.navigate("/publish").await.expect(200).text();
        assert!(form.contains("to resume one needs a folder"), "{form}");
        let page = editor.navigate("/").await.expect(200).text();
        for link in ["/api/zip", "/preview/", "/item?", "/item/folder", "/trash"] {
            assert!(!page.contains(link), "{link} is offered");
        }
        assert!(page.contains("/item/delete?path=a.txt") && page.contains("object storage"));
    }
}

/// Only Azurite looks and writes in one step, as Azure and S3 do; s3s-fs looks first, and so now and then lets two win.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_who_publish_one_name_at_once_one_does() {
    let Some(stored) = Stored::start(Kind::Azure, &[]).await else {
        return;
    };
    let editor = stored.signed_in_as(Role::Editor).await;
    for length in [1_000, 9_000_000] {
        let name = format!("same-{length}.bin");
        let contents: Vec<Vec<u8>> = (0..8).map(|n| [vec![n], noise(length)].concat()).collect();
        let forms = contents.iter().map(|content| {
            let form = Form::new().text("folder", "").file(&name, content);
            let editor = &editor;
            async move { form.publish(editor).await.status }
        });
        let statuses = futures_util::future::join_all(forms).await;
        let won: Vec<usize> = (0..8).filter(|n| statuses[*n] == 201).collect();
        assert_eq!(won.len(), 1, "{statuses:?}");
        let others = statuses.iter().filter(|status| **status == 409);
        assert_eq!(others.count(), 7, "{statuses:?}");
        let there = stored.bucket.get(&name).await.unwrap();
        assert!(there == contents[won[0]], "another one's bytes are there");
        let told = row(&stored.app, &name).await.unwrap().sha256;
        assert_eq!(told, Some(sha256(&there)));
    }
}

/// A connection that is cut in the middle of a large file.
async fn cut(kind: Kind) {
    let Some(server) = Server::own(kind) else {
        return;
    };
    let bucket = server.bucket().await;
    let Some(app) = portal(&bucket, &[]).await else {
        return;
    };
    let stored = Stored { app, bucket };
    let editor = stored.signed_in_as(Role::Editor).await;
    let body = Form::new()
        .text("folder", "")
        .file("cut.bin", noise(LARGE))
        .body();
    let mut wire = Wire::open(&stored.app).await;
    let length = format!("Content-Length: {}", body.len());
    assert!(wire.send(&head(&editor, &length)).await);
    assert!(wire.send(&body[..18_000_000]).await);
    if kind == Kind::S3 {
        let begun = async || server.parts() > 0;
        stored
            .app
            .eventually("parts are in the storage", begun)
            .await;
    }
    editor.get("/api/files/cut.bin").await.expect(404);
    assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
    drop(wire);
    if kind == Kind::S3 {
        let forgotten = async || server.parts() == 0;
        stored.app.eventually("no part is left", forgotten).await;
    }
    assert_eq!(stored.bucket.keys().await, Vec::<String>::new());
    assert!(published(&stored.app).await.is_empty());
    // The name is free, whatever was under way to it.
    let form = Form::new().text("folder", "").file("cut.bin", noise(LARGE));
    let whole: Value = form.publish(&editor).await.expect(201).json();
    assert_eq!(whole["sha256"], sha256(&noise(LARGE)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_publishes_nothing_in_azure() {
    cut(Kind::Azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_leaves_no_part_in_s3() {
    cut(Kind::S3).await;
}
