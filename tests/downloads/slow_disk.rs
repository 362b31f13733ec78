//! A disk that hangs, such as a network share whose server is gone, stops nothing but what is read from it.

use std::time::Duration;

use portcullis::roles::Role;

use crate::bad_input::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::left_out;
use crate::support::slow_disk::{self, SlowDisk};

/// More downloads than may wait for the disk at once.
const DOWNLOADS: u64 = 100;

/// Mounts the disk that hangs as the folder `share`; or says loudly why that is left out.
fn hanging(app: &TestApp) -> Option<SlowDisk> {
    let share = app.files().join("share");
    std::fs::create_dir(&share).unwrap();
    let mounted = SlowDisk::mount(&share, DOWNLOADS);
    mounted.map_err(|why| left_out("fuse", &why)).ok()
}

async fn begin(app: &TestApp, reader: &Browser, number: u64) -> Wire {
    let cookie = raw::cookie(reader);
    let target = format!("/api/files/share/{number}.bin");
    let mut wire = Wire::open(app).await;
    let request = raw::request("GET", target, &[("Cookie", &cookie)]);
    assert!(wire.send(&request).await);
    wire
}

/// Asks for everything that needs no byte of that disk, over new connections, so that each worker has its turn.
async fn assert_the_portal_lives(app: &TestApp, reader: &Browser) {
    for _ in 0..4 {
        for (browser, path) in [
            (&app.visitor(), "/health/live"),
            (reader, "/api/me"),
            (reader, "/api/items?folder=share"),
            (reader, "/?folder=share"),
        ] {
            let fresh = browser.copy();
            let answer = tokio::time::timeout(Duration::from_secs(5), fresh.get(path)).await;
            let answer = answer.unwrap_or_else(|_| panic!("{path} waits for the disk"));
            answer.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_hangs_stops_only_what_is_read_from_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let Some(disk) = hanging(&app) else {
        return;
    };
    let mut wires = Vec::new();
    for number in 0..DOWNLOADS {
        wires.push(begin(&app, &reader, number).await);
    }
    app.eventually("as many reads as may be wait for the disk", async || {
        disk.held_reads() >= portcullis::files::AT_ONCE
    })
    .await;
    assert_the_portal_lives(&app, &reader).await;
    assert_eq!(disk.held_reads(), portcullis::files::AT_ONCE);

    disk.go_on();
    for (number, mut wire) in wires.into_iter().enumerate() {
        let what = number.to_string();
        let answer = wire.answer().await.unwrap().expect(200, &what);
        assert!(answer.body == slow_disk::content(number as u64), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_leave_a_disk_that_hangs_leave_nothing_that_waits_on_a_worker() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let Some(disk) = hanging(&app) else {
        return;
    };
    // HEAD reads nothing, but it opens and closes, and closing waits as well.
    let mut wires = Vec::new();
    for number in 0..8 {
        let target = format!("/api/files/share/{number}.bin");
        let cookie = raw::cookie(&reader);
        let mut wire = Wire::open(&app).await;
        let request = raw::request("HEAD", target, &[("Cookie", &cookie)]);
        assert!(wire.send(&request).await);
        wires.push(wire);
        wires.push(begin(&app, &reader, number).await);
    }
    app.eventually("the disk holds back reads and closings", async || {
        disk.held() >= 16
    })
    .await;
    drop(wires);
    assert_the_portal_lives(&app, &reader).await;
    disk.go_on();
    app.eventually("the downloads are told", async || {
        app.audit()
            .await
            .iter()
            .any(|row| row.action == "downloaded")
    })
    .await;
}
