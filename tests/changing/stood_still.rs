//! An instance that stood still in the middle of a change, until the server ended its transaction and others had settled its
//! note, and a transaction that took something back and did not happen.

use std::os::unix::fs::MetadataExt;

use portcullis::db::{Conn, Db};
use portcullis::error::AppResult;
use portcullis::step::{Step, written_down};

use super::{nothing_is_begun, rename_folder, visible};
use crate::catalogue::rules::rule;
use crate::catalogue::{count, execute};
use crate::publishing::problem;
use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;
use portcullis::roles::Role;

fn step(app: &TestApp, from: &str, to: &str) -> Step {
    Step {
        from: from.to_owned(),
        to: to.to_owned(),
        inode: std::fs::metadata(app.files().join(from)).unwrap().ino(),
        aside: None,
    }
}

/// Notes with which nothing has been settled yet, the given up ones as well.
async fn notes(app: &TestApp) -> i64 {
    count(app, "SELECT count(*) AS count FROM dim.moves_begun").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stood_still_until_others_gave_it_up_takes_its_own_rename_back() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    app.write("a.txt", "a");
    let rename = || std::fs::rename(app.files().join("a.txt"), app.files().join("b.txt")).unwrap();
    // The server ends the transaction, a minute passes, and another instance looks after what it left.
    let stand_still = async || {
        app.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE state = 'idle in transaction' AND datname = current_database()",
        )
        .await;
        app.execute("UPDATE dim.moves_begun SET begun_at = 1").await;
        app.tended().await.unwrap();
        assert!(nothing_is_begun(&app).await, "it waits for nobody any more");
    };
    let step = step(&app, "a.txt", "b.txt");
    let done: AppResult<()> = written_down(&app.state, &step, async |_: &mut Conn| {
        stand_still().await;
        rename();
        Ok(())
    })
    .await;
    assert!(done.is_err());
    assert_eq!(visible(&app), ["a.txt"]);
    assert_eq!(notes(&app).await, 0);
    // Killed before it could: the next one who looks does it.
    let ended = written_down(&app.state, &step, async |_: &mut Conn| {
        stand_still().await;
        rename();
        std::future::pending::<AppResult<()>>().await
    });
    let waited = async {
        app.eventually("it is renamed", async || visible(&app) == ["b.txt"])
            .await;
    };
    tokio::select! {
        _ = ended => unreachable!(),
        () = waited => {}
    }
    app.tended().await.unwrap();
    assert_eq!(visible(&app), ["a.txt"]);
    assert_eq!(notes(&app).await, 0);
}

on_both! {
    async fn what_was_given_up_is_forgotten_after_a_day_and_not_made_before(app: TestApp) {
        app.write("a.txt", "a");
        let rename = || std::fs::rename(app.files().join("a.txt"), app.files().join("b.txt")).unwrap();
        let give_up = async |at: i64| {
            app.execute(&format!(
                "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at, done_at)
                 VALUES ('{at}', 'x.txt', 'y.txt', '1', 1, -{at})"
            )).await;
        };
        let now = portcullis::clock::now();
        give_up(now).await;
        give_up(now - 25 * 3600 * portcullis::clock::SECOND).await;
        app.tended().await.unwrap();
        assert_eq!(notes(&app).await, 1);
        let made: AppResult<()> = written_down(&app.state, &step(&app, "a.txt", "b.txt"), async |_: &mut Conn| {
            rename();
            Ok(())
        }).await;
        made.unwrap();
        assert_eq!((visible(&app), notes(&app).await), (vec!["b.txt".to_owned()], 1));
    }

    async fn a_later_file_with_the_number_of_one_that_was_given_up_stays(app: TestApp) {
        app.write("later.txt", "somebody else's");
        let inode = step(&app, "later.txt", "later.txt").inode;
        let given_up = portcullis::clock::now() - 3600 * portcullis::clock::SECOND;
        for (id, at) in [("before", given_up), ("after", portcullis::clock::now())] {
            assert!(app.files().join("later.txt").exists(), "{id} is about another file");
            execute(&app, &format!(
                "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at, done_at)
                 VALUES ('{id}', '.portcullis/gone.part', 'later.txt', '{inode}', 1, -{at})"
            )).await;
            app.tended().await.unwrap();
        }
        assert!(visible(&app).is_empty(), "the file that was there before the change was given up is its own");
    }

    async fn a_folder_that_came_back_in_a_transaction_that_did_not_happen_gets_its_rules_the_next_time(app: TestApp) {
        app.write("Secret/a.txt", "a");
        app.indexed().await;
        rule(&app, "Secret", "admin", "").await;
        let reader = app.signed_in_as(Role::Reader).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let inode = step(&app, "Secret", "People").inode;
        execute(&app, &format!(
            "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at) VALUES ('1', 'Secret', 'People', '{inode}', 1)"
        )).await;
        std::fs::rename(app.files().join("Secret"), app.files().join("People")).unwrap();
        app.write("Secret/theirs.txt", "somebody else's");
        let (refuse, take) = match app.db {
            Db::Postgres(..) => (
                "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
                 CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dim.folder_rules DEFERRABLE INITIALLY DEFERRED
                     FOR EACH ROW EXECUTE FUNCTION public.refuse()",
                "DROP TRIGGER refuse ON dim.folder_rules",
            ),
            Db::Sqlite(..) => (
                "CREATE TABLE dim.nowhere (id INTEGER PRIMARY KEY);
                 CREATE TABLE dim.refused (id INTEGER REFERENCES nowhere (id) DEFERRABLE INITIALLY DEFERRED);
                 CREATE TRIGGER dim.refuse AFTER INSERT ON folder_rules BEGIN INSERT INTO refused VALUES (1); END",
                "DROP TRIGGER dim.refuse",
            ),
        };
        execute(&app, refuse).await;
        let back = ["Secret (brought back)/a.txt", "Secret/theirs.txt"];
        app.tended().await.unwrap();
        assert_eq!(visible(&app), back);
        assert!(!nothing_is_begun(&app).await);
        execute(&app, take).await;
        // Whoever changes something there settles it first, and so would the next look.
        problem(&rename_folder(&admin, "People", "Elsewhere").await, 404);
        app.tended().await.unwrap();
        app.state.files.rules.forget();
        assert_eq!(visible(&app), back);
        for path in ["Secret%20(brought%20back)/a.txt", "Secret/theirs.txt"] {
            problem(&reader.get(&format!("/api/files/{path}")).await, 404);
        }
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.folder_rules").await, 2);
        assert!(nothing_is_begun(&app).await);
    }
}
