//! SIGKILL while files are published, replaced, renamed and deleted: afterwards every file is whole and there once, the
//! index and the trash agree with the disk, and nothing is left over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::roles::Role;
use reqwest::Method;
use tokio::task::JoinSet;

use crate::faults::{Scene, healed};
use crate::publishing::form::file;
use crate::support::client::Browser;

const CHANGES: usize = 100;

fn content(name: &str, version: u32) -> String {
    format!("{name} {version} {}", "x".repeat(20_000))
}

/// The name that a file was published under, if it is whole.
fn whole(text: &str) -> Option<String> {
    let (name, rest) = text.split_once(' ')?;
    let version: u32 = rest.split_once(' ')?.0.parse().ok()?;
    (text == content(name, version)).then(|| name.to_owned())
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
        let publish = file(&name, content(&name, 1)).try_publish(&editor).await;
        if publish != Some(201) {
            continue;
        }
        done.fetch_add(1, Ordering::SeqCst);
        answered.push(name.clone());
        let form = file(&name, content(&name, 2)).text("overwrite", "true");
        form.try_publish(&editor).await;
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

fn sql(scene: &Scene, query: &str) -> BTreeSet<String> {
    let output = std::process::Command::new("sqlite3")
        .arg(scene.folder.path().join("data/portcullis.db"))
        .arg(query)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_among_a_hundred_changes_leaves_every_file_whole_and_nothing_over() {
    let mut scene = Scene::start(&[]).await;
    let (over, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut load = JoinSet::new();
    for number in 0..6 {
        let editor = scene.signed_in_as(Role::Editor).await;
        load.spawn(work(editor, number, over.clone(), done.clone()));
    }
    while done.load(Ordering::SeqCst) < CHANGES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.portal.signal("KILL");
    scene.portal.ended().await;
    over.store(true, Ordering::SeqCst);
    let answered: BTreeSet<String> = load.join_all().await.into_iter().flatten().collect();

    scene.start_again().await;
    let reader = scene.signed_in_as(Role::Reader).await;
    healed(
        "disk, index and trash agree, and nothing is left over",
        async || {
            let found = files(&scene.files());
            let (hidden, visible): (BTreeSet<String>, BTreeSet<String>) =
                found.into_keys().partition(|path| path.starts_with('.'));
            let items = reader.get("/api/items?per_page=500").await.expect(200);
            let items = items.json();
            let listed: BTreeSet<String> = items
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["path"].as_str().unwrap().to_owned())
                .collect();
            let trash = sql(&scene, "SELECT place FROM trash");
            let begun = sql(&scene, "SELECT source FROM moves_begun");
            hidden == trash && listed == visible && begun.is_empty()
        },
    )
    .await;
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in files(&scene.files()) {
        let name = whole(&text).unwrap_or_else(|| panic!("{path} is not whole"));
        *copies.entry(name).or_default() += 1;
    }
    for name in &answered {
        assert_eq!(copies.get(name), Some(&1), "copies of {name}");
    }
    assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    let moved = sql(&scene, "SELECT subject FROM audit WHERE action = 'deleted'");
    assert!(moved.len() >= sql(&scene, "SELECT origin FROM trash").len());
}
