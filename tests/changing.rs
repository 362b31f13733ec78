//! Changing what is published: renaming, moving, titles, new folders, deleting and bringing back, by the JSON API, by the
//! pages, by several at once, and through everything that can go wrong.

mod bad_input;
mod between;
mod browser;
mod killed;
mod many;
mod pages;
mod rules;
mod stood_still;
mod together;
mod trash;
mod twice;
mod undone;

use portcullis::roles::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::{count, row};
use crate::publishing::form::{Form, file};
use crate::publishing::{assert_on_disk, problem};
use crate::support::app::{TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::on_both;

/// A request with JSON, as a script sends it.
pub async fn send(browser: &Browser, method: &str, path: &str, body: Value) -> Reply {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let headers = [("content-type", "application/json")];
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    browser.send(method, path, &headers, body).await
}

/// Renames or moves by the JSON API.
pub async fn rename(browser: &Browser, from: &str, to: &str) -> Reply {
    let path = format!("/api/items/{}", encoded(from));
    send(browser, "PATCH", &path, json!({ "path": to })).await
}

/// The same for a folder.
pub async fn rename_folder(browser: &Browser, from: &str, to: &str) -> Reply {
    let path = format!("/api/folders/{}", encoded(from));
    send(browser, "PATCH", &path, json!({ "path": to })).await
}

/// Deletes by the JSON API, and returns the number in the trash.
pub async fn delete(browser: &Browser, path: &str) -> i64 {
    let path = format!("/api/items/{}", encoded(path));
    let reply = send(browser, "DELETE", &path, Value::Null).await;
    reply.expect(200).json()["id"].as_i64().unwrap()
}

/// Brings an entry of the trash back.
pub async fn restore(browser: &Browser, id: i64, body: Value) -> Reply {
    send(browser, "POST", &format!("/api/trash/{id}/restore"), body).await
}

fn encoded(path: &str) -> String {
    let names: Vec<String> = path
        .split('/')
        .map(portcullis::files::path::encode)
        .collect();
    names.join("/")
}

/// Whether no change is written down as begun, but for those that were given up.
pub async fn nothing_is_begun(app: &TestApp) -> bool {
    let notes = "SELECT count(*) AS count FROM dim.moves_begun WHERE done_at >= 0";
    count(app, notes).await == 0
}

/// Files below FILES_DIR but for the trash.
pub fn visible(app: &TestApp) -> Vec<String> {
    let files = crate::publishing::on_disk(app).into_iter();
    files
        .filter(|path| !path.starts_with(".portcullis/"))
        .collect()
}

/// Files in the trash.
pub fn in_trash(app: &TestApp) -> usize {
    let files = crate::publishing::on_disk(app).into_iter();
    files
        .filter(|path| path.starts_with(".portcullis/trash/"))
        .count()
}

on_both! {
    async fn a_renamed_or_moved_file_keeps_all_that_was_known_of_it(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = Form::new().text("folder", "Finance").text("title", "The year").file("old.txt", "hello");
        let before = form.publish(&editor).await.expect(201).json();
        editor.get("/api/files/Finance/old.txt").await.expect(200);
        app.eventually("the download is counted", async || row(&app, "Finance/old.txt").await.unwrap().downloads == 1).await;
        let id = row(&app, "Finance/old.txt").await.unwrap().id;
        send(&editor, "POST", "/api/folders", json!({ "path": "Archive" })).await.expect(201);

        let renamed = rename(&editor, "Finance/old.txt", "Finance/new ü.txt").await.expect(200).json();
        assert_eq!(renamed["path"], "Finance/new ü.txt");
        let moved = rename(&editor, "Finance/new ü.txt", "Archive/new.txt").await.expect(200);
        let etag = moved.header("etag").to_owned();
        let moved = moved.json();
        for member in ["size", "modified", "sha256", "title", "owner"] {
            assert_eq!(moved[member], before[member], "{member}");
        }
        assert_eq!(moved["downloads"], 1);
        assert_eq!(row(&app, "Archive/new.txt").await.unwrap().id, id);
        assert_on_disk(&app, &["Archive/new.txt"], "after two renames");
        editor.get("/api/files/Finance/old.txt").await.expect(404);
        let sent = editor.get("/api/files/Archive/new.txt").await.expect(200);
        assert_eq!((sent.text().as_str(), sent.header("etag")), ("hello", etag.as_str()));
        assert_eq!(editor.get("/api/items/Archive/new.txt").await.expect(200).json(), moved);
        assert_eq!(crate::catalogue::shown(&editor, "/?q=new").await, ["new.txt"]);

        let audit = app.audited("moved").await;
        assert_eq!((audit.subject.as_str(), audit.actor.as_str()), ("Finance/new ü.txt", account(Some(Role::Editor))));
        assert!(audit.detail.contains("Archive/new.txt"), "{}", audit.detail);
        assert_eq!(app.audited("renamed").await.subject, "Finance/old.txt");
        assert!(nothing_is_begun(&app).await);
    }

    async fn a_moved_folder_takes_everything_below_along(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for (folder, name) in [("a", "1.txt"), ("a/b", "2.txt"), ("a/b/c", "3.txt"), ("ab", "4.txt")] {
            Form::new().text("folder", folder).text("title", name).file(name, name).publish(&editor).await.expect(201);
        }
        app.write("a/b/loose.txt", "nobody published this");
        send(&editor, "POST", "/api/folders", json!({ "path": "z" })).await.expect(201);
        let moved = rename_folder(&editor, "a", "z/y").await.expect(200).json();
        assert_eq!(moved["path"], "z/y");
        assert_on_disk(&app, &["ab/4.txt", "z/y/1.txt", "z/y/b/2.txt", "z/y/b/c/3.txt", "z/y/b/loose.txt"], "moved");
        for (path, title) in [("z/y/1.txt", "1.txt"), ("z/y/b/2.txt", "2.txt"), ("z/y/b/c/3.txt", "3.txt"), ("ab/4.txt", "4.txt")] {
            assert_eq!(row(&app, path).await.unwrap().title.as_deref(), Some(title));
        }
        app.indexed().await;
        let (paths, _) = crate::catalogue::listed(&editor, "").await;
        assert_eq!(paths, ["ab/4.txt", "z/y/1.txt", "z/y/b/2.txt", "z/y/b/c/3.txt", "z/y/b/loose.txt"]);
        assert_eq!(crate::catalogue::shown(&editor, "/").await, ["ab", "z"]);
        assert_eq!(crate::catalogue::shown(&editor, "/?folder=z/y").await, ["b", "1.txt"]);
    }

    async fn title_and_place_change_in_one_step_or_each_alone(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        file("a.txt", "hello").text("title", "Old").publish(&editor).await.expect(201);
        let path = "/api/items/a.txt";
        let titled = send(&editor, "PATCH", path, json!({ "title": "  <b>New</b> " })).await.expect(200).json();
        assert_eq!((&titled["title"], &titled["path"]), (&json!("<b>New</b>"), &json!("a.txt")));
        assert!(editor.navigate("/").await.expect(200).text().contains("&lt;b&gt;New") || editor.navigate("/").await.text().contains("&#60;b&#62;New"));
        assert_eq!(crate::catalogue::shown(&editor, "/?q=new").await, ["a.txt"]);
        let audit = app.audited("title_changed").await;
        assert!(audit.detail.contains("Old") && audit.detail.contains("<b>New</b>"), "{}", audit.detail);
        let both = send(&editor, "PATCH", path, json!({ "title": null, "path": "b.txt" })).await.expect(200).json();
        assert_eq!((&both["title"], &both["path"]), (&Value::Null, &json!("b.txt")));
        let conditional = async |etag: &str| {
            let headers = [("content-type", "application/json"), ("if-match", etag)];
            let body = json!({ "title": "Third" }).to_string().into_bytes();
            editor.send(Method::PATCH, "/api/items/b.txt", &headers, body).await
        };
        problem(&conditional("\"other\"").await, 412);
        assert_eq!(row(&app, "b.txt").await.unwrap().title, None);
        let etag = editor.get("/api/items/b.txt").await.expect(200).header("etag").to_owned();
        conditional(&etag).await.expect(200);
        // Where it goes is a change of what was seen, too.
        send(&editor, "POST", "/api/folders", json!({ "path": "Folder" })).await.expect(201);
        for (path, to) in [("/api/items/b.txt", "c.txt"), ("/api/folders/Folder", "Other")] {
            for tags in ["\"other\"", "", "\"other\", \"another\""] {
                let headers = [("content-type", "application/json"), ("if-match", tags)];
                let body = json!({ "path": to }).to_string().into_bytes();
                problem(&editor.send(Method::PATCH, path, &headers, body).await, 412);
            }
        }
        assert_on_disk(&app, &["b.txt"], "nothing was moved");
        assert!(app.files().join("Folder").is_dir(), "nothing was moved");
    }

    async fn a_file_under_a_name_that_is_refused_today_can_be_renamed_away(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("Q3: final?/con.txt ", "old");
        editor.get("/api/files/Q3%3A%20final%3F/con.txt%20").await.expect(200);
        rename(&editor, "Q3: final?/con.txt ", "Q3: final?/report.txt").await.expect(200);
        rename_folder(&editor, "Q3: final?", "Q3 final").await.expect(200);
        // Only the case changes: that is no clash with itself.
        rename_folder(&editor, "Q3 final", "q3 FINAL").await.expect(200);
        assert_on_disk(&app, &["q3 FINAL/report.txt"], "renamed away");
    }
}
