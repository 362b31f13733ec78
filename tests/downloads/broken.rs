//! Downloads that have to end before their time, and those that must not: the file changes, the person goes, the
//! database goes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use portcullis::audit::Actor;
use portcullis::audit::store::Entry;
use portcullis::db::Conn;
use portcullis::roles::Role;
use portcullis::roles::change::{self, ChangeError};

use super::noise;
use crate::bad_input::raw::{self, Wire};
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// More than the buffers of both sockets hold, so that the portal is still reading when the client has the beginning.
const LENGTH: usize = 40_000_000;

/// A download of `big.bin` that is under way: its client has the beginning and takes no more until it is told to.
struct Download {
    wire: Wire,
    body: Vec<u8>,
}

impl Download {
    async fn begin(app: &TestApp, browser: &Browser, headers: &[(&str, &str)]) -> Self {
        let mut wire = Wire::open(app).await;
        let cookie = raw::cookie(browser);
        let headers = [&[("Cookie", cookie.as_str())], headers].concat();
        let request = raw::request("GET", "/api/files/big.bin", &headers);
        assert!(wire.send(&request).await);
        let mut body = wire.take(2_000).await;
        let end = body
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        body.drain(..end + 4);
        Self { wire, body }
    }

    /// All of the body that comes until the connection is closed.
    async fn rest(mut self) -> Vec<u8> {
        self.body.extend(self.wire.rest().await);
        self.body
    }
}

fn big(app: &TestApp) -> (PathBuf, Vec<u8>) {
    let content = noise(LENGTH);
    (app.write("big.bin", &content), content)
}

/// The beginning of the content and nothing else.
#[track_caller]
fn assert_short(received: &[u8], content: &[u8]) {
    assert!(received.len() < content.len(), "it did not end short");
    assert!(
        *received == content[..received.len()],
        "other bytes are mixed in"
    );
}

/// The row of a download that was broken off.
async fn row(app: &TestApp) -> (Entry, serde_json::Value) {
    let mut found = None;
    app.eventually("the row of the download", async || {
        let rows = app.audit().await;
        found = rows.into_iter().find(|row| row.outcome == "broken_off");
        found.is_some()
    })
    .await;
    let row = found.unwrap();
    let detail = serde_json::from_str(&row.detail).unwrap();
    (row, detail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_while_it_is_sent_ends_the_answer_short() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    let new = app.write("new.bin", noise(LENGTH + 1));
    std::fs::rename(new, file).unwrap();
    assert_short(&download.rest().await, &content);
    assert_eq!(row(&app).await.1["reason"], "file_changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_removed_while_it_is_sent_ends_the_answer_short() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    std::fs::remove_file(file).unwrap();
    assert_short(&download.rest().await, &content);
    assert_eq!(row(&app).await.1["reason"], "file_changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_shortened_while_it_is_sent_ends_the_answer_short_and_is_not_padded() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(LENGTH as u64 / 2 + 123).unwrap();
    assert_short(&download.rest().await, &content);
    assert_eq!(row(&app).await.1["reason"], "file_changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_rewritten_in_place_while_it_is_sent_ends_the_answer_short_and_is_not_mixed()
{
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    let file = File::options().write(true).open(file).unwrap();
    file.write_all_at(&vec![b'x'; LENGTH], 0).unwrap();
    assert_short(&download.rest().await, &content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_grows_while_it_is_sent_ends_the_answer_short() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    let file = File::options().write(true).open(file).unwrap();
    file.write_all_at(b"more", LENGTH as u64).unwrap();
    assert_short(&download.rest().await, &content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_under_way_ends_short_as_well_and_resumes_with_the_new_file() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (file, content) = big(&app);
    let whole = reader.get("/api/files/big.bin").await.expect(200);
    let etag = whole.header("etag").to_owned();
    let range = [("Range", "bytes=1000-"), ("If-Range", etag.as_str())];
    let download = Download::begin(&app, &reader, &range).await;
    let new = app.write("new.bin", "new");
    std::fs::rename(new, file).unwrap();
    assert_short(&download.rest().await, &content[1_000..]);
    let again = Download::begin_small(&app, &reader, &range).await;
    assert_eq!(again, "new", "the browser gets the new file from its start");
}

impl Download {
    async fn begin_small(app: &TestApp, browser: &Browser, headers: &[(&str, &str)]) -> String {
        let cookie = raw::cookie(browser);
        let headers = [&[("Cookie", cookie.as_str())], headers].concat();
        let request = raw::request("GET", "/api/files/big.bin", &headers);
        let answer = raw::ask(app, &request).await.unwrap();
        answer.expect(200, "big.bin").text()
    }
}

on_both! {
    async fn a_role_that_is_withdrawn_cuts_a_running_download(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let (_, content) = big(&app);
        let download = Download::begin(&app, &reader, &[]).await;
        let other = app.signed_in_as(Role::Admin).await;
        let goes_on = Download::begin(&app, &other, &[]).await;
        let actor = Actor::command_line();
        app.db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::revoke(conn, &actor, account(Some(Role::Reader))).await
        }).await.unwrap();
        app.eventually("the portal knows", async || reader.get("/api/items").await.status == 403).await;
        assert_short(&download.rest().await, &content);
        let (row, detail) = row(&app).await;
        assert_eq!(row.actor, account(Some(Role::Reader)));
        assert_eq!(detail["reason"], "access_withdrawn");
        assert!(goes_on.rest().await == content, "another person's download was cut");
    }

    async fn a_session_that_is_ended_cuts_its_downloads_and_a_lesser_role_does_not(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let (_, content) = big(&app);
        let goes_on = Download::begin(&app, &editor, &[]).await;
        app.grant(account(Some(Role::Editor)), Role::Reader).await;
        app.eventually("the portal knows", async || editor.get("/publish").await.status == 403).await;
        assert!(goes_on.rest().await == content, "a reader may download, too");

        let download = Download::begin(&app, &editor, &[]).await;
        editor.post("/api/me/sign-out", "application/json", "").await.expect(204);
        assert_short(&download.rest().await, &content);
        assert_eq!(row(&app).await.1["reason"], "access_withdrawn");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_runs_goes_on_while_the_database_is_away() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return crate::support::left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    // Nothing may be remembered, so that the portal would have to ask again for each piece.
    let app = TestApp::builder(Backend::Postgres)
        .on(&url)
        .with("ROLE_CACHE_TTL", "0s")
        .start()
        .await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (_, content) = big(&app);
    let download = Download::begin(&app, &reader, &[]).await;
    cluster.signal("STOP");
    app.eventually("the heartbeat misses the database", async || {
        app.visitor().get("/health/ready").await.status == 503
    })
    .await;
    reader.get("/api/files/big.bin").await.expect(503);
    let received = download.rest().await;
    cluster.signal("CONT");
    assert!(received == content, "the download did not go on");
    app.eventually("the portal opens again", async || {
        reader.get("/api/items").await.status == 200
    })
    .await;
    assert_eq!(app.audited("downloaded").await.outcome, "whole");
}
