//! What grows with what, beyond one machine: `cargo bench --bench growth` measures each factor that docs/scale.md reckons
//! with, on a Postgres of its own. `PORTCULLIS_GROWTH=1000000` asks for as many people (100,000 without it).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    dead_code,
    unused_imports,
    unused_macros,
    missing_docs,
    reason = "a benchmark that cannot go on stops, and uses some of what the tests stand on"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis::audit::queue::Queue;
use portcullis::audit::{Action, Actor, Event, seal};
use portcullis::db::{Db, migrate};
use portcullis::roles::Role;
use portcullis::roles::cache::People;

use support::app::TestApp;
use support::client::Browser;
use support::database::{self, Backend, Server};
use support::reckoning::{reckoned, simulated};

const SPAN: Duration = Duration::from_secs(5);
/// As many as the pool has connections.
const AT_ONCE: u64 = 10;

#[tokio::main]
async fn main() {
    let people = std::env::var("PORTCULLIS_GROWTH").map_or(100_000, |text| text.parse().unwrap());
    misses_by_reckoning_and_by_simulation();
    let server = database::postgres().expect("Postgres is needed");
    let url = server.empty_database().await;
    let db = Db::open(&database::settings(&url)).unwrap();
    migrate::run(&db).await.unwrap();
    let name = url.rsplit('/').next().unwrap().to_owned();
    let mut known = 0;
    for most in [people / 100, people / 10, people] {
        fill(server, &name, known, most).await;
        known = most;
        lookups(&db, most).await;
    }
    memory(&db, people.min(100_000)).await;
    for listeners in [1, 4, 16, 64] {
        notifications(server, &name, people, listeners).await;
    }
    audit(&db).await;
    sign_ins().await;
}

/// People with a role, an account that it is bound to, and a session each.
async fn fill(server: &Server, database: &str, from: u64, to: u64) {
    for sql in [
        "INSERT INTO dim.user_roles (email, role) SELECT 'p' || i || '@x.example', 'reader' FROM n",
        "INSERT INTO dim.bindings (email, tid, oid, bound_at) SELECT 'p' || i || '@x.example', 'tenant', 'account' || i, 0 FROM n",
        "INSERT INTO dim.sessions (id, email, tid, oid, started_at) SELECT 'session-' || i, 'p' || i || '@x.example', 'tenant', 'account' || i, 0 FROM n",
    ] {
        let sql = format!("WITH n AS (SELECT generate_series({from} + 1, {to}) AS i) {sql}");
        server.execute(database, &sql).await;
    }
    server.execute(database, "ANALYZE").await;
}

/// Who the session of person `number` is.
async fn look_up(people: &People, number: u64) {
    let (id, email) = (format!("session-{number}"), format!("p{number}@x.example"));
    let found = people.of_session(&id, &email).await;
    assert_eq!(found.unwrap().unwrap().role, Some(Role::Reader));
}

/// Look-ups that find nothing in memory.
async fn lookups(db: &Db, people: u64) {
    let cache = People::new(db.clone(), Duration::ZERO);
    cache.set_available(true);
    let cache = &cache;
    let began = Instant::now();
    let asking = (0..AT_ONCE).map(|task| async move {
        let mut number = task * people / AT_ONCE;
        while began.elapsed() < SPAN {
            number = (number * 7919 + 104_729) % people;
            look_up(cache, number + 1).await;
        }
    });
    futures_util::future::join_all(asking).await;
    let (_, read) = cache.lookups();
    println!(
        "look-ups in the database, {people} people: {:.0}/s",
        read as f64 / began.elapsed().as_secs_f64()
    );
}

/// What remembering somebody takes.
async fn memory(db: &Db, people: u64) {
    let cache = People::new(db.clone(), Duration::from_secs(3600));
    cache.set_available(true);
    let cache = &cache;
    let before = resident();
    let asking = (0..AT_ONCE).map(|task| async move {
        let mut number = task;
        while number < people {
            look_up(cache, number + 1).await;
            number += AT_ONCE;
        }
    });
    futures_util::future::join_all(asking).await;
    let took = resident() - before;
    println!(
        "memory of {people} people that are remembered: {} KiB, {} bytes each",
        took,
        took * 1024 / people
    );
}

/// Kibibytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Role changes with so many instances that listen: how many a second, and how soon the last instance has heard of one.
async fn notifications(server: &Server, database: &str, people: u64, listeners: usize) {
    use futures_util::StreamExt;
    let heard = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..listeners {
        let (client, mut driver) =
            tokio_postgres::connect(&server.url(database), tokio_postgres::NoTls)
                .await
                .unwrap();
        let heard = heard.clone();
        tasks.push(tokio::spawn(async move {
            let mut messages = futures_util::stream::poll_fn(move |cx| driver.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if matches!(message, tokio_postgres::AsyncMessage::Notification(_)) {
                    heard.fetch_add(1, Ordering::SeqCst);
                }
            }
        }));
        client.batch_execute("LISTEN portcullis").await.unwrap();
        tasks.push(tokio::spawn(async move {
            let _kept = client;
            std::future::pending::<()>().await;
        }));
    }
    let change = |number: u64, role: &str| {
        format!(
            "UPDATE dim.user_roles SET role = '{role}' WHERE email = 'p{}@x.example'",
            number % people + 1
        )
    };
    let client = server.connect(database).await.unwrap();
    let mut delays = Vec::new();
    for number in 0..50 {
        let before = heard.load(Ordering::SeqCst);
        client
            .batch_execute(&change(number, "editor"))
            .await
            .unwrap();
        let committed = Instant::now();
        while heard.load(Ordering::SeqCst) < before + listeners as u64 {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        delays.push(committed.elapsed());
    }
    delays.sort();
    let mut changing = Vec::new();
    let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    for task in 0..AT_ONCE {
        let client = server.connect(database).await.unwrap();
        let done = done.clone();
        changing.push(tokio::spawn(async move {
            let mut number = task;
            while began.elapsed() < SPAN {
                number += AT_ONCE;
                let sql = format!(
                    "UPDATE dim.user_roles SET role = 'reader' WHERE email = 'p{}@x.example'",
                    number % people + 1
                );
                client.batch_execute(&sql).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in changing {
        task.await.unwrap();
    }
    println!(
        "role changes with {listeners} instances: {:.0}/s; the last has heard {:.1} ms after the commit (at worst {:.1} ms)",
        done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64(),
        delays[delays.len() / 2].as_secs_f64() * 1000.0,
        delays[delays.len() - 1].as_secs_f64() * 1000.0,
    );
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Rows written through the queue, as downloads are, and sealed.
async fn audit(db: &Db) {
    const ROWS: u64 = 100_000;
    let queue = Queue::start(db.clone());
    let actor = Actor::person(
        "p1@x.example",
        Some("192.0.2.1".to_owned()),
        Some("7F3K-Q2MD".to_owned()),
    );
    let began = Instant::now();
    for number in 0..ROWS {
        let event = Event::new(
            Action::Downloaded,
            &format!("Reports/file {}.pdf", number % 1000),
            "whole",
        );
        queue.admit().await.unwrap().tell(actor.clone(), event);
    }
    queue.finish().await;
    println!(
        "audit rows written: {:.0}/s",
        ROWS as f64 / began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let sealed = seal::seal(db).await.unwrap();
    println!(
        "audit rows sealed: {:.0}/s",
        sealed as f64 / began.elapsed().as_secs_f64()
    );
}

/// Whole sign-ins against the emulator, which shares the cores, as does the browser's part.
async fn sign_ins() {
    const SIGN_INS: u64 = 400;
    let app = TestApp::builder(Backend::Postgres)
        .with("SIGN_IN_RATE", "1000000/min")
        .start()
        .await;
    let email = support::app::account(Some(Role::Reader));
    app.grant(email, Role::Reader).await;
    let began = Instant::now();
    let (app, next) = (Arc::new(app), Arc::new(AtomicU64::new(0)));
    let signing = (0..8).map(|_| async {
        while next.fetch_add(1, Ordering::Relaxed) < SIGN_INS {
            let browser = Browser::new(&app.url);
            app.sign_in(&browser, email, "/api/me").await.expect(200);
        }
    });
    futures_util::future::join_all(signing).await;
    println!(
        "whole sign-ins, with browser and provider on the same cores: {:.0}/s",
        SIGN_INS as f64 / began.elapsed().as_secs_f64()
    );
}

/// Holds the reckoning of docs/scale.md against a simulation.
fn misses_by_reckoning_and_by_simulation() {
    for (requests, people, instances) in [
        (100, 1_000, 1),
        (1_000, 10_000, 3),
        (10_000, 100_000, 4),
        (10_000, 1_000_000, 4),
    ] {
        let reckoned = reckoned(requests, people, instances);
        let simulated = simulated(requests, people, instances);
        println!(
            "{requests} requests/s of {people} people over {instances} instances: {reckoned:.0} look-ups/s reckoned, {simulated:.0} simulated"
        );
        assert!(
            (simulated / reckoned - 1.0).abs() < 0.05,
            "the reckoning is wrong"
        );
    }
}
