//! Everything at once for a long time: no error, and neither memory nor descriptors grow.
//! `PORTCULLIS_SOAK=1200` says for how many seconds; without it, long enough to see that the walk works.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis::roles::Role;
use tokio::task::JoinSet;

use super::Scene;
use crate::admin::{give, hidden, post};
use crate::publishing::form::file;
use crate::support::client::Browser;
use crate::support::database;

/// Names that are published over and over, so that the disk stays as full as it is.
const NAMES: usize = 20;

fn duration() -> Duration {
    let asked = std::env::var("PORTCULLIS_SOAK").ok();
    Duration::from_secs(asked.and_then(|asked| asked.parse().ok()).unwrap_or(10))
}

/// What was done, and whether to go on.
#[derive(Default)]
struct Walk {
    over: AtomicBool,
    sign_ins: AtomicU64,
    lists: AtomicU64,
    downloads: AtomicU64,
    publications: AtomicU64,
    changes: AtomicU64,
}

impl Walk {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }
}

fn done(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

async fn list(walk: Arc<Walk>, reader: Browser) {
    while walk.goes_on() {
        reader.navigate("/").await.expect(200);
        reader.get("/api/items").await.expect(200);
        done(&walk.lists);
    }
}

async fn download(walk: Arc<Walk>, reader: Browser) {
    while walk.goes_on() {
        let whole = reader.get("/api/files/large.bin").await.expect(200);
        assert_eq!(whole.body.len(), 4 << 20);
        let range = [("range", "bytes=-1000")];
        let part = reader
            .send(
                reqwest::Method::GET,
                "/api/files/large.bin",
                &range,
                Vec::new(),
            )
            .await
            .expect(206);
        assert_eq!(part.body.len(), 1000);
        done(&walk.downloads);
    }
}

async fn publish(walk: Arc<Walk>, editor: Browser) {
    for round in 0.. {
        if !walk.goes_on() {
            return;
        }
        let name = format!("{}.txt", round % NAMES);
        let form = file(&name, "x".repeat(50_000 + round % 1000)).text("overwrite", "true");
        form.publish(&editor).await.expect(201);
        done(&walk.publications);
    }
}

async fn change_roles(walk: Arc<Walk>, admin: Browser) {
    for round in 0.. {
        if !walk.goes_on() {
            return;
        }
        let email = format!("p{}@x.example", round % 50);
        give(&admin, &email, "reader", "", "").await.expect(303);
        let asked = format!("/admin/person/remove?email={}", email.replace('@', "%40"));
        let before = hidden(&admin.navigate(&asked).await.expect(200).text(), "before");
        let fields = [("email", email.as_str()), ("before", &before)];
        post(&admin, "/admin/person/remove", &fields)
            .await
            .expect(303);
        done(&walk.changes);
    }
}

async fn sign_in_and_out(walk: &Walk, scene: &Scene) {
    let reader = scene.signed_in_as(Role::Reader).await;
    post(&reader, "/logout", &[]).await.expect(303);
    reader.get("/api/me").await.expect(401);
    done(&walk.sign_ins);
}

/// Resident memory in KiB, and open descriptors.
fn held_by(pid: u32) -> (u64, usize) {
    let proc = Path::new("/proc").join(pid.to_string());
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (memory, std::fs::read_dir(proc.join("fd")).unwrap().count())
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort();
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_day_of_everything_leaves_memory_and_descriptors_flat() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.empty_database().await;
    let scene = Scene::start(&[("DATABASE_URL", &url), ("SIGN_IN_RATE", "100000/min")]).await;
    std::fs::write(scene.files().join("large.bin"), vec![7; 4 << 20]).unwrap();
    let walk = Arc::new(Walk::default());
    let mut tasks = JoinSet::new();
    let reader = scene.signed_in_as(Role::Reader).await;
    let editor = scene.signed_in_as(Role::Editor).await;
    let admin = scene.signed_in_as(Role::Admin).await;
    tasks.spawn(list(walk.clone(), reader.copy()));
    tasks.spawn(download(walk.clone(), reader));
    tasks.spawn(publish(walk.clone(), editor));
    tasks.spawn(change_roles(walk.clone(), admin));

    let (began, mut held) = (Instant::now(), Vec::new());
    while began.elapsed() < duration() {
        sign_in_and_out(&walk, &scene).await;
        held.push(held_by(scene.portal.child.id()));
        if let Some(ended) = tasks.try_join_next() {
            panic!("somebody stopped early: {ended:?}\n{}", scene.portal.log());
        }
    }
    walk.over.store(true, Ordering::SeqCst);
    tasks.join_all().await;

    let quarter = held.len() / 4;
    let (second, last) = (&held[quarter..2 * quarter], &held[3 * quarter..]);
    let memory = |part: &[(u64, usize)]| median(part.iter().map(|held| held.0)) / 1024;
    let descriptors = |part: &[(u64, usize)]| median(part.iter().map(|held| held.1));
    println!(
        "{} s: {} sign-ins, {} lists, {} downloads, {} publications, {} role changes; memory {} then {} MiB, at most {}; \
         descriptors {} then {}, at most {}",
        began.elapsed().as_secs(),
        walk.sign_ins.load(Ordering::SeqCst),
        2 * walk.lists.load(Ordering::SeqCst),
        2 * walk.downloads.load(Ordering::SeqCst),
        walk.publications.load(Ordering::SeqCst),
        2 * walk.changes.load(Ordering::SeqCst),
        memory(second),
        memory(last),
        held.iter().map(|held| held.0).max().unwrap() / 1024,
        descriptors(second),
        descriptors(last),
        held.iter().map(|held| held.1).max().unwrap(),
    );
    let errors: Vec<String> = scene
        .portal
        .log()
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains(" 500 "))
        .map(str::to_owned)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(memory(last) <= memory(second) + memory(second) / 10 + 8);
    assert!(descriptors(last) <= descriptors(second) + 10);
}
