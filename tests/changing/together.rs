//! Two at the same moment: exactly one wins, nothing is lost, and the index says what the disk says.

use portcullis::roles::Role;
use serde_json::{Value, json};

use super::{delete, in_trash, nothing_is_begun, rename, rename_folder, restore, send, visible};
use crate::catalogue::listed;
use crate::publishing::form::{Form, file};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::on_both;

const ROUNDS: usize = 8;

/// The index, after a look at everything, lists what lies on the disk.
pub async fn assert_agrees(app: &TestApp, browser: &Browser) {
    let (mut paths, _) = listed(browser, "?per_page=500").await;
    paths.sort();
    assert_eq!(paths, visible(app), "before a scan");
    app.indexed().await;
    let (mut paths, _) = listed(browser, "?per_page=500").await;
    paths.sort();
    assert_eq!(paths, visible(app), "after a scan");
    assert!(
        nothing_is_begun(app).await,
        "a note of a change that was refused stays"
    );
}

pub fn one_won(replies: [u16; 2], what: &str) {
    let won = replies
        .iter()
        .filter(|status| (200..300).contains(*status))
        .count();
    assert_eq!(won, 1, "{what}: {replies:?}");
    assert!(
        replies
            .iter()
            .all(|status| [200, 201, 404, 409].contains(status)),
        "{what}: {replies:?}"
    );
}

on_both! {
    async fn two_renames_to_one_name_and_two_of_one_file(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for round in 0..ROUNDS {
            for name in ["a", "b", "c"] {
                file(&format!("{name}{round}"), format!("{name}{round}")).publish(&editor).await.expect(201);
            }
            let (a, b, to) = (format!("a{round}"), format!("b{round}"), format!("to{round}"));
            let (one, other) = tokio::join!(rename(&editor, &a, &to), rename(&admin, &b, &to));
            one_won([one.status, other.status], "two to one name");
            let c = format!("c{round}");
            let (x, y) = (format!("x{round}"), format!("y{round}"));
            let (one, other) = tokio::join!(rename(&editor, &c, &x), rename(&admin, &c, &y));
            one_won([one.status, other.status], "one to two names");
        }
        assert_eq!(visible(&app).len(), 3 * ROUNDS);
        assert_agrees(&app, &editor).await;
    }

    async fn deleting_renaming_restoring_and_publishing_at_once(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let mut trashed = 0;
        for round in 0..ROUNDS {
            let (a, b) = (format!("a{round}"), format!("b{round}"));
            file(&a, &a).publish(&editor).await.expect(201);
            let path = format!("/api/items/{a}");
            let (one, other) = tokio::join!(rename(&editor, &a, &b), send(&admin, "DELETE", &path, Value::Null));
            one_won([one.status, other.status], "renamed and deleted");
            trashed += usize::from(other.status == 200);

            let c = format!("c{round}");
            file(&c, "old").publish(&editor).await.expect(201);
            let id = delete(&editor, &c).await;
            let (one, other) = tokio::join!(restore(&editor, id, Value::Null), file(&c, "new").publish(&admin));
            one_won([one.status, other.status], "restored and published");
            trashed += usize::from(other.status == 201);

            let d = format!("d{round}");
            file(&d, "d").publish(&editor).await.expect(201);
            let id = delete(&editor, &d).await;
            let path = format!("e{round}");
            let (one, other) = tokio::join!(restore(&editor, id, Value::Null), restore(&admin, id, json!({ "path": path })));
            one_won([one.status, other.status], "restored twice");
        }
        assert_eq!(in_trash(&app), trashed);
        let entries = editor.get("/api/trash?per_page=500").await.expect(200).json();
        assert_eq!(entries.as_array().unwrap().len(), trashed);
        assert_agrees(&app, &editor).await;
    }

    async fn publishing_into_a_folder_that_is_renamed_makes_no_second_one(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for round in 0..ROUNDS {
            let (from, to) = (format!("f{round}"), format!("g{round}"));
            Form::new().text("folder", &from).file("first.txt", "x").publish(&editor).await.expect(201);
            let publish = Form::new().text("folder", &from).file("second.txt", "x").publish(&editor);
            let (published, moved) = tokio::join!(publish, rename_folder(&admin, &from, &to));
            moved.expect(200);
            match published.status {
                // Before the rename it went along; begun after it, it makes its folder as anywhere else.
                201 => assert!(visible(&app).iter().any(|path| path.ends_with(&format!("{round}/second.txt")))),
                409 => assert!(!visible(&app).iter().any(|path| path.starts_with(&from)), "{:?}", visible(&app)),
                other => panic!("{other}: {}", published.text()),
            }
        }
        assert_agrees(&app, &editor).await;
    }
}
