//! A change that the database takes back at its very end takes the disk back as well, and one whose process ended is
//! taken back by the next.

use portcullis::db::Db;
use portcullis::roles::Role;
use serde_json::{Value, json};

use super::{delete, in_trash, nothing_is_begun, rename, rename_folder, restore, send, visible};
use crate::catalogue::{execute, row};
use crate::publishing::form::file;
use crate::support::app::TestApp;
use crate::support::on_both;

/// From now on every commit fails that changed the row of a file or made one of a folder.
async fn refuse_commits(app: &TestApp) {
    let sql = match app.db {
        Db::Postgres(..) => {
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON dim.items DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.refuse();
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dim.folders DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        }
        Db::Sqlite(..) => {
            "CREATE TABLE dim.nowhere (id INTEGER PRIMARY KEY);
             CREATE TABLE dim.refused (id INTEGER REFERENCES nowhere (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER dim.refuse_items AFTER UPDATE ON items BEGIN INSERT INTO refused VALUES (1); END;
             CREATE TRIGGER dim.refuse_folders AFTER INSERT ON folders BEGIN INSERT INTO refused VALUES (1); END"
        }
    };
    execute(app, sql).await;
}

async fn take_commits(app: &TestApp) {
    let sql = match app.db {
        Db::Postgres(..) => "DROP TRIGGER refuse ON dim.items; DROP TRIGGER refuse ON dim.folders",
        Db::Sqlite(..) => "DROP TRIGGER dim.refuse_items; DROP TRIGGER dim.refuse_folders",
    };
    execute(app, sql).await;
}

on_both! {
    async fn a_commit_that_fails_leaves_everything_where_it_was(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for name in ["a.txt", "b.txt"] {
            file(name, name).text("title", name).publish(&editor).await.expect(201);
        }
        app.write("f/c.txt", "c");
        app.indexed().await;
        let id = delete(&editor, "b.txt").await;
        refuse_commits(&app).await;
        let replies = [
            rename(&editor, "a.txt", "moved.txt").await,
            rename_folder(&editor, "f", "g").await,
            send(&editor, "DELETE", "/api/items/a.txt", Value::Null).await,
            restore(&editor, id, Value::Null).await,
            send(&editor, "POST", "/api/folders", json!({ "path": "new" })).await,
        ];
        for reply in replies {
            assert!(reply.status >= 500, "{reply:?}");
        }
        // It is back when the answer comes, and nobody has to tidy up.
        assert_eq!(visible(&app), ["a.txt", "f/c.txt"]);
        assert_eq!(in_trash(&app), 1);
        assert!(!app.files().join("new").exists());
        for path in ["a.txt", "f/c.txt"] {
            assert_eq!(row(&app, path).await.unwrap().missing_since, 0, "{path}");
        }
        assert_eq!(row(&app, "a.txt").await.unwrap().title.as_deref(), Some("a.txt"));
        assert!(nothing_is_begun(&app).await);
        take_commits(&app).await;
        rename(&editor, "a.txt", "moved.txt").await.expect(200);
        restore(&editor, id, Value::Null).await.expect(200);
        assert_eq!(visible(&app), ["b.txt", "f/c.txt", "moved.txt"]);
    }

    async fn a_rename_whose_process_ended_is_taken_back(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for name in ["a.txt", "b.txt", "c.txt"] {
            file(name, name).text("title", name).publish(&editor).await.expect(201);
        }
        use std::os::unix::fs::MetadataExt;
        let note = async |from: &str, to: &str| {
            let inode = std::fs::metadata(app.files().join(from)).unwrap().ino();
            execute(&app, &format!(
                "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at) VALUES ('{from}', '{from}', '{to}', '{inode}', 1)"
            )).await;
        };
        // One was renamed and not written down, one was not even renamed, and of one the old name is taken again.
        let trash = app.files().join(".portcullis/trash");
        std::fs::create_dir_all(&trash).unwrap();
        note("a.txt", ".portcullis/trash/0a").await;
        std::fs::rename(app.files().join("a.txt"), trash.join("0a")).unwrap();
        note("b.txt", "x.txt").await;
        note("c.txt", ".portcullis/trash/0c").await;
        std::fs::rename(app.files().join("c.txt"), trash.join("0c")).unwrap();
        app.write("c.txt", "somebody else's");
        app.tended().await.unwrap();
        assert_eq!(visible(&app), ["a.txt", "b.txt", "c.txt", "c.txt (brought back)"]);
        assert_eq!(std::fs::read(app.files().join("c.txt (brought back)")).unwrap(), b"c.txt");
        assert_eq!(in_trash(&app), 0);
        assert!(nothing_is_begun(&app).await);
        app.indexed().await;
        assert_eq!(row(&app, "a.txt").await.unwrap().title.as_deref(), Some("a.txt"));
        rename(&editor, "a.txt", "z.txt").await.expect(200);
    }
}
