//! SIGKILL while files are published, uploaded, replaced, renamed and deleted: afterwards every file is whole and there once,
//! under the title that its content was published with, the index and the trash agree with the disk, and nothing is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use portcullis::roles::Role;
use reqwest::Method;
use tokio::task::JoinSet;

use crate::faults::{HEALED_WITHIN, Scene};
use crate::publishing::form::file;
use crate::support::client::Browser;
use crate::support::database;
use crate::uploads::metadata;
use crate::uploads::together::sha256;

const CHANGES: usize = 40;
const KILLS: usize = 3;

fn content(name: &str, version: u32) -> String {
    format!("{name} {version} {}", "x".repeat(20_000))
}

/// Name and version that a file was published under, if it is whole.
fn whole(text: &str) -> Option<(String, u32)> {
    let (name, rest) = text.split_once(' ')?;
    let version: u32 = rest.split_once(' ')?.0.parse().ok()?;
    (text == content(name, version)).then(|| (name.to_owned(), version))
}

/// Uploads in two pieces; whether it was answered that it is published.
async fn upload(editor: &Browser, name: &str, version: u32) -> bool {
    let bytes = content(name, version).into_bytes();
    let (size, title) = (bytes.len().to_string(), version.to_string());
    let metadata = metadata(&[("filename", name), ("title", &title), ("overwrite", "true")]);
    let headers = [
        ("tus-resumable", "1.0.0"),
        ("upload-length", &size),
        ("upload-metadata", &metadata),
    ];
    let begun = editor.try_send(Method::POST, "/api/uploads", &headers, Vec::new());
    let Ok(begun) = begun.await.map_err(drop) else {
        return false;
    };
    if begun.status != 201 {
        return false;
    }
    let mut status = 0;
    for (offset, piece) in [("0", &bytes[..9_000]), ("9000", &bytes[9_000..])] {
        let headers = [
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", offset),
        ];
        let sent = editor.try_send(Method::PATCH, begun.location(), &headers, piece.to_vec());
        status = sent.await.map_or(0, |reply| reply.status);
    }
    status == 204
}

/// Publishes, replaces, renames and deletes until told to stop; the names that were answered with 201.
async fn work(
    editor: Browser,
    number: usize,
    over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> Vec<String> {
    let change = async |method: Method, name: &str, body: String| {
        let headers = [("content-type", "application/json")];
        let path = format!("/api/items/{name}");
        let sent = editor.try_send(method, &path, &headers, body.into_bytes());
        if sent.await.is_ok_and(|reply| reply.status == 200) {
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    let mut answered = Vec::new();
    for round in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("{number}-{round}");
        let form = file(&name, content(&name, 1)).text("title", "1");
        let published = match round % 3 {
            0 => upload(&editor, &name, 1).await,
            _ => form.try_publish(&editor).await == Some(201),
        };
        if !published {
            continue;
        }
        done.fetch_add(1, Ordering::SeqCst);
        answered.push(name.clone());
        let form = file(&name, content(&name, 2)).text("title", "2");
        match round % 4 {
            0 => drop(upload(&editor, &name, 2).await),
            _ => drop(form.text("overwrite", "true").try_publish(&editor).await),
        }
        let to = format!("{name}-renamed");
        change(Method::PATCH, &name, format!("{{\"path\": \"{to}\"}}")).await;
        if round % 2 == 0 {
            change(Method::DELETE, &to, String::new()).await;
        }
    }
    answered
}

/// Every file below `folder` by its path, hidden ones included.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, text);
            }
        }
    }
    found
}

/// The first column of what a query on the portal's database gives.
async fn sql(scene: &Scene, query: &str) -> BTreeSet<String> {
    if let (Some(server), Some(database)) = (database::postgres(), scene.postgres()) {
        let client = server.connect(&database).await.unwrap();
        let rows = client.query(query, &[]).await.unwrap();
        return rows.iter().map(|row| row.get(0)).collect();
    }
    let file = scene.folder.path().join("data/portcullis.db");
    let output = std::process::Command::new("sqlite3")
        .args(["-cmd", ".timeout 5000", ":memory:"])
        .arg(format!("ATTACH '{}' AS dim; {query}", file.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What the killed portal did not finish is a day old, so that nobody waits for it any more.
async fn grow_old(scene: &Scene) {
    if let (Some(server), Some(database)) = (database::postgres(), scene.postgres()) {
        let sql = "UPDATE dim.moves_begun SET begun_at = 1";
        server.execute(&database, sql).await;
    }
    let then = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let parts = files(&scene.files());
    for part in parts.keys().filter(|path| path.ends_with(".part")) {
        let part = std::fs::File::open(scene.files().join(part)).unwrap();
        part.set_modified(then).unwrap();
    }
}

/// From now on a commit that publishes takes a while, so that a kill is likely to come between rename and commit.
async fn slow_commits(scene: &Scene) {
    if let (Some(server), Some(database)) = (database::postgres(), scene.postgres()) {
        let sql = "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON dim.items DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.slow()";
        server.execute(&database, sql).await;
    }
}

/// The server notices at once that the portal is gone; otherwise a commit under way would come about all the same.
async fn end_connections(scene: &Scene) {
    if let (Some(server), Some(database)) = (database::postgres(), scene.postgres()) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        server.execute("postgres", &sql).await;
    }
}

async fn work_and_kill(scene: &mut Scene, kill: usize) -> BTreeSet<String> {
    let (over, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut load = JoinSet::new();
    for number in 0..6 {
        let editor = scene.signed_in_as(Role::Editor).await;
        load.spawn(work(editor, 10 * kill + number, over.clone(), done.clone()));
    }
    while done.load(Ordering::SeqCst) < CHANGES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.portal.signal("KILL");
    end_connections(scene).await;
    scene.portal.ended().await;
    over.store(true, Ordering::SeqCst);
    load.join_all().await.into_iter().flatten().collect()
}

/// In what disk, index and trash do not agree, and what is left over.
async fn differences(scene: &Scene, reader: &Browser) -> String {
    let mut found = files(&scene.files());
    // An upload that was only begun when its row was not there yet: its empty file is swept after a day.
    found.retain(|path, text| !(path.starts_with(".portcullis/uploads/") && text.is_empty()));
    let (hidden, visible): (BTreeSet<String>, BTreeSet<String>) = found
        .keys()
        .cloned()
        .partition(|path| path.starts_with('.'));
    let items = reader.get("/api/items?per_page=500").await.expect(200);
    let mut listed = BTreeSet::new();
    for item in items.json().as_array().unwrap() {
        let path = item["path"].as_str().unwrap();
        // The checksum is listed once the row is about this content.
        let is_known = found.get(path).is_some_and(|text| {
            let version = whole(text).map(|(_, version)| version.to_string());
            item["sha256"] == sha256(text.as_bytes())
                && item["title"].as_str() == version.as_deref()
        });
        if is_known {
            listed.insert(path.to_owned());
        }
    }
    let trash = sql(scene, "SELECT place FROM dim.trash").await;
    let uploads = "SELECT '.portcullis/uploads/' || id FROM dim.uploads WHERE path IS NULL";
    let may_be = &trash | &sql(scene, uploads).await;
    // Bytes that were told are on the disk; others may be.
    let told = format!("{uploads} AND received > 0");
    let must_be = &trash | &sql(scene, &told).await;
    let begun = sql(
        scene,
        "SELECT source FROM dim.moves_begun WHERE done_at >= 0",
    )
    .await;
    let mut wrong = BTreeMap::from([
        ("begun", begun),
        ("not on the disk", &must_be - &hidden),
        ("left over", &hidden - &may_be),
        ("not known", &visible - &listed),
    ]);
    wrong.retain(|_, paths| !paths.is_empty());
    match wrong.is_empty() {
        true => String::new(),
        false => format!("{wrong:?}"),
    }
}

async fn a_kill(settings: &[(&str, &str)]) {
    let mut scene = Scene::start(settings).await;
    slow_commits(&scene).await;
    let mut answered = BTreeSet::new();
    for kill in 0..KILLS {
        answered.extend(work_and_kill(&mut scene, kill).await);
        grow_old(&scene).await;
        scene.start_again().await;
        is_whole(&scene, &answered).await;
    }
}

async fn is_whole(scene: &Scene, answered: &BTreeSet<String>) {
    let reader = scene.signed_in_as(Role::Reader).await;
    let began = Instant::now();
    loop {
        let differences = differences(scene, &reader).await;
        if differences.is_empty() {
            break;
        }
        assert!(began.elapsed() < HEALED_WITHIN, "{differences}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    let found = files(&scene.files()).into_iter();
    for (path, text) in found.filter(|(path, _)| !path.starts_with(".portcullis/uploads/")) {
        let (name, _) = whole(&text).unwrap_or_else(|| panic!("{path} is not whole"));
        *copies.entry(name).or_default() += 1;
    }
    for name in answered {
        assert_eq!(copies.get(name), Some(&1), "copies of {name}");
    }
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    let deleted = "SELECT subject FROM dim.audit WHERE action = 'deleted'";
    let deleted = sql(scene, deleted).await;
    let origins = sql(scene, "SELECT origin FROM dim.trash").await;
    assert!(origins.is_subset(&deleted), "{origins:?} {deleted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_among_a_hundred_changes_leaves_every_file_whole_and_nothing_over() {
    a_kill(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_kill_among_a_hundred_changes_leaves_every_file_whole_and_nothing_over() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    a_kill(&[("DATABASE_URL", &url)]).await;
}
