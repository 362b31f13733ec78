//! `/admin/folders` and `portcullis folders`: how rules are made, and what cannot be taken.

use std::pin::pin;
use std::time::Duration;

use portcullis::audit::store::Entry;
use portcullis::db::{Conn, DbError, Lock};
use portcullis::roles::Role;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::app::{TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;
use crate::support::on_both;
use crate::support::process::run;

async fn post(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    browser
        .post(path, "application/x-www-form-urlencoded", body)
        .await
}

/// The audit's rows about rules, oldest first.
async fn audited(app: &TestApp) -> Vec<Entry> {
    let mut rows = app.audit().await;
    rows.retain(|row| row.action.starts_with("folder_rule"));
    rows.reverse();
    rows
}

on_both! {
    async fn a_rule_is_made_changed_and_removed_and_each_change_is_audited_with_before_and_after(app: TestApp) {
        app.write("Finance/2026/a.txt", "x");
        let admin = app.signed_in_as(Role::Admin).await;
        let reader = app.signed_in_as(Role::Reader).await;
        assert!(admin.navigate("/admin/folders").await.expect(200).text().contains("Every folder is for everybody with a role"));
        let fields = [("folder", " /Finance/2026/ "), ("role", "admin"), ("people", "Eve@X.example\r\nbob@x.example")];
        let reply = post(&admin, "/admin/folders", &fields).await.expect(303);
        assert_eq!(reply.location(), "/admin/folders");
        reader.get("/api/files/Finance/2026/a.txt").await.expect(404);
        let page = admin.navigate("/admin/folders?folder=Finance%2F2026").await.expect(200).text();
        for part in ["Finance/2026", "eve<wbr>@x.example", "bob@x.example\neve@x.example</textarea>", "value=\"admin\" selected", "value=\"Finance/2026\""] {
            assert!(page.contains(part), "no {part}: {page}");
        }
        let mail = account(Some(Role::Reader));
        post(&admin, "/admin/folders", &[("folder", "Finance/2026"), ("role", "editor"), ("people", mail)]).await.expect(303);
        reader.get("/api/files/Finance/2026/a.txt").await.expect(200);
        post(&admin, "/admin/folders/clear", &[("folder", "Finance/2026")]).await.expect(303);
        post(&admin, "/admin/folders/clear", &[("folder", "Finance/2026")]).await.expect(404);

        let told = audited(&app).await;
        let detail = |row: &Entry| serde_json::from_str::<Value>(&row.detail).unwrap();
        let first = json!({ "role": "admin", "people": ["bob@x.example", "eve@x.example"] });
        let second = json!({ "role": "editor", "people": [mail] });
        assert_eq!(told.len(), 3);
        assert_eq!(detail(&told[0]), json!({ "before": null, "after": first }));
        assert_eq!(detail(&told[1]), json!({ "before": first, "after": second }));
        assert_eq!(detail(&told[2]), json!({ "before": second }));
        for row in &told {
            assert_eq!((row.actor.as_str(), row.subject.as_str()), (account(Some(Role::Admin)), "Finance/2026"));
            assert!(row.reference.is_some() && row.address.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_cannot_be_taken_comes_back_with_what_was_typed() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    app.write("f/a.txt", "x");
    for (folder, role, people, field) in [
        ("", "admin", "", "folder"),
        ("../out", "admin", "", "folder"),
        (".portcullis", "admin", "", "folder"),
        ("f/a.txt", "admin", "", "folder"),
        ("f", "reader", "", "role"),
        ("f", "owner", "", "role"),
        ("f", "admin", "not an address", "people"),
        ("f", "admin", "<b>@x@y", "people"),
    ] {
        let fields = [("folder", folder), ("role", role), ("people", people)];
        let reply = post(&admin, "/admin/folders", &fields).await.expect(422);
        let page = reply.text();
        for part in [
            "role=\"alert\"".to_owned(),
            format!("href=\"#{field}\""),
            format!("id=\"{field}-problem\""),
            format!("value=\"{folder}\""),
        ] {
            assert!(page.contains(&part), "{fields:?}: no {part}: {page}");
        }
        assert!(!page.contains("<b>@x"), "{page}");
    }
    assert!(audited(&app).await.is_empty());
    // A folder that is not there yet may have its rule before it comes.
    post(
        &admin,
        "/admin/folders",
        &[("folder", "later"), ("role", "admin")],
    )
    .await
    .expect(303);
    let page = admin.navigate("/admin/folders").await.expect(200).text();
    assert!(page.contains("There is no such folder."), "{page}");
    app.write("later/a.txt", "x");
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/files/later/a.txt").await.expect(404);
    // A rule is made for the place that a link leads to.
    std::os::unix::fs::symlink("f", app.files().join("link")).unwrap();
    post(
        &admin,
        "/admin/folders",
        &[("folder", "link"), ("role", "admin")],
    )
    .await
    .expect(303);
    reader.get("/api/files/f/a.txt").await.expect(404);
}

#[test]
fn rules_are_made_listed_and_removed_at_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("files/Finance/2026")).unwrap();
    let portcullis = |arguments: &[&str]| {
        let variables = [
            ("DATABASE_URL", "sqlite://portal.db"),
            ("FILES_DIR", "files"),
        ];
        run(folder.path(), &variables, arguments)
    };
    let (code, text) = portcullis(&["folders", "list"]);
    assert!(
        code == 0 && text.contains("everybody with a role sees every folder"),
        "{text}"
    );
    let set = [
        "folders",
        "set",
        "Finance/2026",
        "--role",
        "editor",
        "--people",
        "Ada@X.example,bob@x.example",
    ];
    let (code, text) = portcullis(&set);
    assert!(
        code == 0 && text.contains("Finance/2026 is seen by editors, admins and 2 people now."),
        "{text}"
    );
    let (code, text) = portcullis(&["folders", "set", "/"]);
    assert!(code == 0 && text.contains("/ is seen by admins"), "{text}");
    let (_, text) = portcullis(&["folders", "list"]);
    assert_eq!(
        text,
        "/\tadmin\t\nFinance/2026\teditor\tada@x.example,bob@x.example\n"
    );
    for (arguments, sentence) in [
        (
            &["folders", "set", "../x"][..],
            "is no folder of the portal",
        ),
        (
            &["folders", "set", "Finance", "--role", "reader"],
            "Remove the rule instead",
        ),
        (
            &["folders", "set", "Finance", "--people", "x"],
            "is not an e-mail address",
        ),
        (&["folders", "clear", "Finance"], "Finance has no rule."),
    ] {
        let (code, text) = portcullis(arguments);
        assert!(
            code == 1 && text.contains(sentence),
            "{arguments:?}: {text}"
        );
    }
    let (code, text) = portcullis(&["folders", "set", "absent"]);
    assert!(
        code == 0 && text.contains("There is no such folder yet"),
        "{text}"
    );
    assert_eq!(portcullis(&["folders", "clear", "/"]).0, 0);
    let (code, text) = portcullis(&["index", "show"]);
    assert!(
        code == 0 && text.contains("files\t0") && text.contains("never"),
        "{text}"
    );
    let (code, text) = portcullis(&["index", "reset"]);
    assert!(code == 0 && text.contains("begins anew"), "{text}");
}

on_both! {
    async fn a_rule_for_a_folder_that_is_renamed_at_that_moment_is_not_made(app: TestApp) {
        app.write("Finance/a.txt", "x");
        let admin = app.signed_in_as(Role::Admin).await;
        let (from, to) = (app.files().join("Finance"), app.files().join("Money"));
        let rule = [("folder", "Finance"), ("role", "admin")];
        let mut setting = pin!(post(&admin, "/admin/folders", &rule));
        let renaming = app.db.exclusive::<_, DbError>(Lock::FolderRules, async |_: &mut Conn| {
            timeout(Duration::from_secs(1), &mut setting).await.expect_err("it waits for its turn");
            std::fs::rename(from, to).unwrap();
            Ok(())
        });
        renaming.await.unwrap();
        let set = setting.await;
        set.expect(409);
        assert!(audited(&app).await.is_empty());
    }
}
