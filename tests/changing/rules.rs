//! Folder rules: a move needs both sides, the trash is under the rules of origin, and no change opens what was closed.

use std::os::unix::fs::symlink;

use portcullis::roles::Role;
use serde_json::{Value, json};

use super::{delete, rename, rename_folder, restore, send, visible};
use crate::catalogue::rules::rule;
use crate::publishing::form::Form;
use crate::publishing::problem;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::on_both;

/// `Secret` is for admins, `Staff` for editors, `Open` for everybody.
async fn fill(app: &TestApp) -> (Browser, Browser, Browser) {
    for path in [
        "Secret/a.txt",
        "Staff/b.txt",
        "Open/c.txt",
        "Box/Inner/d.txt",
    ] {
        app.write(path, path);
    }
    app.indexed().await;
    for (folder, role) in [
        ("Secret", "admin"),
        ("Staff", "editor"),
        ("Box/Inner", "admin"),
    ] {
        rule(app, folder, role, "").await;
    }
    app.state.files.rules.forget();
    (
        app.signed_in_as(Role::Reader).await,
        app.signed_in_as(Role::Editor).await,
        app.signed_in_as(Role::Admin).await,
    )
}

on_both! {
    async fn nobody_moves_out_of_or_into_what_they_may_not_see(app: TestApp) {
        let (reader, editor, admin) = fill(&app).await;
        symlink("../Secret/a.txt", app.files().join("Open/link.txt")).unwrap();
        symlink("../Secret", app.files().join("Open/way")).unwrap();
        let before = visible(&app);
        for (from, to) in [
            ("Secret/a.txt", "Open/a.txt"), ("Open/c.txt", "Secret/c.txt"), ("Open/c.txt", "Secret/new/c.txt"),
            ("Open/way/a.txt", "Open/a.txt"), ("Open/c.txt", "Open/way/c.txt"), ("Open/link.txt", "Open/l.txt"),
            ("Secret/a.txt", "Secret/b.txt"), ("Open/c.txt", "Secret"),
        ] {
            let reply = rename(&editor, from, to).await;
            assert!([404, 409].contains(&reply.status) && !reply.text().contains("a.txt"), "{from} {to}: {}", reply.text());
            assert_eq!(visible(&app), before, "{from} {to}");
        }
        for path in ["Secret/a.txt", "Open/link.txt", "Open/way/a.txt", "none.txt"] {
            let address = format!("/item/replace?path={}", portcullis::files::path::encode(path));
            let page = editor.navigate(&address).await.expect(404).text();
            assert!(!page.contains("multipart") && !page.contains("12 bytes"), "{page}");
            let form = Form::new().text("etag", "*").text("overwrite", "true").file("a.txt", "replaced");
            form.submit(&editor, &address).await.expect(404);
            assert_eq!(std::fs::read(app.files().join("Secret/a.txt")).unwrap(), b"Secret/a.txt");
            for method in ["GET", "DELETE"] {
                problem(&send(&editor, method, &format!("/api/items/{path}"), Value::Null).await, 404);
            }
            editor.navigate(&format!("/item?path={path}")).await.expect(404);
        }
        for path in ["Secret", "Open/way"] {
            problem(&send(&editor, "DELETE", &format!("/api/folders/{path}"), Value::Null).await, 404);
        }
        problem(&send(&editor, "POST", "/api/folders", json!({ "path": "Secret/x" })).await, 404);
        problem(&send(&editor, "POST", "/api/folders", json!({ "path": "Open/way/x" })).await, 404);
        problem(&reader.get("/api/items/Staff/b.txt").await, 404);
        // Who sees both sides may.
        rename(&editor, "Staff/b.txt", "Open/b.txt").await.expect(200);
        reader.get("/api/files/Open/b.txt").await.expect(200);
        rename(&admin, "Open/b.txt", "Secret/b.txt").await.expect(200);
        editor.get("/api/files/Secret/b.txt").await.expect(404);
    }

    async fn a_folder_with_rules_is_moved_by_admins_alone_and_its_rules_go_along(app: TestApp) {
        let (reader, editor, admin) = fill(&app).await;
        for folder in ["Staff", "Box"] {
            problem(&rename_folder(&editor, folder, "Elsewhere").await, 409);
            problem(&send(&editor, "DELETE", &format!("/api/folders/{folder}"), Value::Null).await, 409);
            editor.navigate(&format!("/item/delete?path={folder}")).await.expect(409);
        }
        // What was deleted from the folder stays as closed as it was.
        let id = delete(&editor, "Staff/b.txt").await;
        app.write("Staff/e.txt", "e");
        rename_folder(&admin, "Staff", "Open/Team").await.expect(200);
        rename_folder(&admin, "Box", "Chest").await.expect(200);
        reader.get("/api/files/Open/Team/e.txt").await.expect(404);
        editor.get("/api/files/Open/Team/e.txt").await.expect(200);
        editor.get("/api/files/Chest/Inner/d.txt").await.expect(404);
        let rules = crate::catalogue::count(&app, "SELECT count(*) AS count FROM dim.folder_rules WHERE folder IN ('Open/Team', 'Chest/Inner', 'Secret')").await;
        let all = crate::catalogue::count(&app, "SELECT count(*) AS count FROM dim.folder_rules").await;
        assert_eq!((rules, all), (3, 3));
        let entries = editor.get("/api/trash").await.expect(200).json();
        assert_eq!(entries[0]["path"], "Open/Team/b.txt");
        restore(&editor, id, Value::Null).await.expect(200);
        reader.get("/api/files/Open/Team/b.txt").await.expect(404);
        // A rule that waits for a folder of that name is not taken over.
        rule(&app, "Waiting", "editor", "").await;
        app.state.files.rules.forget();
        problem(&rename_folder(&admin, "Chest", "Waiting").await, 409);
    }

    async fn the_trash_shows_and_gives_back_only_what_its_place_of_origin_admits(app: TestApp) {
        let (_, editor, admin) = fill(&app).await;
        let hidden = delete(&admin, "Secret/a.txt").await;
        let inner = send(&admin, "DELETE", "/api/folders/Box", Value::Null).await.expect(200).json()["id"].as_i64().unwrap();
        let open = delete(&editor, "Open/c.txt").await;
        let ids = |reply: crate::support::client::Reply| -> Vec<i64> {
            let entries = reply.json();
            entries.as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
        };
        assert_eq!(ids(editor.get("/api/trash").await.expect(200)), [open]);
        assert_eq!(ids(admin.get("/api/trash").await.expect(200)), [open, inner, hidden]);
        let page = editor.navigate("/trash").await.expect(200).text();
        assert!(page.contains("c.txt") && !page.contains("a.txt") && !page.contains("Box"), "{page}");
        for id in [hidden, inner] {
            problem(&restore(&editor, id, Value::Null).await, 404);
            problem(&restore(&editor, id, json!({ "path": "Open/stolen" })).await, 404);
            editor.navigate(&format!("/trash/{id}/restore")).await.expect(404);
        }
        // Nor does an admin bring it back past its rules by mistake.
        problem(&restore(&admin, inner, json!({ "path": "Open/Box" })).await, 409);
        restore(&admin, inner, Value::Null).await.expect(200);
        editor.get("/api/files/Box/Inner/d.txt").await.expect(404);
        restore(&admin, hidden, Value::Null).await.expect(200);
        editor.get("/api/files/Secret/a.txt").await.expect(404);
        // An entry of an open place goes into no closed one.
        problem(&restore(&editor, open, json!({ "path": "Secret/c.txt" })).await, 404);
    }
}

on_both! {
    async fn what_a_hidden_folder_holds_is_not_told_by_refusals(app: TestApp) {
        let (_, editor, _) = fill(&app).await;
        rule(&app, "Open/Waiting.txt", "admin", "").await;
        app.state.files.rules.forget();
        for folder in ["Secret/a.txt/x", "Secret/none/x", "Secret/a.txt", "Secret/none"] {
            let made = send(&editor, "POST", "/api/folders", json!({ "path": folder })).await;
            problem(&made, 404);
            let published = Form::new().text("folder", folder).file("new.txt", "x").publish(&editor).await;
            problem(&published, 404);
        }
        // A rule that waits for a name is a rule for who publishes under it, too.
        let waited = Form::new().text("folder", "Open").file("Waiting.txt", "x").publish(&editor).await;
        problem(&waited, 404);
        assert!(!app.files().join("Open/Waiting.txt").exists());
    }

    async fn a_folder_in_the_trash_goes_with_the_rule_of_its_name(app: TestApp) {
        let (_, editor, admin) = fill(&app).await;
        send(&admin, "DELETE", "/api/folders/Secret", Value::Null).await.expect(200);
        send(&admin, "POST", "/api/folders", json!({ "path": "Secret" })).await.expect(201);
        rename_folder(&admin, "Secret", "People").await.expect(200);
        let list = send(&editor, "GET", "/api/trash", Value::Null).await.expect(200);
        assert!(!list.text().contains("People") && !list.text().contains("Secret"), "{}", list.text());
        let list = send(&admin, "GET", "/api/trash", Value::Null).await.expect(200);
        assert!(list.text().contains("People"), "{}", list.text());
    }

    async fn the_rule_of_a_folder_that_lies_in_the_trash_stays(app: TestApp) {
        let (_, editor, admin) = fill(&app).await;
        let clear = async |folder: &str| {
            let form = format!("folder={folder}");
            admin.post("/admin/folders/clear", "application/x-www-form-urlencoded", form).await
        };
        let id = send(&admin, "DELETE", "/api/folders/Box", Value::Null).await.expect(200).json()["id"].as_i64().unwrap();
        clear("Box%2FInner").await.expect(409);
        problem(&restore(&editor, id, Value::Null).await, 404);
        clear("Staff").await.expect(303);
        restore(&admin, id, Value::Null).await.expect(200);
        editor.get("/api/files/Box/Inner/d.txt").await.expect(404);
        clear("Box%2FInner").await.expect(303);
        editor.get("/api/files/Box/Inner/d.txt").await.expect(200);
    }
}
