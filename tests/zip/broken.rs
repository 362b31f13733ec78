//! Zips that have to end before their time: a file changes or goes, or the person does.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use portcullis::audit::Actor;
use portcullis::audit::store::Entry;
use portcullis::db::Conn;
use portcullis::roles::Role;
use portcullis::roles::change::{self, ChangeError};

use super::begin;
use crate::catalogue::row;
use crate::downloads::noise;
use crate::support::app::{TestApp, account};
use crate::support::database::Backend;
use crate::support::on_both;

/// More than the buffers of both sockets hold, so that the portal is still reading when the client has the beginning.
const LENGTH: usize = 40_000_000;

/// Begins a zip of `first.txt`, `middle.bin` and `over.txt`, does something while the middle one is sent, and returns
/// all of the rows, oldest first, after the answer ended short.
async fn cut_by(app: &TestApp, act: impl AsyncFnOnce(&Path)) -> Vec<Entry> {
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("z/first.txt", "first");
    app.write("z/middle.bin", noise(LENGTH));
    app.write("z/over.txt", "over");
    let (mut wire, length) = begin(app, &reader, "/api/zip?folder=z").await;
    let mut received = wire.take(2_000).await;
    act(&app.files().join("z")).await;
    received.extend(wire.rest().await);
    assert!((received.len() as u64) < length, "it did not end short");
    let mut rows = Vec::new();
    app.eventually("the row of the file", async || {
        rows = app.audit().await;
        rows.retain(|row| row.action == "downloaded");
        rows.iter().any(|row| row.outcome == "broken_off")
    })
    .await;
    rows.reverse();
    rows
}

#[track_caller]
fn assert_told(rows: &[Entry], expected: &[(&str, &str)], reason: &str) {
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.subject.as_str(), row.outcome.as_str()))
        .collect();
    assert_eq!(told, expected);
    let detail: serde_json::Value = serde_json::from_str(&rows.last().unwrap().detail).unwrap();
    assert_eq!(detail["reason"], reason);
}

const IN_THE_MIDDLE: &[(&str, &str)] = &[("z/first.txt", "whole"), ("z/middle.bin", "broken_off")];
const AT_THE_LAST: &[(&str, &str)] = &[
    ("z/first.txt", "whole"),
    ("z/middle.bin", "whole"),
    ("z/over.txt", "broken_off"),
];

macro_rules! cuts {
    ($(async fn $name:ident($folder:ident): $expected:ident $act:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let app = TestApp::start(Backend::Sqlite).await;
            let rows = cut_by(&app, async |$folder: &Path| $act).await;
            assert_told(&rows, $expected, "file_changed");
        }
    )+};
}

cuts! {
    async fn a_file_that_vanishes_before_its_turn_ends_the_zip_short(folder): AT_THE_LAST {
        std::fs::remove_file(folder.join("over.txt")).unwrap();
    }
    async fn a_file_that_is_replaced_before_its_turn_ends_the_zip_short(folder): AT_THE_LAST {
        std::fs::write(folder.join("new"), "news").unwrap();
        std::fs::rename(folder.join("new"), folder.join("over.txt")).unwrap();
    }
    async fn a_file_that_is_shortened_before_its_turn_ends_the_zip_short(folder): AT_THE_LAST {
        std::fs::write(folder.join("over.txt"), "ov").unwrap();
    }
    async fn a_file_that_becomes_a_link_out_before_its_turn_ends_the_zip_short(folder): AT_THE_LAST {
        std::fs::remove_file(folder.join("over.txt")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.join("over.txt")).unwrap();
    }
    async fn a_file_that_is_removed_while_it_is_sent_ends_the_zip_short(folder): IN_THE_MIDDLE {
        std::fs::remove_file(folder.join("middle.bin")).unwrap();
    }
    async fn a_file_that_is_shortened_while_it_is_sent_ends_the_zip_short(folder): IN_THE_MIDDLE {
        let file = File::options().write(true).open(folder.join("middle.bin")).unwrap();
        file.set_len(LENGTH as u64 / 2).unwrap();
    }
    async fn a_file_that_is_rewritten_in_place_while_it_is_sent_ends_the_zip_short(folder): IN_THE_MIDDLE {
        let file = File::options().write(true).open(folder.join("middle.bin")).unwrap();
        file.write_all_at(&vec![b'x'; LENGTH], 0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_is_not_that_of_its_checksum_ends_the_zip_short() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("z/a.bin", noise(100_000));
    app.indexed().await;
    app.eventually("the checksum", async || {
        row(&app, "z/a.bin")
            .await
            .is_some_and(|row| row.crc32.is_some())
    })
    .await;
    app.execute("UPDATE dim.items SET crc32 = 1").await;
    let (mut wire, length) = begin(&app, &reader, "/api/zip?folder=z").await;
    let received = wire.rest().await;
    assert!((received.len() as u64) < length, "a wrong zip came whole");
    assert_eq!(app.audited("downloaded").await.outcome, "broken_off");
}

on_both! {
    async fn a_role_that_is_withdrawn_cuts_a_running_zip(app: TestApp) {
        let rows = cut_by(&app, async |_: &Path| {
            let actor = Actor::command_line();
            app.db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
                change::revoke(conn, &actor, account(Some(Role::Reader))).await
            }).await.unwrap();
            app.state.people.forget(account(Some(Role::Reader)));
        }).await;
        assert_told(&rows, IN_THE_MIDDLE, "access_withdrawn");
    }
}
