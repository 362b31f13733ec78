//! `AUDIT_RETENTION`: the oldest rows go, the rest stays verifiable, and the going itself is told.

use portcullis::audit::verify::{self, Head};
use portcullis::audit::{Action, Actor, Event, retention, seal, store};
use portcullis::clock;
use portcullis::db::{Conn, Db, DbError, migrate};
use portcullis::settings::DatabaseSettings;

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;

async fn write(app: &TestApp, count: usize, days_ago: i64) {
    let events: Vec<Event> = (0..count)
        .map(|number| Event::new(Action::Downloaded, &format!("{days_ago}/{number}"), "whole"))
        .collect();
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            store::record_all(conn, &Actor::portal(), &events).await
        })
        .await
        .unwrap();
    app.execute(&format!(
        "UPDATE dim.audit SET at = {} WHERE subject LIKE '{days_ago}/%'",
        clock::now() - days_ago * 86_400 * clock::SECOND
    ))
    .await;
}

fn days_ago(days: i64) -> i64 {
    clock::now() - days * 86_400 * clock::SECOND
}

on_both! {
    async fn the_oldest_rows_go_and_the_rest_stays_verifiable(app: TestApp) {
        // Another connection takes the background's place at the chain until the times are right.
        write(&app, 40, 40).await;
        write(&app, 3, 30).await;
        write(&app, 5, 1).await;
        app.execute("DELETE FROM dim.audit_seals; DELETE FROM dim.audit_unsealed; INSERT INTO dim.audit_unsealed SELECT id FROM dim.audit").await;
        app.sealed().await;
        let before = verify::verify(&app.db, None).await.unwrap();
        assert!(before.is_sound(), "{before:?}");
        assert_eq!(retention::remove(&app.db, days_ago(35)).await.unwrap(), 40);
        assert_eq!(retention::remove(&app.db, days_ago(35)).await.unwrap(), 0);
        app.sealed().await;
        let after = verify::verify(&app.db, Some(&before.head.parse::<Head>().unwrap())).await.unwrap();
        assert!(after.is_sound(), "{after:?}");
        assert_eq!(after.rows, 3 + 5 + 1, "what is left, and the row that tells");
        assert!(after.anchor.as_deref().unwrap().starts_with("40:"));
        let told = app.audited("audit_removed").await;
        assert!(told.detail.contains("\"from\":1") && told.detail.contains("\"to\":40"), "{}", told.detail);
        assert_eq!(told.actor, "portal");

        assert_eq!(retention::remove(&app.db, days_ago(10)).await.unwrap(), 3);
        app.sealed().await;
        assert!(verify::verify(&app.db, None).await.unwrap().is_sound());
        let old: Head = after.anchor.unwrap().parse().unwrap();
        let told = verify::verify(&app.db, Some(&old)).await.unwrap().problems.join("\n");
        assert!(told.contains("cannot be checked any more"), "{told}");
    }

    async fn a_beginning_that_was_cut_off_by_somebody_else_is_found(app: TestApp) {
        write(&app, 9, 1).await;
        app.execute("DELETE FROM dim.audit_seals; DELETE FROM dim.audit_unsealed; INSERT INTO dim.audit_unsealed SELECT id FROM dim.audit").await;
        app.sealed().await;
        app.execute(
            "INSERT INTO dim.audit_anchor (seq, hash) SELECT seq, hash FROM dim.audit_seals WHERE seq = 4;
             DELETE FROM dim.audit WHERE id IN (SELECT id FROM dim.audit_seals WHERE seq <= 4);
             DELETE FROM dim.audit_seals WHERE seq <= 4;",
        ).await;
        let told = verify::verify(&app.db, None).await.unwrap().problems.join("\n");
        assert!(told.contains("no removal by retention"), "{told}");
    }

    async fn a_young_row_ends_the_removal(app: TestApp) {
        write(&app, 2, 50).await;
        write(&app, 1, 1).await;
        write(&app, 2, 60).await;
        app.execute("DELETE FROM dim.audit_seals; DELETE FROM dim.audit_unsealed; INSERT INTO dim.audit_unsealed SELECT id FROM dim.audit").await;
        app.sealed().await;
        assert_eq!(retention::remove(&app.db, days_ago(10)).await.unwrap(), 2);
        assert!(verify::verify(&app.db, None).await.unwrap().is_sound());
    }

    async fn what_is_written_while_much_is_removed_is_sealed_in_between(app: TestApp) {
        // Without a portal: nobody else seals.
        let url = empty_beside(&app).await;
        let db = Db::open(&url).unwrap();
        migrate::run(&db).await.unwrap();
        let actor = Actor::portal();
        let events: Vec<Event> = (0..11_000).map(|number| Event::new(Action::Downloaded, &format!("old/{number}"), "whole")).collect();
        db.transaction::<_, DbError>(async |conn: &mut Conn| store::record_all(conn, &actor, &events).await).await.unwrap();
        seal::seal(&db).await.unwrap();
        let cutoff = clock::now();
        db.transaction::<_, DbError>(async |conn: &mut Conn| {
            store::record(conn, &actor, &Event::new(Action::SignedIn, "new@x.example", "signed_in")).await
        }).await.unwrap();
        assert_eq!(retention::remove(&db, cutoff).await.unwrap(), 11_000);
        let report = verify::verify(&db, None).await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        // The new row, and what tells of the first two batches, are sealed; only what tells of the last one waits.
        assert_eq!((report.rows, report.waiting), (3, 1), "{report:?}");
        db.close();
    }

    async fn the_setting_reaches_the_keeper(app: TestApp) {
        let url = url_beside(&app).await;
        let first = TestApp::builder(backend(&app)).on(&url).start().await;
        write(&first, 7, 3).await;
        write(&first, 2, 0).await;
        first.execute("DELETE FROM dim.audit_seals; DELETE FROM dim.audit_unsealed; INSERT INTO dim.audit_unsealed SELECT id FROM dim.audit").await;
        first.sealed().await;
        let keeping = TestApp::builder(backend(&app)).on(&url).with("AUDIT_RETENTION", "2d").start().await;
        let told = keeping.audited("audit_removed").await;
        assert!(told.detail.contains("\"from\":1") && told.detail.contains("\"to\":7"), "{}", told.detail);
        let rest = keeping.audit().await;
        assert!(rest.iter().filter(|row| row.subject.starts_with("0/")).count() == 2 && rest.iter().all(|row| !row.subject.starts_with("3/")), "{rest:?}");
    }
}

fn backend(app: &TestApp) -> Backend {
    match app.database_url.starts_with("sqlite") {
        true => Backend::Sqlite,
        false => Backend::Postgres,
    }
}

/// The URL of another database, with nothing in it.
async fn url_beside(app: &TestApp) -> String {
    match backend(app) {
        Backend::Sqlite => format!("sqlite://{}", app.folder().join("other.db").display()),
        Backend::Postgres => database::postgres().unwrap().empty_database().await,
    }
}

async fn empty_beside(app: &TestApp) -> DatabaseSettings {
    match backend(app) {
        Backend::Sqlite => DatabaseSettings::Sqlite {
            path: app.folder().join("other.db"),
            is_default: false,
        },
        Backend::Postgres => database::settings(&url_beside(app).await),
    }
}
