//! The chain: complete within a second, and broken by whatever is done to a row behind the portal's back.

use diesel_async::SimpleAsyncConnection;
use portcullis::audit::verify::{self, Report};
use portcullis::audit::{Action, Actor, Event, seal, store};
use portcullis::db::{Conn, DbError};

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// Writes `count` rows about files a0, a1, … in one transaction.
async fn write(app: &TestApp, count: usize) {
    let actor = Actor::person("ada@x.example", Some("192.0.2.1".to_owned()), None);
    let events: Vec<Event> = (0..count)
        .map(|number| Event::new(Action::Downloaded, &format!("a{number}"), "whole").bytes(10))
        .collect();
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            store::record_all(conn, &actor, &events).await
        })
        .await
        .unwrap();
}

async fn check(app: &TestApp) -> Report {
    verify::verify(&app.db, None).await.unwrap()
}

/// The one problem that `sql` leaves.
async fn found_after(app: &TestApp, sql: &str) -> String {
    app.execute(sql).await;
    let report = check(app).await;
    assert!(!report.is_sound(), "{sql} was not found");
    report.problems.join("\n")
}

on_both! {
    async fn rows_are_sealed_within_a_moment_and_the_chain_is_sound(app: TestApp) {
        write(&app, 30).await;
        // Nobody asks for it: the portal does so by itself.
        app.eventually("the sealer has been here", async || check(&app).await.waiting == 0).await;
        let report = check(&app).await;
        assert!(report.is_sound() && report.unsealed.is_empty(), "{report:?}");
        assert_eq!(report.rows, 30);
        assert!(report.head.starts_with("30:"), "{}", report.head);
    }

    async fn more_rows_than_one_batch_are_sealed_and_checked(app: TestApp) {
        write(&app, 4500).await;
        app.sealed().await;
        let report = check(&app).await;
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.rows, 4500);
    }

    async fn a_changed_row_is_found(app: TestApp) {
        write(&app, 9).await;
        app.sealed().await;
        let told = found_after(&app, "UPDATE dim.audit SET actor = 'eve@x.example' WHERE subject = 'a4'").await;
        assert!(told.contains("place 5,") && told.contains("does not match"), "{told}");
        assert_eq!(check(&app).await.problems.len(), 1, "the others are as they were");
    }

    async fn a_removed_row_is_found(app: TestApp) {
        write(&app, 9).await;
        app.sealed().await;
        let told = found_after(&app, "DELETE FROM dim.audit WHERE subject = 'a4'").await;
        assert!(told.contains("place 5 of the chain, was removed"), "{told}");
        let told = found_after(&app, "DELETE FROM dim.audit_seals WHERE seq = 5").await;
        assert!(told.contains("places 5 to 5 are missing"), "{told}");
    }

    async fn re_ordered_rows_are_found(app: TestApp) {
        write(&app, 9).await;
        app.sealed().await;
        let swap = "UPDATE dim.audit_seals SET seq = -seq WHERE seq IN (4, 5);
                    UPDATE dim.audit_seals SET seq = 9 + seq WHERE seq < 0;";
        // 4 becomes 5 and 5 becomes 4.
        let told = found_after(&app, swap).await;
        assert!(told.contains("place 4,") && told.contains("place 5,"), "{told}");
    }

    async fn a_cut_tail_and_a_chain_made_anew_are_found_by_a_head_that_the_log_told(app: TestApp) {
        write(&app, 9).await;
        app.sealed().await;
        let head: verify::Head = check(&app).await.head.parse().unwrap();
        assert!(verify::verify(&app.db, Some(&head)).await.unwrap().is_sound());
        let bare: verify::Head = check(&app).await.head.split_once(':').unwrap().1.parse().unwrap();
        assert!(verify::verify(&app.db, Some(&bare)).await.unwrap().is_sound());
        app.execute(
            "DELETE FROM dim.audit WHERE subject = 'a8'; DELETE FROM dim.audit_seals WHERE seq = 9;",
        ).await;
        assert!(check(&app).await.is_sound(), "a shorter chain is a sound chain");
        let told = verify::verify(&app.db, Some(&head)).await.unwrap().problems.join("\n");
        assert!(told.contains("once reached place 9"), "{told}");
        assert!(!verify::verify(&app.db, Some(&bare)).await.unwrap().is_sound());

        // Somebody with rights on the tables changes a row and lets the portal seal everything anew.
        app.execute(
            "UPDATE dim.audit SET actor = 'eve@x.example' WHERE subject = 'a4'; DELETE FROM dim.audit_seals;
             INSERT INTO dim.audit_unsealed SELECT id FROM dim.audit;",
        ).await;
        write(&app, 3).await;
        app.sealed().await;
        assert!(check(&app).await.is_sound());
        let told = verify::verify(&app.db, Some(&head)).await.unwrap().problems.join("\n");
        assert!(told.contains("made anew"), "{told}");
    }

    async fn a_row_that_came_in_past_the_trigger_or_went_before_the_seal_is_found(app: TestApp) {
        write(&app, 3).await;
        app.sealed().await;
        app.execute(
            "INSERT INTO dim.audit (at, actor, action, subject, outcome, detail) VALUES (1, 'eve', 'downloaded', 'x', 'whole', '{}');
             DELETE FROM dim.audit_unsealed;",
        ).await;
        // The sealer may have been quicker than the second statement: then there is nothing to find.
        if check(&app).await.rows == 3 {
            let told = check(&app).await.problems.join("\n");
            assert!(told.contains("is not sealed and does not wait"), "{told}");
        }
        app.execute("INSERT INTO dim.audit_unsealed (id) VALUES (4711)").await;
        let told = check(&app).await.problems.join("\n");
        assert!(told.contains("Row 4711 was removed before it was sealed"), "{told}");
    }

    async fn a_row_slipped_in_under_a_number_that_the_portal_never_gives_is_found(app: TestApp) {
        write(&app, 3).await;
        app.sealed().await;
        let overriding = if app.database_url.starts_with("sqlite") { "" } else { "OVERRIDING SYSTEM VALUE" };
        for id in [-5, 0, i64::MIN, i64::MAX] {
            // In one transaction, so that the sealer sees none that waits.
            app.execute(&format!(
                "BEGIN; INSERT INTO dim.audit (id, at, actor, action, subject, outcome, detail) {overriding} VALUES ({id}, 1, 'eve', 'downloaded', 'x', 'whole', '{{}}');
                 DELETE FROM dim.audit_unsealed WHERE id = {id}; COMMIT"
            )).await;
            let told = check(&app).await.problems.join("\n");
            assert!(told.contains(&format!("Row {id} is not sealed")), "{id}: {told}");
            app.execute(&format!("DELETE FROM dim.audit WHERE id = {id}")).await;
        }
        assert!(check(&app).await.is_sound());
    }

    async fn what_other_programs_insert_is_sealed_as_well(app: TestApp) {
        app.execute("INSERT INTO dim.audit (at, actor, action, subject, outcome, detail) VALUES (1, 'sync', 'role_granted', 'x', 'reader', '{}')").await;
        app.sealed().await;
        let report = check(&app).await;
        assert_eq!((report.rows, report.is_sound()), (1, true));
    }

    async fn a_download_that_is_resumed_counts_once_and_with_all_its_bytes(app: TestApp) {
        app.write("large.bin", vec![7; 1000]);
        app.indexed().await;
        let karl = app.signed_in_as(portcullis::roles::Role::Reader).await;
        let part = async |range: &str| karl.send(reqwest::Method::GET, "/api/files/large.bin", &[("range", range)], Vec::new()).await.expect(206);
        part("bytes=0-99").await;
        part("bytes=100-899").await;
        part("bytes=900-").await;
        app.eventually("three rows tell of it", async || {
            app.audit().await.iter().filter(|row| row.action == "downloaded").count() == 3
        }).await;
        app.sealed().await;
        use portcullis::audit::daily;
        let today = portcullis::clock::day(portcullis::clock::now());
        let mut conn = app.db.conn().await.unwrap();
        let days = daily::actions(&mut conn, today - 1).await.unwrap();
        let (events, bytes) = days.iter().filter(|day| day.name == "downloaded").fold((0, 0), |sum, day| (sum.0 + day.events, sum.1 + day.bytes));
        assert_eq!((events, bytes), (1, 1000));
        for fact in [daily::FILE, daily::PERSON] {
            let top = daily::top(&mut conn, fact, today - 1, 10).await.unwrap();
            assert_eq!((top.len(), top[0].events, top[0].bytes), (1, 1, 1000), "{fact}");
        }
        drop(conn);
        let items = karl.get("/api/items").await.expect(200).json();
        assert_eq!(items[0]["downloads"], 1, "as the file's own number: {items}");
        // Broken off and never resumed: bytes, and no download.
        part("bytes=0-9").await;
        app.write("other.bin", vec![7; 100]);
        karl.send(reqwest::Method::GET, "/api/files/other.bin", &[("range", "bytes=0-9")], Vec::new()).await.expect(206);
        app.eventually("five rows tell of it", async || {
            app.audit().await.iter().filter(|row| row.action == "downloaded").count() == 5
        }).await;
        app.sealed().await;
        let mut conn = app.db.conn().await.unwrap();
        let top = daily::top(&mut conn, daily::FILE, today - 1, 10).await.unwrap();
        assert_eq!((top.len(), top[0].events, top[0].bytes), (1, 1, 1010));
    }

    async fn rows_are_counted_by_day_once(app: TestApp) {
        write(&app, 30).await;
        write(&app, 3).await;
        app.sealed().await;
        let today = portcullis::clock::day(portcullis::clock::now());
        let mut conn = app.db.conn().await.unwrap();
        use portcullis::audit::daily;
        let days = daily::actions(&mut conn, today - 1).await.unwrap();
        let (events, bytes) = days.iter().fold((0, 0), |sum, day| (sum.0 + day.events, sum.1 + day.bytes));
        assert_eq!((events, bytes), (33, 330));
        let files = daily::top(&mut conn, daily::FILE, today - 1, 10).await.unwrap();
        assert_eq!((files.len(), files[0].name.as_str(), files[0].events), (10, "a0", 2));
        let people = daily::top(&mut conn, daily::PERSON, today - 1, 10).await.unwrap();
        assert_eq!((people[0].name.as_str(), people[0].events, people[0].bytes), ("ada@x.example", 33, 330));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_committed_late_is_sealed_late_though_its_id_is_smaller() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    let mut early = app.db.conn().await.unwrap();
    let Conn::Postgres(conn) = &mut early else {
        panic!("Postgres");
    };
    let insert = "INSERT INTO dim.audit (at, actor, action, subject, outcome, detail) VALUES (1, 'early', 'x', 'x', 'x', '{}')";
    conn.batch_execute(&format!("BEGIN; {insert}"))
        .await
        .unwrap();
    write(&app, 5).await;
    app.sealed().await;
    conn.batch_execute("COMMIT").await.unwrap();
    app.sealed().await;
    let mut conn = app.db.conn().await.unwrap();
    let chain = store::sealed_after(&mut conn, 0).await.unwrap();
    let ids: Vec<i64> = chain.iter().map(|(_, entry)| entry.id).collect();
    assert_eq!(ids, [2, 3, 4, 5, 6, 1]);
    assert!(check(&app).await.is_sound());
}

/// The encoding as the documentation gives it, done again in plain SQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_can_compute_the_chain_in_plain_sql() {
    let Some(_) = database::postgres() else {
        return;
    };
    let app = TestApp::start(Backend::Postgres).await;
    write(&app, 20).await;
    app.execute(
        "INSERT INTO dim.audit (at, actor, action, subject, outcome, bytes, reference, address, detail)
         VALUES (-5, '', 'Übung', E'a\\nb', '', -1, 'R', '::1', '{\"a\":1}')",
    )
    .await;
    app.sealed().await;
    let (client, connection) = tokio_postgres::connect(&app.database_url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE FUNCTION pg_temp.field(t text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
                SELECT CASE WHEN t IS NULL THEN '\\xffffffff'::bytea
                       ELSE int4send(octet_length(convert_to(t, 'UTF8'))) || convert_to(t, 'UTF8') END $$",
        )
        .await
        .unwrap();
    let row = client
        .query_one(
            "SELECT count(*), count(*) FILTER (WHERE hash = computed) FROM (
               SELECT s.hash, encode(sha256(pg_temp.field(coalesce(lag(s.hash) OVER (ORDER BY s.seq), repeat('0', 64)))
                 || pg_temp.field(s.seq::text) || pg_temp.field(a.id::text) || pg_temp.field(a.at::text)
                 || pg_temp.field(a.actor) || pg_temp.field(a.action) || pg_temp.field(a.subject) || pg_temp.field(a.outcome)
                 || pg_temp.field(a.bytes::text) || pg_temp.field(a.reference) || pg_temp.field(a.address)
                 || pg_temp.field(a.detail)), 'hex') AS computed
               FROM dim.audit_seals s JOIN dim.audit a USING (id)) AS x",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (21, 21));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_sealers_make_one_chain() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    let writing = async {
        for _ in 0..40 {
            write(&app, 50).await;
        }
    };
    let sealing = async {
        for _ in 0..30 {
            let _ = tokio::join!(
                seal::seal(&app.db),
                seal::seal(&app.db),
                seal::seal(&app.db)
            );
        }
    };
    tokio::join!(writing, sealing);
    app.sealed().await;
    let report = check(&app).await;
    assert_eq!((report.rows, report.is_sound()), (2000, true), "{report:?}");
}
