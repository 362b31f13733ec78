//! Downloads that broke and go on: with `curl -C -` as people do at the command line, with a server or a client that was
//! killed, with a file that was replaced, and after the session ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis::db::Db;
use portcullis::roles::Role;
use portcullis::settings::DatabaseSettings;

use super::noise;
use crate::bad_input::raw;
use crate::support::app::{TestApp, account};
use crate::support::database::Backend;
use crate::support::process::Running;

/// More than the buffers of both sockets hold beside what curl takes until it is stopped.
const LENGTH: usize = 40_000_000;
const DEV: [(&str, &str); 1] = [("DEV_MODE", "true")];

/// curl's own codes (curl(1), "exit codes").
const RANGE_ERROR: i32 = 33;
const HTTP_ERROR: i32 = 22;

/// `curl -C -` into a file.
struct Curl {
    target: PathBuf,
    arguments: Vec<String>,
}

impl Curl {
    fn new(folder: &Path, url: &str, headers: &[&str]) -> Self {
        let target = folder.join("received.bin");
        let mut arguments: Vec<String> = ["--silent", "--fail", "-C", "-", "-o"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(target.display().to_string());
        for header in headers {
            arguments.extend(["-H".to_owned(), (*header).to_owned()]);
        }
        arguments.push(url.to_owned());
        Self { target, arguments }
    }

    /// Runs it to its end; its exit code.
    fn run(&self) -> i32 {
        let status = Command::new("curl").args(&self.arguments).status().unwrap();
        status.code().unwrap()
    }

    /// Runs it slowly, and comes back when it has the beginning.
    async fn begin(&self) -> Child {
        let child = Command::new("curl")
            .args(["--limit-rate", "4M"])
            .args(&self.arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while self.received().len() < 100_000 {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing comes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child
    }

    fn received(&self) -> Vec<u8> {
        std::fs::read(&self.target).unwrap_or_default()
    }

    #[track_caller]
    fn assert_has_the_beginning_of(&self, content: &[u8]) {
        let received = self.received();
        assert!(!received.is_empty() && received.len() < content.len());
        assert!(received == content[..received.len()], "other bytes came");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_goes_on_where_a_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let portal = Running::start(folder.path(), &DEV).await;
    let content = noise(LENGTH);
    std::fs::write(folder.path().join("data/files/big.bin"), &content).unwrap();
    let url = format!("{}/api/files/big.bin", portal.url);
    let curl = Curl::new(folder.path(), &url, &[]);
    let mut child = curl.begin().await;
    portal.signal("KILL");
    assert!(!child.wait().unwrap().success(), "curl noticed nothing");
    curl.assert_has_the_beginning_of(&content);
    drop(portal);

    let portal = Running::start(folder.path(), &DEV).await;
    let url = format!("{}/api/files/big.bin", portal.url);
    assert_eq!(Curl::new(folder.path(), &url, &[]).run(), 0);
    assert!(curl.received() == content, "the halves do not fit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_goes_on_where_it_was_killed_itself_and_both_halves_are_told() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let content = noise(LENGTH);
    app.write("big.bin", &content);
    let cookie = format!("Cookie: {}", raw::cookie(&reader));
    let url = format!("{}/api/files/big.bin", app.url);
    let curl = Curl::new(app.folder(), &url, &[&cookie]);
    let mut child = curl.begin().await;
    child.kill().unwrap();
    child.wait().unwrap();
    curl.assert_has_the_beginning_of(&content);
    let first = app.audited("downloaded").await;
    assert_eq!(first.outcome, "broken_off");
    let had = curl.received().len();
    assert!(first.bytes.unwrap() >= i64::try_from(had).unwrap() - 65_536);

    assert_eq!(curl.run(), 0);
    assert!(curl.received() == content, "the halves do not fit");
    app.eventually("the row of the second half", async || {
        let rows = app.audit().await;
        let range = format!("bytes {had}-{}/{LENGTH}", LENGTH - 1);
        rows.iter()
            .any(|row| row.outcome == "whole" && row.detail.contains(&range))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_mixes_nothing_when_the_file_was_replaced_meanwhile() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let content = noise(LENGTH);
    let file = app.write("big.bin", &content);
    let head = reader
        .send(reqwest::Method::HEAD, "/api/files/big.bin", &[], Vec::new())
        .await
        .expect(200);
    let cookie = format!("Cookie: {}", raw::cookie(&reader));
    let proof = format!("If-Range: {}", head.header("etag"));
    let url = format!("{}/api/files/big.bin", app.url);
    let curl = Curl::new(app.folder(), &url, &[&cookie, &proof]);
    let mut child = curl.begin().await;
    let mut new = content.clone();
    new.reverse();
    std::fs::rename(app.write("new.bin", &new), file).unwrap();
    assert!(!child.wait().unwrap().success(), "curl noticed nothing");
    curl.assert_has_the_beginning_of(&content);
    // The portal answers with the whole new file, and curl says that it cannot go on.
    assert_eq!(curl.run(), RANGE_ERROR);
    curl.assert_has_the_beginning_of(&content);
    std::fs::remove_file(&curl.target).unwrap();
    assert_eq!(curl.run(), 0);
    assert!(curl.received() == new, "not the new file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_gets_a_clean_401_when_the_session_ended_and_goes_on_with_a_new_one() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let content = noise(LENGTH);
    app.write("big.bin", &content);
    let url = format!("{}/api/files/big.bin", app.url);
    let cookie = format!("Cookie: {}", raw::cookie(&reader));
    let curl = Curl::new(app.folder(), &url, &[&cookie]);
    let mut child = curl.begin().await;
    let ended = reader.post("/api/me/sign-out", "application/json", "");
    ended.await.expect(204);
    assert!(!child.wait().unwrap().success(), "the download was not cut");
    let before = curl.received();
    assert_eq!(curl.run(), HTTP_ERROR);
    assert!(curl.received() == before, "the refusal is in the file");

    let again = app.visitor();
    let me = app.sign_in(&again, account(Some(Role::Reader)), "/api/me");
    me.await.expect(200);
    let cookie = format!("Cookie: {}", raw::cookie(&again));
    assert_eq!(Curl::new(app.folder(), &url, &[&cookie]).run(), 0);
    assert!(curl.received() == content, "the halves do not fit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_loses_at_most_the_last_second_of_the_audit() {
    let folder = tempfile::tempdir().unwrap();
    let portal = Running::start(folder.path(), &DEV).await;
    let files = folder.path().join("data/files");
    for name in ["early.txt", "late.txt"] {
        std::fs::write(files.join(name), name).unwrap();
    }
    portal.browser.get("/api/files/early.txt").await.expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    portal.browser.get("/api/files/late.txt").await.expect(200);
    portal.signal("KILL");
    drop(portal);
    let settings = DatabaseSettings::Sqlite {
        path: folder.path().join("data/portcullis.db"),
        is_default: false,
    };
    let db = Db::open(&settings).unwrap();
    let mut conn = db.conn().await.unwrap();
    let rows = portcullis::audit::store::newest(&mut conn, 100).await;
    let rows = rows.unwrap();
    assert!(
        rows.iter().any(|row| row.subject == "early.txt"),
        "{rows:?}"
    );
}
