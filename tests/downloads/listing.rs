//! `/api/items`: what a program reads instead of the page.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use portcullis::roles::Role;
use serde_json::{Value, json};

use crate::publishing::form::Form;
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::on_both;

async fn paths(browser: &Browser, query: &str) -> Vec<String> {
    let listed = browser
        .get(&format!("/api/items{query}"))
        .await
        .expect(200)
        .json();
    let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(path).collect()
}

on_both! {
    async fn an_item_is_listed_with_all_that_is_known_of_it(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = Form::new().text("folder", "Finance/2026").text("title", "Year").file("Bericht ü.txt", "hello");
        form.publish(&editor).await.expect(201);
        let file = app.write("loose.txt", "loose");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        let reply = editor.get("/api/items").await.expect(200);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("x-total-count"), "2");
        assert_eq!(reply.header("cache-control"), "no-store");
        let mut listed = reply.json();
        // Computed in the background, so it may be there already; that it comes is tested with the index.
        listed[1]["sha256"].take();
        let modified = listed[0]["modified"].take();
        assert!(modified.as_str().unwrap().starts_with("20") && modified.as_str().unwrap().ends_with('Z'), "{modified}");
        // printf hello | sha256sum
        assert_eq!(listed, json!([
            {
                "path": "Finance/2026/Bericht ü.txt",
                "name": "Bericht ü.txt",
                "size": 5,
                "modified": null,
                "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                "title": "Year",
                "owner": account(Some(Role::Editor)),
                "downloads": 0,
                "download_url": "/api/files/Finance/2026/Bericht%20%C3%BC.txt",
            },
            {
                "path": "loose.txt",
                "name": "loose.txt",
                "size": 5,
                "modified": "2025-06-15T15:06:40Z",
                "sha256": null,
                "title": null,
                "owner": null,
                "downloads": 0,
                "download_url": "/api/files/loose.txt",
            },
        ]));
    }

    async fn a_checksum_is_always_that_of_the_content_which_is_there(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        Form::new().text("title", "T").file("a.txt", "hello").publish(&editor).await.expect(201);
        app.write("a.txt", "HELLO");
        // printf HELLO | sha256sum
        let new = json!("3733cd977ff8eb18b987357e22ced99f46097f31ecb239e878ae63760e83e4d5");
        app.eventually("the new checksum", async || {
            let item = editor.get("/api/items").await.expect(200).json()[0].clone();
            assert!(item["sha256"].is_null() || item["sha256"] == new, "the checksum of another file: {item}");
            assert_eq!(item["title"], "T");
            item["sha256"] == new
        }).await;
    }

    async fn the_list_is_sorted_as_asked(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        Form::new().file("b.txt", "1").publish(&editor).await.expect(201);
        Form::new().file("C.txt", "22").publish(&admin).await.expect(201);
        for (name, size, age) in [("a.txt", 3, 10), ("D.txt", 0, 20)] {
            let file = app.write(name, vec![b'x'; size]);
            let time = SystemTime::now() - Duration::from_secs(age);
            std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        }
        let sorted = async |query| paths(&editor, query).await.concat().replace(".txt", "");
        assert_eq!(sorted("").await, "abCD", "case means nothing");
        assert_eq!(sorted("?sort=name").await, "abCD");
        assert_eq!(sorted("?sort=-name").await, "DCba");
        assert_eq!(sorted("?sort=size").await, "DbCa");
        assert_eq!(sorted("?sort=-size").await, "aCbD");
        assert_eq!(sorted("?sort=modified").await, "DabC");
        assert_eq!(sorted("?sort=-modified").await, "CbaD");
        // Ada owns C, Grace owns b; nobody owns a and D.
        assert_eq!(sorted("?sort=owner").await, "aDCb");
        assert_eq!(sorted("?sort=-owner").await, "bCDa", "the other way round in everything");
        for unknown in ["?sort=", "?sort=sha256", "?sort=--name", "?sort=%27;DROP%20TABLE%20items"] {
            assert_eq!(sorted(unknown).await, "abCD", "{unknown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_or_words_narrow_the_list() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for path in [
        "Report.txt",
        "x/report two.txt",
        "x/y/other.txt",
        "xy/z.txt",
    ] {
        app.write(path, "x");
    }
    let form = Form::new()
        .text("title", "Ärger & 100% Report")
        .text("folder", "x")
        .file("titled.bin", "x");
    form.publish(&editor).await.expect(201);
    for (query, expected) in [
        (
            "?folder=",
            &[
                "Report.txt",
                "x/report two.txt",
                "x/titled.bin",
                "x/y/other.txt",
                "xy/z.txt",
            ][..],
        ),
        (
            "?folder=x",
            &["x/report two.txt", "x/titled.bin", "x/y/other.txt"],
        ),
        (
            "?folder=x/",
            &["x/report two.txt", "x/titled.bin", "x/y/other.txt"],
        ),
        ("?folder=x%2Fy", &["x/y/other.txt"]),
        (
            "?q=report",
            &["Report.txt", "x/report two.txt", "x/titled.bin"],
        ),
        ("?q=REPORT+two", &["x/report two.txt"]),
        ("?q=%C3%A4rger", &["x/titled.bin"]),
        ("?q=%25", &["x/titled.bin"]),
        ("?q=_", &[]),
        ("?q=*", &[]),
        ("?q=report&folder=x", &["x/report two.txt", "x/titled.bin"]),
        (
            "?q=++",
            &[
                "Report.txt",
                "x/report two.txt",
                "x/titled.bin",
                "x/y/other.txt",
                "xy/z.txt",
            ],
        ),
        ("?q=nothing", &[]),
    ] {
        assert_eq!(paths(&editor, query).await, expected, "{query}");
    }
    for query in [
        "?folder=X",
        "?folder=nope",
        "?folder=Report.txt",
        "?folder=x/../x",
        "?folder=.",
    ] {
        let reply = editor.get(&format!("/api/items{query}")).await.expect(404);
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_folder_is_in_every_list_that_is_asked_for_while_another_finds_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    // As many as are looked at whenever somebody lists, and no more.
    let written = AtomicUsize::new(0);
    let lists = (0..6).map(async |reader_number| {
        // Equal ones would share one reading.
        let query = format!("?per_page={}", 500 - reader_number);
        while written.load(SeqCst) < 24 {
            let known = written.load(SeqCst);
            let list = paths(&reader, &query).await;
            for number in 0..known {
                let path = format!("{number}/file.txt");
                assert!(list.contains(&path), "{path} is missing in {list:?}");
            }
            let path = format!("{known}/file.txt");
            app.write(&path, "x");
            written.fetch_max(known + 1, SeqCst);
        }
    });
    futures_util::future::join_all(lists).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_a_hundred_items_and_never_more_than_five_hundred() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for number in 0..520 {
        app.write(&format!("{number:03}.txt"), "");
    }
    for (query, count, first) in [
        ("", 100, "000.txt"),
        ("?page=2", 100, "100.txt"),
        ("?page=6", 20, "500.txt"),
        ("?page=0", 100, "000.txt"),
        ("?per_page=500", 500, "000.txt"),
        ("?per_page=501", 500, "000.txt"),
        ("?per_page=18446744073709551615", 500, "000.txt"),
        ("?per_page=500&page=2", 20, "500.txt"),
        ("?per_page=0", 1, "000.txt"),
        ("?per_page=7&page=3", 7, "014.txt"),
        ("?page=7", 0, ""),
        ("?page=18446744073709551615", 0, ""),
        ("?page=18446744073709551615&per_page=500", 0, ""),
    ] {
        let reply = reader.get(&format!("/api/items{query}")).await.expect(200);
        assert_eq!(reply.header("x-total-count"), "520", "{query}");
        let listed = reply.json();
        assert_eq!(listed.as_array().unwrap().len(), count, "{query}");
        assert_eq!(listed[0]["path"].as_str().unwrap_or(""), first, "{query}");
    }
    for query in [
        "?page=x",
        "?page=-1",
        "?per_page=1.5",
        "?page=",
        "?page=18446744073709551616",
        "?page=1&page=2",
    ] {
        let reply = reader.get(&format!("/api/items{query}")).await.expect(400);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("page") && detail.contains("whole numbers"),
            "{query}: {detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_number_that_is_nonsense_still_shows_a_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("a.txt", "a");
    for query in [
        "?page=0",
        "?page=2",
        "?page=99999999",
        "?page=-1",
        "?page=x",
        "?page=18446744073709551615",
    ] {
        let text = reader
            .navigate(&format!("/{query}"))
            .await
            .expect(200)
            .text();
        assert!(
            text.contains("href=\"/api/files/a.txt\""),
            "{query}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_portal_has_an_empty_list_and_says_so() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let reply = reader.get("/api/items").await.expect(200);
    assert_eq!(
        (reply.text().as_str(), reply.header("x-total-count")),
        ("[]", "0")
    );
    let page = reader.navigate("/").await.expect(200).text();
    assert!(page.contains("Nothing has been published yet"), "{page}");
}
