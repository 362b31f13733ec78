//! The same asked for twice at the same moment: one is made and stays, and nobody takes it for the half of the other.

use std::os::unix::fs::MetadataExt;

use portcullis::roles::Role;
use serde_json::Value;

use super::together::{assert_agrees, one_won};
use super::{delete, in_trash, nothing_is_begun, rename, rename_folder, restore, visible};
use crate::catalogue::execute;
use crate::catalogue::rules::rule;
use crate::publishing::form::file;
use crate::publishing::problem;
use crate::support::app::TestApp;
use crate::support::on_both;

const ROUNDS: usize = 8;

/// A note that an instance left which was killed before it renamed anything.
async fn killed_before(app: &TestApp, from: &str, to: &str) {
    let inode = std::fs::metadata(app.files().join(from)).unwrap().ino();
    execute(app, &format!(
        "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at) VALUES ('{from}', '{from}', '{to}', '{inode}', 1)"
    )).await;
}

on_both! {
    async fn a_rename_that_is_asked_for_twice_happens_once(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for round in 0..ROUNDS {
            let (from, to) = (format!("a{round}"), format!("b{round}"));
            file(&from, &from).publish(&editor).await.expect(201);
            let (one, other) = tokio::join!(rename(&editor, &from, &to), rename(&admin, &from, &to));
            one_won([one.status, other.status], "renamed twice");
            assert!(app.files().join(&to).exists(), "{to} was taken back");
        }
        assert_agrees(&app, &editor).await;
    }

    async fn a_file_that_is_brought_back_twice_is_there_once_and_stays(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for round in 0..ROUNDS {
            let name = format!("a{round}");
            file(&name, &name).publish(&editor).await.expect(201);
            let id = delete(&editor, &name).await;
            let (one, other) = tokio::join!(restore(&editor, id, Value::Null), restore(&admin, id, Value::Null));
            one_won([one.status, other.status], "restored twice");
            assert!(app.files().join(&name).exists(), "{name} was taken back");
        }
        assert_eq!(in_trash(&app), 0);
        assert_agrees(&app, &editor).await;
    }

    async fn a_folder_that_is_renamed_twice_keeps_its_rules(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let other = app.signed_in_as(Role::Admin).await;
        for round in 0..ROUNDS {
            let (from, to) = (format!("Secret{round}"), format!("People{round}"));
            app.write(&format!("{from}/a.txt"), "a");
            app.indexed().await;
            rule(&app, &from, "admin", "").await;
            app.state.files.rules.forget();
            let (one, two) = tokio::join!(rename_folder(&admin, &from, &to), rename_folder(&other, &from, &to));
            one_won([one.status, two.status], "renamed twice");
            for folder in [&from, &to] {
                problem(&reader.get(&format!("/api/files/{folder}/a.txt")).await, 404);
            }
            admin.get(&format!("/api/files/{to}/a.txt")).await.expect(200);
        }
        assert_agrees(&app, &admin).await;
    }

    async fn what_was_tried_again_after_a_kill_is_not_taken_back(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for name in ["a.txt", "c.txt", "x/e.txt"] {
            app.write(name, name);
        }
        app.write("y/f.txt", "f");
        app.indexed().await;
        killed_before(&app, "a.txt", "b.txt").await;
        rename(&editor, "a.txt", "b.txt").await.expect(200);
        // The same place, by another way.
        killed_before(&app, "c.txt", "x/c.txt").await;
        rename(&editor, "c.txt", "y/c.txt").await.expect(200);
        rename_folder(&editor, "x", "z").await.expect(200);
        rename_folder(&editor, "y", "x").await.expect(200);
        let id = delete(&editor, "b.txt").await;
        let place: String = crate::publishing::on_disk(&app).into_iter().find(|path| path.contains("/trash/")).unwrap();
        killed_before(&app, &place, "b.txt").await;
        restore(&editor, id, Value::Null).await.expect(200);
        for _ in 0..2 {
            app.tended().await.unwrap();
        }
        assert_eq!(visible(&app), ["b.txt", "x/c.txt", "x/f.txt", "z/e.txt"]);
        assert!(nothing_is_begun(&app).await);
    }
}
