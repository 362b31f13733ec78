//! A publication that the database takes back at its very end takes the file back as well, and one whose process ended is
//! taken back by the next.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use portcullis::db::Db;
use portcullis::roles::Role;

use super::assert_on_disk;
use super::form::file;
use crate::catalogue::{count, row};
use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::line::Line;
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

async fn begun(app: &TestApp) -> i64 {
    count(
        app,
        "SELECT count(*) AS count FROM dim.moves_begun WHERE done_at >= 0",
    )
    .await
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

    async fn a_publication_whose_process_ended_is_taken_back_or_tidied_up(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for name in ["old.txt", "done.txt", "early.txt", "calm.txt"] {
            file(name, "old").text("title", "The old one").publish(&editor).await.expect(201);
        }
        let old = editor.get("/api/files/old.txt").await.expect(200);
        let upload = uploads::begin(&editor, "up.txt", 5).await;
        let replacing = uploads::create(&editor, 5, &[("filename", "early.txt"), ("overwrite", "true")]).await;
        let replacing = replacing.expect(201).location().to_owned();
        for upload in [&upload, &replacing] {
            uploads::patch(&editor, upload, 0, b"hell").await.expect(204);
        }
        let bytes_of = |upload: &str| format!(".portcullis/uploads/{}", upload.rsplit('/').next().unwrap());
        let at = |path: &str| app.files().join(path);
        let note = async |from: &str, to: &str, aside: &str, done_at: i64| {
            let inode = std::fs::metadata(at(from)).unwrap().ino();
            app.execute(&format!(
                "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at, aside, done_at)
                 VALUES ('{to}', '{from}', '{to}', '{inode}', 1, {aside}, {done_at})"
            )).await;
        };
        // Killed when the new content was in its place: of a form, of a form that replaced, of an upload, of an upload
        // that replaced. Killed after the commit, and before anything was renamed.
        for (from, to, replaces, renamed, done_at) in [
            (".portcullis-00000001.part".to_owned(), "new.txt", false, true, 0),
            (".portcullis-00000002.part".to_owned(), "old.txt", true, true, 0),
            (bytes_of(&upload), "up.txt", false, true, 0),
            (bytes_of(&replacing), "early.txt", true, true, 0),
            (".portcullis-00000003.part".to_owned(), "done.txt", true, true, 1),
            (".portcullis-00000004.part".to_owned(), "calm.txt", true, false, 0),
        ] {
            if !at(&from).exists() {
                app.write(&from, "something else");
            }
            let aside = format!(".portcullis-old-{to}");
            note(&from, to, &if replaces { format!("'{aside}'") } else { "NULL".to_owned() }, done_at).await;
            if replaces {
                std::fs::hard_link(at(to), at(&aside)).unwrap();
            }
            if renamed {
                std::fs::rename(at(&from), at(to)).unwrap();
            }
        }
        // Whoever reads the folder meanwhile removes nothing that may be wanted.
        app.indexed().await;
        app.tended().await.unwrap();
        // Its time comes after a day, where other instances may be at work.
        let _ = std::fs::remove_file(at(".portcullis-00000004.part"));
        assert_eq!(begun(&app).await, 0);
        let again = editor.get("/api/files/old.txt").await.expect(200);
        assert_eq!((&again.body[..], again.header("etag")), (&b"old"[..], old.header("etag")));
        for name in ["early.txt", "calm.txt"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), b"old", "{name}");
        }
        assert_eq!(std::fs::read(at("done.txt")).unwrap(), b"something else");
        editor.get("/api/files/new.txt").await.expect(404);
        for upload in [&upload, &replacing] {
            assert_eq!(uploads::offset(&editor, upload).await, 4);
            uploads::patch(&editor, upload, 4, b"o").await.expect(204);
        }
        assert_on_disk(&app, &["calm.txt", "done.txt", "early.txt", "old.txt", "up.txt"], "nothing is left aside");
        assert_eq!(std::fs::read(at("early.txt")).unwrap(), b"hello");
        app.indexed().await;
        assert_eq!(row(&app, "old.txt").await.unwrap().title.as_deref(), Some("The old one"));
    }
}

/// The commit of a publication comes about, and nobody is told: the line to the database breaks meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_takes_no_bytes_back() {
    let Some(server) = database::postgres() else {
        return;
    };
    let line = Line::lay().await;
    line.lead_to(server.port());
    let url = server.database().await;
    let url = url.replace(&format!(":{}/", server.port()), &format!(":{}/", line.port));
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("old.txt", "old");
    let upload = uploads::create(
        &editor,
        5,
        &[("filename", "old.txt"), ("overwrite", "true")],
    )
    .await;
    let upload = upload.expect(201).location().to_owned();
    uploads::patch(&editor, &upload, 0, b"hell")
        .await
        .expect(204);
    app.execute(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER slow AFTER UPDATE OF path ON dim.uploads DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.slow()",
    )
    .await;
    let content = || std::fs::read(app.files().join("old.txt")).unwrap();
    let break_it = async {
        app.eventually("it is in its place", async || content() == b"hello")
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        line.cut();
        // Longer than anybody asks at once what became of it.
        tokio::time::sleep(Duration::from_secs(10)).await;
        line.mend();
    };
    let (answer, ()) = tokio::join!(uploads::patch(&editor, &upload, 4, b"o"), break_it);
    assert!(answer.status >= 500, "{answer:?}");
    app.eventually("the database is there again", async || {
        app.visitor().get("/health/ready").await.status == 200
    })
    .await;
    assert_eq!(
        uploads::offset(&editor, &upload).await,
        5,
        "it was published"
    );
    assert_eq!(content(), b"hello");
    app.tended().await.unwrap();
    assert_on_disk(&app, &["old.txt"], "nothing is left aside");
    assert_eq!(
        editor.get("/api/files/old.txt").await.expect(200).body,
        b"hello"
    );
    assert_eq!(begun(&app).await, 0);
}
