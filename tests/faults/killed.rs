//! SIGTERM and SIGKILL under load: what was answered is there, and nothing half is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::roles::Role;
use tokio::task::JoinSet;

use super::Scene;
use crate::publishing::form::file;
use crate::support::client::Browser;

/// Publishes until told to stop; the names that were answered with 201.
async fn publish(editor: Browser, number: usize, over: Arc<AtomicBool>) -> Vec<String> {
    let mut answered = Vec::new();
    for round in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("{number}-{round}.txt");
        let form = file(&name, format!("{name} {}", "x".repeat(20_000)));
        match form.try_publish(&editor).await {
            Some(201) => answered.push(name),
            Some(other) => assert!([503].contains(&other), "{other}"),
            None => {}
        }
    }
    answered
}

async fn under_load(signal: &str) {
    let mut scene = Scene::start(&[("SHUTDOWN_GRACE", "5s")]).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for number in 0..4 {
        let editor = scene.signed_in_as(Role::Editor).await;
        load.spawn(publish(editor, number, over.clone()));
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    scene.portal.signal(signal);
    let code = scene.portal.ended().await;
    over.store(true, Ordering::SeqCst);
    assert_eq!(
        code,
        if signal == "TERM" { 0 } else { -1 },
        "{}",
        scene.portal.log()
    );
    let answered: BTreeSet<String> = load.join_all().await.into_iter().flatten().collect();
    assert!(answered.len() > 10, "{} were published", answered.len());

    scene.start_again().await;
    let reader = scene.signed_in_as(Role::Reader).await;
    let mut listed = BTreeSet::new();
    for page in 1.. {
        let items = reader
            .get(&format!("/api/items?per_page=500&page={page}"))
            .await
            .expect(200)
            .json();
        let items = items.as_array().unwrap().clone();
        let names = items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned());
        let before = listed.len();
        listed.extend(names);
        if items.len() < 500 || listed.len() == before {
            break;
        }
    }
    assert!(
        answered.is_subset(&listed),
        "{:?}",
        answered.difference(&listed).collect::<Vec<_>>()
    );
    for entry in std::fs::read_dir(scene.files()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && !name.starts_with('.') {
            let whole = format!("{name} {}", "x".repeat(20_000));
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                whole,
                "{name} is whole"
            );
        }
    }
    let audit = std::process::Command::new("sqlite3")
        .arg(scene.folder.path().join("data/portcullis.db"))
        .arg("SELECT subject FROM audit WHERE action = 'published'")
        .output()
        .unwrap();
    let audit = String::from_utf8(audit.stdout).unwrap();
    let audit: BTreeSet<String> = audit.lines().map(str::to_owned).collect();
    assert!(
        answered.is_subset(&audit),
        "{:?}",
        answered.difference(&audit).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_sigterm_is_there_afterwards() {
    under_load("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_sigkill_is_there_afterwards() {
    under_load("KILL").await;
}
