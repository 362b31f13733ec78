//! Publishing a file: by the JSON API and by the form, and everything that can go wrong on the way.

mod again;
mod broken;
mod database_away;
pub mod form;
mod full_disk;
mod limits;
mod malformed;
mod names;
mod pages;
mod together;
mod undone;
mod who;

use std::collections::BTreeSet;

use portcullis::audit::store::Entry;
use portcullis::index::{Item, store};
use portcullis::roles::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, account};
use crate::support::on_both;
use form::{Form, file};

/// `printf hello | sha256sum`
pub const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// The row of that path in `dim.items`.
pub async fn row(app: &TestApp, path: &str) -> Option<Item> {
    let mut conn = app.db.conn().await.unwrap();
    let mut rows = store::of_paths(&mut conn, &[path]).await.unwrap();
    rows.pop()
}

/// The audit's rows about publications, oldest first.
pub async fn published(app: &TestApp) -> Vec<Entry> {
    let mut rows = app.audit().await;
    rows.retain(|row| row.action == "published");
    rows.reverse();
    rows
}

/// Every file below FILES_DIR, hidden ones included.
pub fn on_disk(app: &TestApp) -> BTreeSet<String> {
    let root = app.files();
    let mut found = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() && !path.is_symlink() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    assert!(found.insert(name.to_owned()));
                }
            }
        }
    }
    found
}

/// Panics unless these files, and no others, hidden ones included, lie below FILES_DIR.
#[track_caller]
pub fn assert_on_disk(app: &TestApp, expected: &[&str], what: &str) {
    let found = on_disk(app);
    assert!(found.iter().eq(expected), "{what}: {found:?}");
}

/// Panics unless the answer is problem+json with that status and a sentence; returns the sentence.
#[track_caller]
pub fn problem(reply: &crate::support::client::Reply, status: u16) -> String {
    let what = format!("{} {}", reply.status, reply.text());
    assert_eq!(reply.status, status, "{what}");
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    let body: Value = reply.json();
    assert_eq!(body["status"], status, "{what}");
    assert_eq!(body["reference"].is_string(), status != 401, "{what}");
    let sentence = body["detail"].as_str().unwrap();
    assert!(sentence.contains(' ') && sentence.ends_with('.'), "{what}");
    sentence.to_owned()
}

on_both! {
    async fn a_published_file_is_on_disk_in_the_list_in_the_table_and_in_the_audit(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = Form::new().text("folder", "Finance/2026").text("title", "  The year ").file("Bericht ü.txt", "hello");
        let reply = form.publish(&editor).await.expect(201);
        assert_eq!(reply.location(), "/api/files/Finance/2026/Bericht%20%C3%BC.txt");
        let mut item = reply.json();
        let modified = item["modified"].take();
        assert!(modified.as_str().unwrap().ends_with('Z'), "{modified}");
        assert_eq!(item, json!({
            "path": "Finance/2026/Bericht ü.txt",
            "name": "Bericht ü.txt",
            "size": 5,
            "modified": null,
            "sha256": HELLO,
            "title": "The year",
            "owner": account(Some(Role::Editor)),
            "downloads": 0,
            "download_url": "/api/files/Finance/2026/Bericht%20%C3%BC.txt",
        }));
        assert_on_disk(&app, &["Finance/2026/Bericht ü.txt"], "after publishing");
        assert_eq!(std::fs::read(app.files().join("Finance/2026/Bericht ü.txt")).unwrap(), b"hello");

        let row = row(&app, "Finance/2026/Bericht ü.txt").await.unwrap();
        assert_eq!((row.title.as_deref(), row.size, row.sha256.as_deref()), (Some("The year"), 5, Some(HELLO)));
        assert_eq!(row.owner.as_deref(), Some(account(Some(Role::Editor))));
        assert_eq!(row.crc32, Some(0x3610_a686), "python3 -c 'import zlib; print(hex(zlib.crc32(b\"hello\")))'");
        let audit = published(&app).await;
        assert_eq!(audit.len(), 1);
        assert_eq!(audit[0].actor, account(Some(Role::Editor)));
        assert_eq!(audit[0].subject, "Finance/2026/Bericht ü.txt");
        assert_eq!(audit[0].bytes, Some(5));
        assert_eq!(audit[0].address.as_deref(), Some("127.0.0.1"));
        assert!(audit[0].reference.is_some());
        assert!(audit[0].detail.contains(HELLO), "{}", audit[0].detail);

        let reader = app.signed_in_as(Role::Reader).await;
        let mut listed = reader.get("/api/items").await.expect(200).json();
        listed[0]["modified"].take();
        assert_eq!(listed[0], item);
        let page = reader.navigate("/?folder=Finance%2F2026").await.expect(200).text();
        assert!(page.contains("The year") && page.contains("Bericht ü.txt"), "{page}");
        assert_eq!(reader.get(reply.location()).await.expect(200).text(), "hello");
    }

    async fn an_existing_name_is_a_conflict_unless_it_shall_be_replaced(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        Form::new().text("title", "First").file("a.txt", "hello").publish(&editor).await.expect(201);
        for refused in ["", "false", "no", "0"] {
            let form = Form::new().text("title", "Second").text("overwrite", refused).file("a.txt", "second");
            let sentence = problem(&form.publish(&admin).await, 409);
            assert!(sentence.contains("a.txt"), "{sentence}");
            assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "hello");
            assert_on_disk(&app, &["a.txt"], refused);
            assert_eq!(row(&app, "a.txt").await.unwrap().title.as_deref(), Some("First"));
            assert_eq!(published(&app).await.len(), 1);
        }
        // The order of the fields means nothing.
        let form = Form::new().text("title", "Third").file("a.txt", "third!").text("overwrite", "true");
        let item = form.publish(&admin).await.expect(201).json();
        assert_eq!((&item["size"], &item["owner"]), (&json!(6), &json!(account(Some(Role::Admin)))));
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "third!");
        assert_on_disk(&app, &["a.txt"], "replaced");
        let row = row(&app, "a.txt").await.unwrap();
        assert_eq!((row.title.as_deref(), row.size), (Some("Third"), 6));
        assert_eq!(row.owner.as_deref(), Some(account(Some(Role::Admin))));
        let actors: Vec<_> = published(&app).await.into_iter().map(|row| row.actor).collect();
        assert_eq!(actors, [account(Some(Role::Editor)), account(Some(Role::Admin))]);
    }

    async fn a_replaced_file_keeps_its_title_unless_another_is_given(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        Form::new().text("title", "First").file("a.txt", "1").publish(&editor).await.expect(201);
        let keeps = async |content: &str, title: Option<&str>| {
            assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), content);
            assert_eq!(row(&app, "a.txt").await.unwrap().title.as_deref(), title, "{content}");
        };
        let again = |content: &str| Form::new().text("overwrite", "true").file("a.txt", content);
        let item = again("2").publish(&editor).await.expect(201).json();
        assert_eq!(item["title"], "First");
        keeps("2", Some("First")).await;
        assert_eq!(crate::catalogue::listed(&editor, "?q=first").await.1, 1, "it is still found by it");
        again("3").text("title", "").submit(&editor, "/publish").await.expect(303);
        keeps("3", Some("First")).await;
        let pairs = [("filename", "a.txt"), ("overwrite", "true")];
        let upload = crate::uploads::create(&editor, 1, &pairs).await.expect(201);
        crate::uploads::patch(&editor, upload.location(), 0, b"4").await.expect(204);
        keeps("4", Some("First")).await;
        again("5").text("title", "Second").publish(&editor).await.expect(201);
        keeps("5", Some("Second")).await;
        // What comes when the old file is gone is another one.
        app.write("beside.txt", "x");
        std::fs::remove_file(app.files().join("a.txt")).unwrap();
        app.indexed().await;
        file("a.txt", "6").publish(&editor).await.expect(201);
        keeps("6", None).await;
    }

    async fn only_the_file_that_was_seen_is_replaced(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        file("a.txt", "first").publish(&editor).await.expect(201);
        let etag = async || editor.get("/api/items/a.txt").await.expect(200).header("etag").to_owned();
        let content = async || editor.get("/api/files/a.txt").await.expect(200).text();
        let form = |content: &str, etag: &str| Form::new().text("overwrite", "true").text("etag", etag).file("a.txt", content);
        // Two who saw the same: one of them is refused, whichever comes second.
        for round in 0..5 {
            let seen = etag().await;
            let (one, other) = (format!("one{round}"), format!("other{round}"));
            let (first, second) = tokio::join!(form(&one, &seen).publish(&editor), form(&other, &seen).publish(&admin));
            let won = match (first.status, second.status) {
                (201, 412) => one,
                (412, 201) => other,
                both => panic!("{both:?}"),
            };
            assert_eq!(content().await, won);
        }
        let (old, now) = ("\"0-0-0\"".to_owned(), content().await);
        let with_header = async |tags: &str| {
            let kind = Form::kind();
            let headers = [("sec-fetch-site", "same-origin"), ("content-type", kind.as_str()), ("if-match", tags)];
            let body = Form::new().text("overwrite", "true").file("a.txt", "by the header").body();
            editor.send(reqwest::Method::POST, "/api/items", &headers, body).await
        };
        problem(&with_header(&old).await, 412);
        // What says nothing is no "whatever is there".
        problem(&with_header("").await, 412);
        problem(&crate::uploads::create(&editor, 1, &[("filename", "a.txt"), ("overwrite", "true"), ("etag", &old)]).await, 412);
        // A file that is not there is not the one that was seen.
        let gone = Form::new().text("overwrite", "true").text("etag", &etag().await).file("gone.txt", "x");
        problem(&gone.publish(&editor).await, 412);
        assert_eq!(content().await, now);
        assert_on_disk(&app, &["a.txt"], "nothing was replaced");
        with_header(&etag().await).await.expect(201);
        with_header("*").await.expect(201);
        assert_eq!(content().await, "by the header");
        // An upload that began in time is refused at its end as well, and says so.
        let seen = etag().await;
        let pairs = [("filename", "a.txt"), ("overwrite", "true"), ("etag", seen.as_str())];
        let upload = crate::uploads::create(&editor, 4, &pairs).await.expect(201);
        file("a.txt", "quicker").text("overwrite", "true").publish(&admin).await.expect(201);
        problem(&crate::uploads::patch(&editor, upload.location(), 0, b"late").await, 412);
        assert_eq!(content().await, "quicker");
    }

    async fn a_second_file_is_refused_where_one_is_taken(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let two = file("a.txt", "a").file("b.txt", "b");
        let sentence = problem(&two.publish(&editor).await, 422);
        assert!(sentence.contains("one file"), "{sentence}");
        let nameless = file("a.txt", "a").file("", "b");
        problem(&nameless.publish(&editor).await, 422);
        assert_on_disk(&app, &[], "two files");
        assert!(published(&app).await.is_empty());
        // What a browser sends for a field that was left empty is no file.
        file("a.txt", "a").file("", "").publish(&editor).await.expect(201);
        assert_on_disk(&app, &["a.txt"], "one file");
    }

    async fn a_file_that_nobody_indexed_is_protected_and_replaced_like_any_other(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("sub/loose.txt", "loose");
        let form = || Form::new().text("folder", "sub").file("loose.txt", "hello");
        problem(&form().publish(&editor).await, 409);
        assert_eq!(editor.get("/api/files/sub/loose.txt").await.expect(200).text(), "loose");
        assert!(row(&app, "sub/loose.txt").await.is_none_or(|row| row.owner.is_none()));
        form().text("overwrite", "true").publish(&editor).await.expect(201);
        assert_eq!(row(&app, "sub/loose.txt").await.unwrap().sha256.as_deref(), Some(HELLO));
    }

    async fn the_fields_may_come_in_any_order(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let fields = ["file", "folder", "title"];
        for (first, second, third) in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)] {
            let name = format!("{first}{second}{third}.txt");
            let form = [first, second, third].iter().fold(Form::new(), |form, index| match fields[*index] {
                "file" => form.file(&name, "hello"),
                "folder" => form.text("folder", "in/here").text("unknown", "is ignored"),
                _ => form.text("title", &name),
            });
            let item = form.publish(&editor).await.expect(201).json();
            assert_eq!(item["path"], format!("in/here/{name}"));
            assert_eq!(item["title"], name);
            assert_eq!(item["sha256"], HELLO);
        }
        assert_eq!(on_disk(&app).len(), 6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_arrives_byte_for_byte_with_its_true_checksum() {
    let app = TestApp::start(crate::support::database::Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    // Lines that look like boundaries belong to the file.
    let tricky = b"--portcullis\r\n--portcullis-test-7d81b\r\n\r\n--\r\n-".repeat(3_000);
    for (name, content) in [
        ("empty.bin", Vec::new()),
        ("one.bin", vec![b'\n']),
        ("tricky.bin", tricky),
        ("buffer.bin", crate::downloads::noise(256 * 1024)),
        (
            "buffer and one.bin",
            crate::downloads::noise(256 * 1024 + 1),
        ),
        ("large.bin", crate::downloads::noise(9_000_001)),
    ] {
        let item = file(name, &content)
            .publish(&editor)
            .await
            .expect(201)
            .json();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
        let hex: String = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(item["sha256"], hex, "{name}");
        assert_eq!(item["size"], content.len(), "{name}");
        assert!(
            std::fs::read(app.files().join(name)).unwrap() == content,
            "{name}: other bytes"
        );
    }
}
