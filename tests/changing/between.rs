//! Between a rename on the disk and its commit, and for as long as nobody mends what was killed there: no rule is passed.

use std::time::Duration;

use portcullis::roles::Role;
use serde_json::Value;

use super::{nothing_is_begun, rename_folder, send, visible};
use crate::catalogue::rules::rule;
use crate::catalogue::{count, execute, listed};
use crate::publishing::form::Form;
use crate::publishing::problem;
use crate::support::app::TestApp;
use crate::support::on_both;

/// As a portal leaves it that was killed when it had renamed a folder, a minute before the keeper comes again.
async fn killed_after(app: &TestApp, from: &str, to: &str) {
    use std::os::unix::fs::MetadataExt;
    let keeper = &app.state.metrics.trash_tended;
    app.eventually("the keeper has been there", async || keeper.get() > 0)
        .await;
    let inode = std::fs::metadata(app.files().join(from)).unwrap().ino();
    execute(app, &format!(
        "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at) VALUES ('{from}', '{from}', '{to}', '{inode}', 1)"
    )).await;
    std::fs::rename(app.files().join(from), app.files().join(to)).unwrap();
    app.state.files.rules.forget();
}

async fn fill(app: &TestApp) {
    app.write("Secret/a.txt", "a");
    app.write("Secret/deep/b.txt", "b");
    app.indexed().await;
    rule(app, "Secret", "admin", "").await;
    app.state.files.rules.forget();
}

on_both! {
    async fn a_folder_keeps_its_rules_under_its_new_name_before_they_are_written_down(app: TestApp) {
        fill(&app).await;
        let reader = app.signed_in_as(Role::Reader).await;
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        killed_after(&app, "Secret", "People").await;
        app.indexed().await;
        for path in ["People/a.txt", "People/deep/b.txt", "Secret/a.txt"] {
            problem(&reader.get(&format!("/api/files/{path}")).await, 404);
            problem(&reader.get(&format!("/api/items/{path}")).await, 404);
        }
        assert_eq!(listed(&reader, "").await.0, [""; 0]);
        let published = Form::new().text("folder", "People").file("new.txt", "x").publish(&editor).await;
        problem(&published, 404);
        admin.get("/api/files/People/a.txt").await.expect(200);
        // What would have to be undone as well waits.
        problem(&rename_folder(&admin, "People", "Elsewhere").await, 409);
        problem(&send(&admin, "DELETE", "/api/folders/People", Value::Null).await, 409);
        let form = "folder=People&role=editor&people=".to_owned();
        admin.post("/admin/folders", "application/x-www-form-urlencoded", form).await.expect(409);

        app.tended().await.unwrap();
        assert_eq!(visible(&app), ["Secret/a.txt", "Secret/deep/b.txt"]);
        problem(&reader.get("/api/files/Secret/a.txt").await, 404);
        // The name is anybody's again.
        app.write("People/c.txt", "c");
        reader.get("/api/files/People/c.txt").await.expect(200);
        assert!(nothing_is_begun(&app).await);
    }

    async fn a_folder_that_comes_back_beside_another_brings_its_rules_along(app: TestApp) {
        fill(&app).await;
        let reader = app.signed_in_as(Role::Reader).await;
        killed_after(&app, "Secret", "People").await;
        app.write("Secret/theirs.txt", "somebody else's");
        app.tended().await.unwrap();
        assert_eq!(
            visible(&app),
            ["Secret (brought back)/a.txt", "Secret (brought back)/deep/b.txt", "Secret/theirs.txt"]
        );
        for path in ["Secret%20(brought%20back)/a.txt", "Secret/theirs.txt"] {
            problem(&reader.get(&format!("/api/files/{path}")).await, 404);
        }
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.folder_rules").await, 2);
    }
}

/// From now on the commit of a change of files takes two seconds.
async fn slow_commits(app: &TestApp) {
    let sql = "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON dim.folder_rules DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.slow()";
    execute(app, sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_asks_while_the_commit_of_a_rename_takes_its_time_sees_nothing() {
    if crate::support::database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(crate::support::database::Backend::Postgres).await;
    fill(&app).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let admin = app.signed_in_as(Role::Admin).await;
    // The rules are remembered from before.
    problem(&reader.get("/api/files/Secret/a.txt").await, 404);
    slow_commits(&app).await;
    let ask = async {
        app.eventually("it is renamed on the disk", async || {
            app.files().join("People/a.txt").exists()
        })
        .await;
        for _ in 0..5 {
            problem(&reader.get("/api/files/People/a.txt").await, 404);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!nothing_is_begun(&app).await, "asked too late");
    };
    let (renamed, ()) = tokio::join!(rename_folder(&admin, "Secret", "People"), ask);
    renamed.expect(200);
    problem(&reader.get("/api/files/People/a.txt").await, 404);
    admin.get("/api/files/People/a.txt").await.expect(200);
}
