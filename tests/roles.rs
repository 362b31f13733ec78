//! Roles take effect at once, whoever writes them; a database that is away closes the portal and never opens it.

use std::time::{Duration, Instant};

use portcullis::db::migrate;
use portcullis::roles::Role;

use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;

on_both! {
    async fn a_withdrawn_role_closes_the_portal_at_once(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        reader.get("/api/items").await.expect(200);
        let actor = portcullis::audit::Actor::command_line();
        app.db
            .transaction::<_, portcullis::roles::change::ChangeError>(async |conn: &mut portcullis::db::Conn| {
                portcullis::roles::change::revoke(conn, &actor, "karl.weber@contoso.example").await
            })
            .await
            .unwrap();
        // Written past the portal's own cache, as another process does it.
        app.eventually("the withdrawn role is noticed", async || {
            reader.get("/api/items").await.status == 403
        })
        .await;
        let told = app.audited("role_revoked").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str()), ("command line", "karl.weber@contoso.example"));
        assert!(told.detail.contains("reader"));
    }
}

async fn psql(app: &TestApp, sql: &str) {
    let (client, connection) = tokio_postgres::connect(&app.database_url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    driving.await.unwrap().unwrap();
}

/// How long until the person gets that status.
async fn until(browser: &crate::support::client::Browser, status: u16) -> Duration {
    let began = Instant::now();
    while browser.get("/api/items").await.status != status {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "no {status} within 10 s"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_written_by_hand_in_sql_is_noticed_within_a_second() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);
    for (sql, status) in [
        ("UPDATE dim.user_roles SET role = 'nobody'", 403),
        (
            "UPDATE dim.user_roles SET role = 'reader', email = 'Karl.Weber@Contoso.example'",
            200,
        ),
        ("DELETE FROM dim.user_roles", 403),
        (
            "INSERT INTO dim.user_roles VALUES ('KARL.WEBER@contoso.example', 'editor')",
            200,
        ),
        ("TRUNCATE dim.user_roles", 403),
    ] {
        psql(&app, sql).await;
        let took = until(&reader, status).await;
        assert!(took < Duration::from_secs(1), "{sql} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_another_instance_on_the_same_database() {
    if database::postgres().is_none() {
        return;
    }
    let first = TestApp::start(Backend::Postgres).await;
    let second = TestApp::builder(Backend::Postgres)
        .on(&first.database_url)
        .beside(&first.emulator)
        .start()
        .await;
    let reader = first.signed_in_as(Role::Reader).await;
    let elsewhere = second.visitor();
    elsewhere.set_cookie("session", reader.cookie("session").as_deref());
    elsewhere.get("/api/items").await.expect(200);
    reader
        .post("/api/me/sign-out", "application/json", "")
        .await
        .expect(204);
    assert!(until(&elsewhere, 401).await < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_listening_connection_closes_until_it_is_back_and_trusts_nothing_it_knew() {
    if database::postgres().is_none() {
        return;
    }
    let app = TestApp::start(Backend::Postgres).await;
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);
    // The trigger is off, so nobody is told: only the reconnection can bring the truth.
    psql(
        &app,
        "ALTER TABLE dim.user_roles DISABLE TRIGGER ALL; DELETE FROM dim.user_roles;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1');",
    )
    .await;
    until(&reader, 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_or_is_gone_gives_503_and_heals_by_itself() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    app.write("a.txt", "a");
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);

    cluster.signal("STOP");
    app.eventually("the heartbeat misses the database", async || {
        app.visitor().get("/health/ready").await.status == 503
    })
    .await;
    let reply = reader.get("/api/files/a.txt").await.expect(503);
    assert_ne!(reply.header("retry-after"), "");
    assert!(reply.text().contains("reference"));
    app.visitor().get("/api/items").await.expect(401);
    app.visitor().get("/").await.expect(303);
    app.visitor().get("/health/ready").await.expect(503);
    app.visitor().get("/health/live").await.expect(200);
    // The way back never leaves the portal.
    let page = raw::get(&app, &reader, "//evil.example/x").await;
    let page = page.expect(503, "with the database away").text();
    assert!(!page.contains("evil.example"), "{page}");

    // Whoever signs out now is signed out here, and a copy of the cookie is worth nothing when the database is back.
    let leaver = reader.copy();
    let thief = reader.copy();
    let page = leaver.navigate("/logout").await.expect(503).text();
    assert!(page.contains("signed out in this browser"), "{page}");
    assert_eq!(leaver.cookie("session"), None);
    cluster.signal("CONT");
    app.eventually("the sign-out is made up for", async || {
        thief.get("/api/items").await.status == 401
    })
    .await;
    app.sign_in(
        &reader,
        crate::support::app::account(Some(Role::Reader)),
        "/api/items",
    )
    .await
    .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_withdrawn_while_postgres_restarts_is_refused_as_soon_as_it_is_back() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.grant("ada.byron@contoso.example", Role::Admin).await;
    reader.get("/api/items").await.expect(200);
    tokio::task::block_in_place(|| cluster.restart());
    // Before the portal is back, or after: either it trusts nothing that it knew, or it is told.
    psql(&app, "DELETE FROM dim.user_roles WHERE role = 'reader'").await;
    let began = Instant::now();
    app.eventually("the portal is back", async || {
        let status = reader.get("/api/items").await.status;
        assert!(
            [403, 503].contains(&status) || began.elapsed() < Duration::from_secs(1),
            "{status}"
        );
        status == 403
    })
    .await;
    // The chain goes on where it was.
    app.sealed().await;
    assert!(
        portcullis::audit::verify::verify(&app.db, None)
            .await
            .unwrap()
            .is_sound()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_opens_when_a_database_that_was_away_at_the_start_appears() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    let settings = database::settings(&url);
    let db = portcullis::db::Db::open(&settings).unwrap();
    let people = std::sync::Arc::new(portcullis::roles::cache::People::new(
        db.clone(),
        Duration::from_secs(300),
    ));
    let rules = portcullis::rules::Rulebook::new(db.clone(), Duration::from_secs(300));
    // Not migrated: the watcher has to bring the schema up to date before it opens.
    tokio::spawn(portcullis::roles::changes::watch(
        db.clone(),
        people.clone(),
        std::sync::Arc::new(rules),
        false,
    ));
    let began = Instant::now();
    while !people.is_available() {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        migrate::run(&db).await.unwrap().is_empty(),
        "nothing was left to migrate"
    );
}
