//! Folder rules: what a person may not see is not there, by whatever way they come.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use portcullis::audit::Actor;
use portcullis::db::{Conn, DbError};
use portcullis::roles::Role;
use portcullis::rules::{draft, store};

use super::{execute, listed, shown};
use crate::publishing::form::Form;
use crate::publishing::{assert_on_disk, problem};
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// Makes a rule as another instance does: this one hears of it or not.
pub async fn rule(app: &TestApp, folder: &str, role: &str, people: &str) {
    let rule = draft::rule(folder, role, people, "a test").unwrap();
    let actor = Actor::command_line();
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| store::set(conn, &actor, &rule).await)
        .await
        .unwrap();
}

/// A portal with a secret in it, and what leads there.
async fn fill(app: &TestApp) {
    for path in [
        "open.txt",
        "Finance/top secret.txt",
        "Finance/2026/secret.txt",
        "Finance 2/secret two.txt",
        "Public/a.txt",
    ] {
        app.write(path, "content");
    }
    symlink(
        "../Finance/2026/secret.txt",
        app.files().join("Public/secret link.txt"),
    )
    .unwrap();
    symlink("../Finance", app.files().join("Public/secret folder")).unwrap();
    symlink("../Public/a.txt", app.files().join("Finance/out.txt")).unwrap();
    app.indexed().await;
    rule(app, "Finance", "editor", "").await;
    app.state.files.rules.forget();
}

/// The address looks like one that does not exist, byte for byte but for reference numbers and the address itself.
async fn assert_absent(browser: &Browser, path: &str) {
    let text = |reply: crate::support::client::Reply| {
        let reference = reply.json()["reference"].as_str().unwrap().to_owned();
        reply.text().replace(&reference, "")
    };
    let there = browser.get(path).await.expect(404);
    let absent = browser.get("/api/files/no/such/file.txt").await.expect(404);
    let mut names: Vec<_> = there.headers.keys().map(|name| name.to_string()).collect();
    let mut other: Vec<_> = absent.headers.keys().map(|name| name.to_string()).collect();
    names.sort();
    other.sort();
    assert_eq!(names, other, "{path}");
    assert_eq!(text(there), text(absent), "{path}");
}

on_both! {
    async fn what_a_person_may_not_see_is_absent_from_lists_search_counts_and_links(app: TestApp) {
        fill(&app).await;
        let reader = app.signed_in_as(Role::Reader).await;
        assert_eq!(shown(&reader, "/").await, ["Finance 2", "Public", "open.txt"]);
        assert_eq!(shown(&reader, "/?folder=Public").await, ["a.txt"]);
        // Nor does the count tell of a link that stands on the next page.
        for number in 0..100 {
            app.write(&format!("Many/{number}.txt"), "");
        }
        symlink("../Finance/2026/secret.txt", app.files().join("Many/zzz.txt")).unwrap();
        app.indexed().await;
        let page = reader.navigate("/?folder=Many").await.expect(200).text();
        assert!(page.contains("100 entries") && !page.contains("Next"), "{page}");
        std::fs::remove_dir_all(app.files().join("Many")).unwrap();
        app.indexed().await;
        assert_eq!(listed(&reader, "").await, (vec!["Finance 2/secret two.txt".to_owned(), "open.txt".to_owned(), "Public/a.txt".to_owned()], 3));
        assert_eq!(shown(&reader, "/?q=secret").await, ["secret two.txt"]);
        assert_eq!(listed(&reader, "?q=secret").await.1, 1);
        assert_eq!(shown(&reader, "/?q=finance").await, ["Finance 2"]);
        let page = reader.navigate("/?q=secret").await.expect(200).text();
        assert!(page.contains("1 match "), "{page}");
        for path in [
            "Finance/top%20secret.txt", "Finance/2026/secret.txt", "Public/secret%20link.txt",
            "Public/secret%20folder/2026/secret.txt", "Public/secret%20folder/top%20secret.txt", "Finance/out.txt", "Finance", "Finance/absent.txt",
        ] {
            assert_absent(&reader, &format!("/api/files/{path}")).await;
        }
        for folder in ["Finance", "Finance/2026", "Public/secret%20folder", "Public/secret%20folder/2026", "Finance/absent"] {
            for address in [format!("/api/items?folder={folder}"), format!("/?folder={folder}"), format!("/api/items?q=x&folder={folder}")] {
                reader.get(&address).await.expect(404);
            }
        }
        // An editor sees all of it.
        let editor = app.signed_in_as(Role::Editor).await;
        assert_eq!(listed(&editor, "").await.1, 7);
        assert_eq!(shown(&editor, "/?folder=Public").await, ["secret folder", "a.txt", "secret link.txt"]);
        editor.get("/api/files/Public/secret%20folder/2026/secret.txt").await.expect(200);
    }

    async fn a_person_who_is_named_sees_the_folder_whatever_their_role(app: TestApp) {
        fill(&app).await;
        let reader = app.signed_in_as(Role::Reader).await;
        rule(&app, "Finance", "admin", account(Some(Role::Reader))).await;
        rule(&app, "Finance/2026", "admin", "somebody.else@x.example").await;
        app.state.files.rules.forget();
        reader.get("/api/files/Finance/top%20secret.txt").await.expect(200);
        reader.get("/api/files/Finance/2026/secret.txt").await.expect(404);
        assert_eq!(shown(&reader, "/?folder=Finance").await, ["out.txt", "top secret.txt"]);
        // Further down nothing is opened that is closed above.
        rule(&app, "Finance", "admin", "").await;
        rule(&app, "Finance/2026", "admin", account(Some(Role::Reader))).await;
        app.state.files.rules.forget();
        reader.get("/api/files/Finance/2026/secret.txt").await.expect(404);
        let editor = app.signed_in_as(Role::Editor).await;
        editor.get("/api/files/Finance/top%20secret.txt").await.expect(404);
        let admin = app.signed_in_as(Role::Admin).await;
        admin.get("/api/files/Finance/2026/secret.txt").await.expect(200);
    }

    async fn a_rule_for_the_root_closes_everything_but_to_admins(app: TestApp) {
        fill(&app).await;
        rule(&app, "", "admin", "").await;
        app.state.files.rules.forget();
        let editor = app.signed_in_as(Role::Editor).await;
        assert_eq!(listed(&editor, "").await, (Vec::new(), 0));
        assert!(shown(&editor, "/?q=secret").await.is_empty() && shown(&editor, "/").await.is_empty());
        assert_absent(&editor, "/api/files/open.txt").await;
        problem(&Form::new().file("x.txt", "x").publish(&editor).await, 404);
        let admin = app.signed_in_as(Role::Admin).await;
        assert_eq!(listed(&admin, "").await.1, 7);
    }

    async fn nobody_publishes_where_they_may_not_look(app: TestApp) {
        fill(&app).await;
        rule(&app, "Finance", "admin", "").await;
        app.state.files.rules.forget();
        let editor = app.signed_in_as(Role::Editor).await;
        let before: Vec<_> = crate::publishing::on_disk(&app).into_iter().collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        for folder in ["Finance", "Finance/2026", "Finance/new", "Public/secret folder", "Public/secret folder/new"] {
            for first in [true, false] {
                let form = Form::new().text("overwrite", "true");
                let form = match first {
                    true => form.text("folder", folder).file("top secret.txt", "x"),
                    false => form.file("top secret.txt", "x").text("folder", folder),
                };
                problem(&form.clone().publish(&editor).await, 404);
                let page = form.submit(&editor, "/publish").await.expect(404).text();
                assert!(page.contains("href=\"#folder\"") && page.contains(&format!("value=\"{folder}\"")), "{page}");
                assert_on_disk(&app, &before, folder);
            }
        }
        let admin = app.signed_in_as(Role::Admin).await;
        Form::new().text("folder", "Finance").file("new.txt", "x").publish(&admin).await.expect(201);
        // A link is published through to where it leads, under the true path.
        let form = Form::new().text("folder", "Public/secret folder").file("through.txt", "x");
        assert_eq!(form.publish(&admin).await.expect(201).json()["path"], "Finance/through.txt");
    }

    async fn pages_stay_full_when_something_is_hidden(app: TestApp) {
        for number in 0..120 {
            app.write(&format!("shown {number}/report.txt"), "x");
            app.write(&format!("hidden {number}/report.txt"), "x");
            execute(&app, &format!("INSERT INTO dim.folder_rules (folder, role, set_by, set_at) VALUES ('hidden {number}', 'admin', 'x', 1)")).await;
        }
        app.indexed().await;
        app.state.files.rules.forget();
        let reader = app.signed_in_as(Role::Reader).await;
        let (first, second) = (shown(&reader, "/").await, shown(&reader, "/?page=2").await);
        assert_eq!((first.len(), second.len()), (100, 20));
        assert!(first.iter().chain(&second).all(|name| name.starts_with("shown")));
        let (paths, total) = listed(&reader, "?q=report").await;
        assert_eq!((paths.len(), total), (100, 120));
        assert!(paths.iter().all(|path| path.starts_with("shown")));
        let admin = app.signed_in_as(Role::Admin).await;
        assert_eq!(listed(&admin, "?q=report").await.1, 240);
    }

    async fn a_role_that_nobody_knows_opens_the_folder_to_admins_alone(app: TestApp) {
        app.write("f/a.txt", "x");
        execute(&app, "INSERT INTO dim.folder_rules (folder, role, set_by, set_at) VALUES ('f', 'everybody', 'x', 1)").await;
        app.state.files.rules.forget();
        app.signed_in_as(Role::Editor).await.get("/api/files/f/a.txt").await.expect(404);
        app.signed_in_as(Role::Admin).await.get("/api/files/f/a.txt").await.expect(200);
    }

    async fn a_change_counts_at_once_whoever_writes_it(app: TestApp) {
        app.write("f/a.txt", "x");
        let reader = app.signed_in_as(Role::Reader).await;
        reader.get("/api/files/f/a.txt").await.expect(200);
        for (sql, status) in [
            ("INSERT INTO dim.folder_rules (folder, role, set_by, set_at) VALUES ('f', 'admin', 'x', 1)".to_owned(), 404),
            (format!("INSERT INTO dim.folder_people (folder, email) VALUES ('f', '{}')", account(Some(Role::Reader))), 200),
            ("DELETE FROM dim.folder_people".to_owned(), 404),
            ("UPDATE dim.folder_rules SET role = 'reader'".to_owned(), 200),
            ("UPDATE dim.folder_rules SET role = 'editor'".to_owned(), 404),
            ("DELETE FROM dim.folder_rules".to_owned(), 200),
        ] {
            execute(&app, &sql).await;
            let began = Instant::now();
            app.eventually(&sql, async || reader.get("/api/files/f/a.txt").await.status == status).await;
            assert!(began.elapsed() < Duration::from_secs(2), "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_made_on_one_instance_closes_the_folder_on_the_other() {
    if database::postgres().is_none() {
        return;
    }
    let first = TestApp::start(Backend::Postgres).await;
    let second = TestApp::builder(Backend::Postgres)
        .on(&first.database_url)
        .beside(&first.emulator)
        .with("FILES_DIR", &first.files().display().to_string())
        .start()
        .await;
    first.write("f/a.txt", "x");
    let reader = first.signed_in_as(Role::Reader).await;
    let elsewhere = second.visitor();
    elsewhere.set_cookie("session", reader.cookie("session").as_deref());
    elsewhere.get("/api/files/f/a.txt").await.expect(200);
    let admin = first.signed_in_as(Role::Admin).await;
    let form = "application/x-www-form-urlencoded";
    admin
        .post("/admin/folders", form, "folder=f&role=admin&people=")
        .await
        .expect(303);
    reader.get("/api/files/f/a.txt").await.expect(404);
    let began = Instant::now();
    second
        .eventually("the other instance hears of it", async || {
            elsewhere.get("/api/files/f/a.txt").await.status == 404
        })
        .await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_becomes_a_link_to_what_is_hidden_shows_nothing_of_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    fill(&app).await;
    app.write("Box/top secret.txt", "harmless");
    app.indexed().await;
    let reader = app.signed_in_as(Role::Reader).await;
    assert_eq!(
        listed(&reader, "?q=top+secret").await.0,
        ["Box/top secret.txt"]
    );
    std::fs::remove_dir_all(app.files().join("Box")).unwrap();
    symlink("Finance", app.files().join("Box")).unwrap();
    // The index may still know the old row; the page must not.
    assert!(listed(&reader, "?q=top+secret").await.0.is_empty());
    assert!(shown(&reader, "/?q=top+secret").await.is_empty());
    reader
        .get("/api/files/Box/top%20secret.txt")
        .await
        .expect(404);
}
