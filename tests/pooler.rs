//! A pooler between the portal and Postgres: by the session it does no harm, by the transaction the portal does not start.

use std::time::{Duration, Instant};

use portcullis::db::{Db, PostgresUrl, migrate};
use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::pgbouncer::PgBouncer;

fn name_of(url: &str) -> &str {
    let name = url.rsplit('/').next().unwrap();
    name.split('?').next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_session_a_withdrawn_role_is_refused_within_a_second() {
    let Some(server) = database::postgres() else {
        return;
    };
    let Some(pooler) = PgBouncer::start(server, "session") else {
        return;
    };
    let url = server.empty_database().await;
    let app = TestApp::builder(Backend::Postgres)
        .on(&pooler.url(name_of(&url)))
        .start()
        .await;
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);
    server
        .execute(name_of(&url), "DELETE FROM dim.user_roles")
        .await;
    let began = Instant::now();
    while reader.get("/api/items").await.status != 403 {
        assert!(began.elapsed() < Duration::from_secs(1), "it goes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_transaction_the_portal_does_not_start() {
    let Some(server) = database::postgres() else {
        return;
    };
    let Some(pooler) = PgBouncer::start(server, "transaction") else {
        return;
    };
    let url = pooler.url(name_of(&server.empty_database().await));
    let db = Db::open(&database::settings(&url)).unwrap();
    // The first time, and with sessions of an earlier start still in the pool.
    for _ in 0..3 {
        let refusal = migrate::run(&db).await.unwrap_err().to_string();
        assert!(refusal.contains("pool_mode = session"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_lent_out_in_turn_are_noticed() {
    let Some(server) = database::postgres() else {
        return;
    };
    let lines = "server_round_robin = 1\nmin_pool_size = 2\ndefault_pool_size = 2";
    let Some(pooler) = PgBouncer::start_with(server, "transaction", lines) else {
        return;
    };
    let url = pooler.url(name_of(&server.empty_database().await));
    let url = PostgresUrl::parse(&url).unwrap();
    // Two at once, so that there are two to be lent out.
    let (one, driver) = url.connect().await.unwrap();
    let (two, other) = url.connect().await.unwrap();
    let drivers = [tokio::spawn(driver), tokio::spawn(other)];
    for sql in ["BEGIN", "COMMIT"] {
        one.batch_execute(sql).await.unwrap();
        two.batch_execute(sql).await.unwrap();
    }
    for _ in 0..4 {
        assert!(!url.keeps_sessions().await.unwrap());
    }
    drivers.iter().for_each(tokio::task::JoinHandle::abort);
}
