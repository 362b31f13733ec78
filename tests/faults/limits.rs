//! Full disks and descriptors that run out.

use std::collections::BTreeSet;
use std::process::Command;

use portcullis::roles::Role;
use tokio::net::TcpStream;

use super::{Scene, healed};
use crate::publishing::form::file;
use crate::support::app::account;
use crate::support::client::Browser;
use crate::support::disk::Disk;
use crate::support::left_out;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_database_refuses_changes_and_recovers() {
    let disk = tempfile::tempdir().unwrap();
    let _mount = match Disk::mount(disk.path(), "6000k", 100) {
        Ok(mount) => mount,
        Err(why) => return left_out("tmpfs", &why),
    };
    let database = disk.path().join("portal.db");
    let scene =
        Scene::start(&[("DATABASE_URL", &format!("sqlite://{}", database.display()))]).await;
    let editor = scene.signed_in_as(Role::Editor).await;
    let visitor = Browser::new(&scene.portal.url);
    file("old.txt", "old").publish(&editor).await.expect(201);
    let ballast = disk.path().join("ballast");
    // Until the last page is taken.
    let _ = std::fs::write(&ballast, vec![0; 8_000_000]);
    let mut taken = BTreeSet::from(["old.txt".to_owned()]);
    let mut refusals = 0;
    // What was begun while there was room may still be taken; then nothing is, and stays so.
    healed("changes are refused", async || {
        for name in 0..60 {
            let name = format!("new{name}.txt");
            if taken.contains(&name) {
                continue;
            }
            let reply = file(&name, &name).publish(&editor).await;
            match reply.status {
                201 => assert!(taken.insert(name)),
                503 | 507 => {
                    let sentence = reply.json()["detail"].as_str().unwrap().to_owned();
                    assert!(sentence.len() > 30 && sentence.ends_with('.'), "{sentence}");
                    refusals += 1;
                }
                other => panic!("{other}: {}", reply.text()),
            }
        }
        refusals >= 20
    })
    .await;
    let replaced = file("old.txt", "new").text("overwrite", "true");
    let replaced = replaced.publish(&editor).await.status;
    // A sign-in cannot be written down, so nobody is let in; what needs no room goes on.
    let stranger = Browser::new(&scene.portal.url);
    let status = scene.sign_in(&stranger, account(Some(Role::Admin))).await;
    assert!([200, 503, 507].contains(&status), "{status}");
    let inside = stranger.get("/api/me").await.status;
    assert_eq!(inside == 200, status == 200, "{inside} after {status}");
    visitor.get("/api/files/old.txt").await.expect(401);
    let content = editor.get("/api/files/old.txt").await.text();
    assert!(
        [(201, "new"), (503, "old"), (507, "old")].contains(&(replaced, content.as_str())),
        "{replaced}: {content}"
    );

    std::fs::remove_file(&ballast).unwrap();
    healed("changes are taken", async || {
        let reply = file("after.txt", "x").publish(&editor).await;
        [201, 409].contains(&reply.status)
    })
    .await;
    taken.insert("after.txt".to_owned());
    assert_eq!(on_disk(&scene), taken, "no file without its answer");
    assert_eq!(written_down(&database), taken, "no row without its file");
    scene.signed_in_as(Role::Admin).await;
}

/// Names in FILES_DIR.
fn on_disk(scene: &Scene) -> BTreeSet<String> {
    let entries = std::fs::read_dir(scene.files()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Names that both the catalogue and the audit have.
fn written_down(database: &std::path::Path) -> BTreeSet<String> {
    let names = |sql: &str| -> BTreeSet<String> {
        let mut shell = Command::new("sqlite3");
        shell.args(["-cmd", ".timeout 5000"]).arg(database).arg(sql);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let rows = names("SELECT path FROM items WHERE owner IS NOT NULL AND missing_since = 0");
    let told = names("SELECT subject FROM audit WHERE action IN ('published', 'replaced')");
    assert_eq!(
        rows, told,
        "a row of the catalogue has its row in the audit"
    );
    rows
}

/// Numbers of the descriptors that a process holds.
fn descriptors(pid: &str) -> Vec<usize> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_that_run_out_are_waited_for_and_nobody_is_let_in_by_it() {
    let scene = Scene::start(&[]).await;
    std::fs::write(scene.files().join("a.txt"), "a").unwrap();
    let reader = scene.signed_in_as(Role::Reader).await;
    let pid = scene.portal.child.id().to_string();
    let limit = descriptors(&pid).len() + 40;
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={limit}")])
        .status()
        .unwrap();
    assert!(limited.success());
    let port: u16 = scene
        .portal
        .url
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.extend(TcpStream::connect(("127.0.0.1", port)).await);
    }
    healed("there is no descriptor left", async || {
        descriptors(&pid)
            .iter()
            .filter(|number| **number < limit)
            .count()
            == limit
    })
    .await;
    // Whoever gets through while descriptors are short gets an honest answer.
    let visitor = Browser::new(&scene.portal.url);
    for _ in 0..5 {
        let asked = tokio::time::timeout(
            std::time::Duration::from_secs(1),
            visitor.get("/api/files/a.txt"),
        );
        if let Ok(reply) = asked.await {
            assert_eq!(reply.status, 401);
        }
    }
    drop(crowd);
    healed("people are served again", async || {
        let asked = tokio::time::timeout(
            std::time::Duration::from_secs(2),
            reader.get("/api/files/a.txt"),
        );
        asked.await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
    let status = scene
        .sign_in(&Browser::new(&scene.portal.url), account(Some(Role::Admin)))
        .await;
    assert_eq!(status, 200);
}
