//! A clock that is moved while the portal runs, by libfaketime.

use std::path::Path;

use portcullis::roles::Role;

use super::{Scene, healed};
use crate::support::app::account;
use crate::support::client::Browser;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ends_sessions_and_is_named_and_recovers() {
    if !Path::new(LIBRARY).exists() {
        return crate::support::left_out("faketime", "libfaketime is not installed");
    }
    let clock = tempfile::NamedTempFile::new().unwrap();
    let set = |offset: &str| std::fs::write(clock.path(), offset).unwrap();
    set("+0");
    let scene = Scene::start(&[
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME_TIMESTAMP_FILE", clock.path().to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // Only the time of day jumps; what counts time that has passed goes on.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ])
    .await;
    let reader = scene.signed_in_as(Role::Reader).await;
    reader.get("/api/items").await.expect(200);

    set("+25h");
    healed("a session is over after a day", async || {
        reader.get("/api/items").await.status == 401
    })
    .await;
    let status = scene
        .sign_in(&Browser::new(&scene.portal.url), account(Some(Role::Admin)))
        .await;
    assert_eq!(status, 401, "tokens of yesterday are refused");
    assert!(
        scene
            .portal
            .log()
            .contains("is the clock of this machine right?"),
        "{}",
        scene.portal.log()
    );
    let (_, told) = scene.command(&["doctor"]);
    assert!(told.contains("ahead of Entra's"), "{told}");

    set("-2h");
    healed("a session from the future is none", async || {
        reader.get("/api/items").await.status == 401
    })
    .await;
    set("+0");
    healed("all is well again", async || {
        reader.get("/api/items").await.status == 200
    })
    .await;
    let status = scene
        .sign_in(&Browser::new(&scene.portal.url), account(Some(Role::Admin)))
        .await;
    assert_eq!(status, 200);
}
