//! What was deleted is found in the trash, comes back with everything, and goes after thirty days.

use portcullis::clock;
use portcullis::roles::Role;
use serde_json::{Value, json};

use super::{delete, in_trash, nothing_is_begun, restore, send, visible};
use crate::catalogue::{count, execute, listed, row};
use crate::publishing::form::{Form, file};
use crate::publishing::problem;
use crate::support::app::{TestApp, account};
use crate::support::on_both;

async fn fill(app: &TestApp) -> crate::support::client::Browser {
    let editor = app.signed_in_as(Role::Editor).await;
    for (folder, name) in [("f", "1.txt"), ("f/g", "2.txt"), ("", "a.txt")] {
        let form = Form::new().text("folder", folder).text("title", name);
        form.file(name, name).publish(&editor).await.expect(201);
    }
    editor
}

on_both! {
    async fn a_deleted_file_is_gone_from_everywhere_and_comes_back_with_everything(app: TestApp) {
        let editor = fill(&app).await;
        let before = editor.get("/api/items/a.txt").await.expect(200).json();
        let id = delete(&editor, "a.txt").await;
        editor.get("/api/files/a.txt").await.expect(404);
        problem(&editor.get("/api/items/a.txt").await, 404);
        assert_eq!(listed(&editor, "?q=a").await.1, 0);
        assert_eq!((visible(&app), in_trash(&app)), (vec!["f/1.txt".to_owned(), "f/g/2.txt".to_owned()], 1));
        app.indexed().await;
        let entries = editor.get("/api/trash").await.expect(200).json();
        let entry = &entries[0];
        assert_eq!((&entry["id"], &entry["path"], &entry["kind"], &entry["size"]), (&json!(id), &json!("a.txt"), &json!("file"), &json!(5)));
        assert_eq!(entry["deleted_by"], account(Some(Role::Editor)));
        let page = editor.navigate("/trash").await.expect(200).text();
        assert!(page.contains("a.txt") && page.contains(&format!("/trash/{id}/restore")), "{page}");
        assert_eq!(app.audited("deleted").await.subject, "a.txt");

        let back = restore(&editor, id, Value::Null).await.expect(200).json();
        assert_eq!(back, before);
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "a.txt");
        assert_eq!(listed(&editor, "?q=a.txt").await.0, ["a.txt"]);
        assert_eq!(in_trash(&app), 0);
        assert_eq!(editor.get("/api/trash").await.expect(200).text(), "[]");
        problem(&restore(&editor, id, Value::Null).await, 404);
        assert_eq!(app.audited("restored").await.subject, "a.txt");
        assert!(nothing_is_begun(&app).await);
    }

    async fn a_deleted_folder_comes_back_with_all_below_even_if_its_own_folder_is_gone(app: TestApp) {
        let editor = fill(&app).await;
        let below = send(&editor, "DELETE", "/api/folders/f/g", Value::Null).await.expect(200).json();
        let above = send(&editor, "DELETE", "/api/folders/f", Value::Null).await.expect(200).json();
        assert_eq!((&below["files"], &above["files"]), (&json!(1), &json!(1)));
        assert_eq!(visible(&app), ["a.txt"]);
        assert_eq!(crate::catalogue::shown(&editor, "/").await, ["a.txt"]);
        restore(&editor, below["id"].as_i64().unwrap(), Value::Null).await.expect(200);
        assert_eq!(visible(&app), ["a.txt", "f/g/2.txt"]);
        assert_eq!(row(&app, "f/g/2.txt").await.unwrap().title.as_deref(), Some("2.txt"));
        // Its place is taken now, so it needs another one.
        let above = above["id"].as_i64().unwrap();
        let sentence = problem(&restore(&editor, above, Value::Null).await, 409);
        assert!(sentence.contains("“f”"), "{sentence}");
        restore(&editor, above, json!({ "path": "f back" })).await.expect(200);
        assert_eq!(visible(&app), ["a.txt", "f back/1.txt", "f/g/2.txt"]);
        assert_eq!(row(&app, "f back/1.txt").await.unwrap().title.as_deref(), Some("1.txt"));
        app.indexed().await;
        assert_eq!(listed(&editor, "").await.1, 3);
    }

    async fn nothing_is_overwritten_by_what_comes_back(app: TestApp) {
        let editor = fill(&app).await;
        let id = delete(&editor, "a.txt").await;
        file("a.txt", "newer").publish(&editor).await.expect(201);
        problem(&restore(&editor, id, Value::Null).await, 409);
        problem(&restore(&editor, id, json!({ "path": "f/1.txt" })).await, 409);
        problem(&restore(&editor, id, json!({ "path": "A.TXT" })).await, 409);
        problem(&restore(&editor, id, json!({ "path": "absent/a.txt" })).await, 404);
        problem(&restore(&editor, id, json!({ "path": "../a.txt" })).await, 422);
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "newer");
        assert_eq!(in_trash(&app), 1);
        restore(&editor, id, json!({ "path": "f/a.txt" })).await.expect(200);
        assert_eq!(row(&app, "f/a.txt").await.unwrap().title.as_deref(), Some("a.txt"));
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "newer");
    }

    async fn admins_remove_for_good_and_thirty_days_do_as_well(app: TestApp) {
        let editor = fill(&app).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let id = delete(&editor, "a.txt").await;
        problem(&send(&editor, "DELETE", &format!("/api/trash/{id}"), Value::Null).await, 403);
        send(&admin, "DELETE", &format!("/api/trash/{id}"), Value::Null).await.expect(204);
        problem(&send(&admin, "DELETE", &format!("/api/trash/{id}"), Value::Null).await, 404);
        assert_eq!(in_trash(&app), 0);
        assert_eq!(app.audited("removed_for_good").await.actor, account(Some(Role::Admin)));

        let old = send(&editor, "DELETE", "/api/folders/f", Value::Null).await.expect(200).json()["id"].as_i64().unwrap();
        file("young.txt", "x").publish(&editor).await.expect(201);
        let young = delete(&editor, "young.txt").await;
        let days = |days: i64| clock::now() - days * 86_400 * clock::SECOND;
        for (id, at) in [(old, days(31)), (young, days(29))] {
            execute(&app, &format!("UPDATE dim.trash SET deleted_at = {at} WHERE id = {id}")).await;
        }
        app.tended().await.unwrap();
        assert_eq!(in_trash(&app), 1);
        let entries = editor.get("/api/trash").await.expect(200).json();
        assert_eq!(entries.as_array().unwrap().len(), 1);
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.trash").await, 1);
        let audit = app.audited("removed_for_good").await;
        assert_eq!((audit.actor.as_str(), audit.subject.as_str()), ("portal", "f"));
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.items WHERE missing_since > 0").await, 1, "the young one's");
    }

    async fn what_was_marked_as_removed_leaves_the_disk_after_a_restart(app: TestApp) {
        let editor = fill(&app).await;
        delete(&editor, "a.txt").await;
        execute(&app, "UPDATE dim.trash SET removed_at = 1").await;
        assert_eq!(editor.get("/api/trash").await.expect(200).text(), "[]");
        app.tended().await.unwrap();
        assert_eq!((in_trash(&app), count(&app, "SELECT count(*) AS count FROM dim.trash").await), (0, 0));
        // A row that another program wrote removes nothing beside the trash.
        execute(&app, "INSERT INTO dim.trash (place, origin, kind, files, size, inode, deleted_by, deleted_at, removed_at)
            VALUES ('f', 'f', 'folder', 1, 1, '1', 'x', 1, 1)").await;
        app.tended().await.unwrap_err();
        assert_eq!(visible(&app), ["f/1.txt", "f/g/2.txt"]);
    }

    async fn what_cannot_be_removed_keeps_nothing_else_from_it(app: TestApp) {
        let editor = fill(&app).await;
        // Older than what is removed below: one that fails each time, and more than are read at once of a disk that is away.
        let insert = "INSERT INTO dim.trash (place, origin, kind, files, size, inode, deleted_by, deleted_at, removed_at) VALUES";
        execute(&app, &format!("{insert} ('f', 'f', 'folder', 1, 1, '1', 'x', 1, 1)")).await;
        let away: Vec<String> = (0..1_100).map(|n| format!("('away/.portcullis/trash/{n}', 'away/{n}', 'file', 1, 1, '1', 'x', 1, 1)")).collect();
        execute(&app, &format!("{insert} {}", away.join(", "))).await;
        delete(&editor, "a.txt").await;
        execute(&app, "UPDATE dim.trash SET removed_at = 1").await;
        app.tended().await.unwrap_err();
        assert_eq!(in_trash(&app), 0);
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.trash").await, 1_101, "what was not removed is not forgotten");
        assert_eq!(visible(&app), ["f/1.txt", "f/g/2.txt"]);
        execute(&app, "DELETE FROM dim.trash WHERE place = 'f'").await;
        delete(&editor, "f/1.txt").await;
        execute(&app, "UPDATE dim.trash SET removed_at = 1").await;
        app.tended().await.unwrap();
        assert_eq!(in_trash(&app), 0);
    }
}
