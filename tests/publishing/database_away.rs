//! A database that is stopped, or stands still, while something is published or changed: 503, the disk as it was, and rows
//! that say what lies there once it is back.

use std::time::{Duration, Instant};

use portcullis::roles::Role;
use serde_json::Value;

use super::form::{Form, file, head};
use crate::bad_input::raw::{self, Wire};
use crate::catalogue::listed;
use crate::changing::{nothing_is_begun, rename, send, visible};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::{self, Backend, Server};
use crate::support::left_out;
use crate::uploads;

const SIZE: usize = 200_000;

fn halt(cluster: &Server, how: &str) {
    match how {
        "stopped" => cluster.stop(),
        _ => cluster.signal("STOP"),
    }
}

fn go_on(cluster: &Server, how: &str) {
    match how {
        "stopped" => cluster.restart(),
        _ => cluster.signal("CONT"),
    }
}

/// The head of a request with the next bytes of an upload.
fn patch_head(browser: &Browser, upload: &str) -> Vec<u8> {
    let cookie = raw::cookie(browser);
    format!(
        "PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
         Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\
         Content-Length: {SIZE}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// The status of the answer, however long the portal waits for its database.
async fn status(wire: &mut Wire) -> u16 {
    let answer = wire.answer().await.expect("hung up without a word");
    answer.status
}

/// What lies on the disk with its content, but for unfinished files.
fn contents(app: &TestApp) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let content = std::fs::read(app.files().join(&path)).unwrap();
        (path, content)
    };
    visible(app).into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_503_and_leaves_no_file_without_its_row_and_no_row_without_its_file() {
    let cluster = match database::private_cluster() {
        Ok(cluster) => cluster,
        Err(why) => return left_out("postgres", &why),
    };
    let url = cluster.empty_database().await;
    let app = TestApp::builder(Backend::Postgres).on(&url).start().await;
    let editor = app.signed_in_as(Role::Editor).await;
    for how in ["stopped", "standing still"] {
        let taken = vec![b'n'; SIZE];
        for name in ["old.txt", "moved.txt", "deleted.txt"] {
            let form = file(name, name)
                .text("overwrite", "true")
                .text("title", name);
            form.publish(&editor).await.expect(201);
        }
        let before = contents(&app);
        let name = format!("{}.bin", how.replace(' ', "-"));
        let upload = uploads::begin(&editor, &name, SIZE).await;

        // In the middle of a form with a new file, of one that replaces, and of an upload.
        let new = file("new.txt", &taken).body();
        let replacing = Form::new()
            .text("overwrite", "true")
            .file("old.txt", &taken);
        let replacing = replacing.body();
        let mut wires = Vec::new();
        for (head, body) in [
            (
                head(&editor, &format!("Content-Length: {}", new.len())),
                &new,
            ),
            (
                head(&editor, &format!("Content-Length: {}", replacing.len())),
                &replacing,
            ),
            (patch_head(&editor, &upload), &taken),
        ] {
            let mut wire = Wire::open(&app).await;
            assert!(wire.send(&head).await && wire.send(&body[..SIZE / 2]).await);
            wires.push((wire, body));
        }
        app.eventually("all three have begun", async || {
            let files = super::on_disk(&app);
            let hidden = files.iter().filter(|path| path.contains(".portcullis"));
            let begun = hidden.filter(|path| !path.contains("/trash/")).count();
            begun == 3
        })
        .await;
        halt(&cluster, how);
        for (number, (wire, body)) in wires.iter_mut().enumerate() {
            assert!(wire.send(&body[SIZE / 2..]).await, "{number} {how}");
        }
        for (number, (wire, _)) in wires.iter_mut().enumerate() {
            assert_eq!(status(wire).await, 503, "request {number}, database {how}");
        }
        // Before a rename and a deletion.
        let renamed = rename(&editor, "moved.txt", "there.txt").await;
        let deleted = send(&editor, "DELETE", "/api/items/deleted.txt", Value::Null).await;
        assert_eq!((renamed.status, deleted.status), (503, 503), "{how}");
        assert!(contents(&app) == before, "{how}: {:?}", visible(&app));

        go_on(&cluster, how);
        let began = Instant::now();
        while editor.get("/api/items").await.status != 200 {
            assert!(began.elapsed() < Duration::from_secs(20), "{how}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        app.eventually("nothing is left half done", async || {
            nothing_is_begun(&app).await
        })
        .await;
        assert!(contents(&app) == before, "{how}: {:?}", visible(&app));
        let (mut paths, _) = listed(&editor, "").await;
        paths.sort();
        assert_eq!(paths, visible(&app), "{how}");
        // Everything works again, and the upload goes on where it was.
        rename(&editor, "moved.txt", "there.txt").await.expect(200);
        rename(&editor, "there.txt", "moved.txt").await.expect(200);
        send(&editor, "DELETE", "/api/items/deleted.txt", Value::Null)
            .await
            .expect(200);
        let mut offset = 0;
        app.eventually("the upload is let go", async || {
            offset = uploads::offset(&editor, &upload).await;
            let rest = &taken[usize::try_from(offset).unwrap()..];
            uploads::patch(&editor, &upload, offset, rest).await.status == 204
        })
        .await;
        assert!(std::fs::read(app.files().join(&name)).unwrap() == taken);
        file("new.txt", "new")
            .text("overwrite", "true")
            .publish(&editor)
            .await
            .expect(201);
        let (mut paths, _) = listed(&editor, "").await;
        paths.sort();
        assert_eq!(paths, visible(&app), "{how}");
    }
}
