//! Checksums and counts, which come after the fact.

use portcullis::roles::Role;
use reqwest::Method;

use super::{execute, row};
use crate::downloads::noise;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::on_both;

fn sha256(content: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// CRC-32 bit by bit, so that nothing of the portal checks itself.
fn crc32(content: &[u8]) -> i64 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    i64::from(!content.iter().fold(u32::MAX, byte))
}

on_both! {
    async fn checksums_are_computed_in_the_background_and_anew_when_the_content_changes(app: TestApp) {
        // Around the size of the pieces in which files are read.
        for (name, size) in [("empty", 0), ("one", 1), ("piece", 2 << 20), ("more", (2 << 20) + 1)] {
            app.write(name, noise(size));
        }
        for (name, size) in [("empty", 0), ("one", 1), ("piece", 2 << 20), ("more", (2 << 20) + 1)] {
            app.eventually(name, async || row(&app, name).await.is_some_and(|row| row.crc32.is_some())).await;
            let row = row(&app, name).await.unwrap();
            assert_eq!(row.sha256, Some(sha256(&noise(size))), "{name}");
            assert_eq!(row.crc32, Some(crc32(&noise(size))), "{name}");
        }
        app.write("one", "another");
        app.eventually("the new checksum", async || row(&app, "one").await.unwrap().sha256 == Some(sha256(b"another"))).await;
        assert_eq!(row(&app, "one").await.unwrap().crc32, Some(crc32(b"another")));
    }

    async fn a_download_counts_once_and_when_its_end_was_sent(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("a.bin", noise(1_000));
        app.indexed().await;
        let range = async |range: &str, status: u16| {
            let headers = [("range", range)];
            reader.send(Method::GET, "/api/files/a.bin", &headers, Vec::new()).await.expect(status);
        };
        reader.get("/api/files/a.bin").await.expect(200);
        // Resumed: the beginning counts nothing, the rest counts the whole.
        range("bytes=0-499", 206).await;
        range("bytes=500-", 206).await;
        reader.send(Method::HEAD, "/api/files/a.bin", &[], Vec::new()).await.expect(200);
        range("bytes=2000-", 416).await;
        reader.get("/api/files/absent.bin").await.expect(404);
        app.eventually("the audit is written", async || {
            app.audit().await.iter().filter(|entry| entry.action == "downloaded").count() == 3
        }).await;
        assert_eq!(row(&app, "a.bin").await.unwrap().downloads, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashing_goes_on_after_a_restart() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.write("a.txt", "a");
    app.eventually("the checksum", async || {
        row(&app, "a.txt")
            .await
            .is_some_and(|row| row.sha256.is_some())
    })
    .await;
    execute(&app, "UPDATE dim.items SET sha256 = NULL, crc32 = NULL").await;
    let again = TestApp::builder(Backend::Sqlite)
        .on(&app.database_url)
        .with("FILES_DIR", &app.files().display().to_string())
        .start()
        .await;
    again
        .eventually("the checksum again", async || {
            row(&again, "a.txt")
                .await
                .is_some_and(|row| row.sha256 == Some(sha256(b"a")))
        })
        .await;
}
