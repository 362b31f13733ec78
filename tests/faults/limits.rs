//! Full disks and descriptors that run out.

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
    let url = format!("sqlite://{}", disk.path().join("portal.db").display());
    let scene = Scene::start(&[("DATABASE_URL", &url)]).await;
    let editor = scene.signed_in_as(Role::Editor).await;
    let ballast = disk.path().join("ballast");
    // Until the last page is taken.
    let _ = std::fs::write(&ballast, vec![0; 8_000_000]);
    healed("changes are refused", async || {
        let reply = file("new.txt", "x".repeat(100_000)).publish(&editor).await;
        assert!(
            [201, 409, 503, 507].contains(&reply.status),
            "{}",
            reply.text()
        );
        [503, 507].contains(&reply.status)
    })
    .await;
    let refused = file("refused.txt", "x").publish(&editor).await;
    let is_there = scene.files().join("refused.txt").exists();
    assert_eq!(refused.status == 201, is_there, "{}", refused.text());
    std::fs::remove_file(&ballast).unwrap();
    healed("changes are taken", async || {
        let reply = file("after.txt", "x").publish(&editor).await;
        [201, 409].contains(&reply.status)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_that_run_out_are_waited_for_and_nobody_is_let_in_by_it() {
    let scene = Scene::start(&[]).await;
    std::fs::write(scene.files().join("a.txt"), "a").unwrap();
    let reader = scene.signed_in_as(Role::Reader).await;
    let pid = scene.portal.child.id().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={}", open + 40)])
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
