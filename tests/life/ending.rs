//! Told to end, the portal lets running work finish, loses nothing that was answered, and exits with 0.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEV;
use crate::support::process::{Running, run};

const SIZE: u64 = 40 << 20;

/// A portal with one large file, and a download of it that was begun.
async fn with_a_download(
    folder: &tempfile::TempDir,
    settings: &[(&str, &str)],
) -> (Running, TcpStream) {
    let mut all = DEV.to_vec();
    all.extend_from_slice(settings);
    let portal = Running::start(folder.path(), &all).await;
    let file = folder.path().join("data/files/large.bin");
    std::fs::File::create(file).unwrap().set_len(SIZE).unwrap();
    let port: u16 = portal.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        "GET /api/files/large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    (portal, stream)
}

/// Downloads in the audit: outcome and bytes of each.
fn downloads(folder: &tempfile::TempDir) -> Vec<String> {
    let database = folder.path().join("data/portcullis.db");
    let query = "SELECT outcome || ' ' || bytes FROM audit WHERE action = 'downloaded'";
    let asked = std::process::Command::new("sqlite3")
        .arg(database)
        .arg(query)
        .output()
        .unwrap();
    String::from_utf8(asked.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_turns_red_no_sign_in_begins_and_a_download_ends_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (mut portal, mut download) = with_a_download(&folder, &[("SHUTDOWN_DELAY", "3s")]).await;
    portal.signal("TERM");
    let began = Instant::now();
    while portal.browser.get("/health/ready").await.status != 503 {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "readiness stays green"
        );
    }
    portal.browser.get("/health/live").await.expect(200);
    portal.browser.get("/api/items").await.expect(200);

    let mut rest = Vec::new();
    download.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() as u64 > SIZE - 1024, "{} bytes", rest.len());
    assert_eq!(portal.ended().await, 0, "{}", portal.log());
    assert_eq!(downloads(&folder), [format!("whole {SIZE}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sign_in_begins_while_the_portal_is_about_to_end() {
    let app = crate::support::app::TestApp::start(crate::support::database::Backend::Sqlite).await;
    app.visitor().navigate("/login").await.expect(303);
    app.state.end();
    let page = app.visitor().navigate("/login").await.expect(503);
    assert!(page.text().contains("being restarted"), "{}", page.text());
    assert_ne!(page.header("retry-after"), "");
    app.visitor().get("/health/ready").await.expect(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_does_not_end_is_cut_after_its_grace_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let (mut portal, _download) = with_a_download(&folder, &[("SHUTDOWN_GRACE", "1s")]).await;
    portal.signal("TERM");
    assert_eq!(portal.ended().await, 0, "{}", portal.log());
    let told = downloads(&folder);
    assert!(
        told.len() == 1 && told[0].starts_with("broken_off"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut portal, _download) = with_a_download(&folder, &[("SHUTDOWN_GRACE", "10min")]).await;
    portal.signal("TERM");
    let began = Instant::now();
    while !portal.log().contains("told to end") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    portal.signal("INT");
    assert_eq!(portal.ended().await, 0, "{}", portal.log());
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(downloads(&folder).len(), 1);
}

#[test]
fn times_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [DEV[0], ("SHUTDOWN_DELAY", "soon"), ("SHUTDOWN_GRACE", "2d")];
    let (code, text) = run(folder.path(), &settings, &[]);
    assert_eq!(code, 1);
    assert!(
        text.contains("SHUTDOWN_DELAY") && text.contains("SHUTDOWN_GRACE"),
        "{text}"
    );
}
