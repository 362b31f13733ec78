//! A change that the database takes back at its very end takes the file back as well.

use portcullis::db::Db;
use portcullis::roles::Role;

use super::assert_on_disk;
use super::form::file;
use crate::support::app::TestApp;
use crate::support::on_both;
use crate::uploads;

/// From now on every commit fails that wrote a row of a file.
async fn refuse_commits(app: &TestApp) {
    let sql = match app.db {
        Db::Postgres(..) => {
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON dim.items DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        }
        Db::Sqlite(..) => {
            "CREATE TABLE dim.nowhere (id INTEGER PRIMARY KEY);
             CREATE TABLE dim.refused (id INTEGER REFERENCES nowhere (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER dim.refuse_new AFTER INSERT ON items BEGIN INSERT INTO refused VALUES (1); END;
             CREATE TRIGGER dim.refuse_old AFTER UPDATE ON items BEGIN INSERT INTO refused VALUES (1); END"
        }
    };
    app.execute(sql).await;
}

async fn take_commits(app: &TestApp) {
    let sql = match app.db {
        Db::Postgres(..) => "DROP TRIGGER refuse ON dim.items",
        Db::Sqlite(..) => "DROP TRIGGER dim.refuse_new; DROP TRIGGER dim.refuse_old",
    };
    app.execute(sql).await;
}

on_both! {
    async fn a_commit_that_fails_takes_the_file_back_and_brings_the_old_one_again(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        file("old.txt", "old").publish(&editor).await.expect(201);
        let old = editor.get("/api/files/old.txt").await.expect(200);
        refuse_commits(&app).await;
        let new = file("new.txt", "new").publish(&editor).await;
        assert!(new.status >= 500, "{new:?}");
        let replaced = file("old.txt", "replaced").text("overwrite", "true").publish(&editor).await;
        assert!(replaced.status >= 500, "{replaced:?}");
        assert_on_disk(&app, &["old.txt"], "after commits that failed");
        let again = editor.get("/api/files/old.txt").await.expect(200);
        assert_eq!((&again.body[..], again.header("etag")), (&b"old"[..], old.header("etag")));
        editor.get("/api/files/new.txt").await.expect(404);

        take_commits(&app).await;
        file("new.txt", "new").publish(&editor).await.expect(201);
        file("old.txt", "replaced").text("overwrite", "true").publish(&editor).await.expect(201);
        assert_on_disk(&app, &["new.txt", "old.txt"], "nothing is left aside");
        assert_eq!(editor.get("/api/files/old.txt").await.expect(200).body, b"replaced");
    }

    async fn a_commit_that_fails_gives_an_upload_its_bytes_back(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("old.txt", "old");
        let pairs = [("filename", "old.txt"), ("overwrite", "true")];
        let replacing = uploads::create(&editor, 5, &pairs).await.expect(201);
        let new = uploads::begin(&editor, "new.txt", 5).await;
        refuse_commits(&app).await;
        for upload in [replacing.location(), &new] {
            let refused = uploads::patch(&editor, upload, 0, b"hello").await;
            assert!(refused.status >= 500, "{refused:?}");
            assert_eq!(uploads::offset(&editor, upload).await, 4);
        }
        assert_eq!(std::fs::read(app.files().join("old.txt")).unwrap(), b"old");
        assert!(!app.files().join("new.txt").exists());

        take_commits(&app).await;
        for upload in [replacing.location(), &new] {
            uploads::patch(&editor, upload, 4, b"o").await.expect(204);
        }
        assert_on_disk(&app, &["new.txt", "old.txt"], "nothing is left aside");
        assert_eq!(std::fs::read(app.files().join("old.txt")).unwrap(), b"hello");
        assert_eq!(std::fs::read(app.files().join("new.txt")).unwrap(), b"hello");
    }
}
