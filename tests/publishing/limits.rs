//! UPLOAD_LIMIT: refused early where the size is told, and at the first byte too many where it is not.

use portcullis::roles::Role;

use super::form::{Form, file, head};
use super::{assert_on_disk, problem, published};
use crate::bad_input::raw::{self, Answer, Wire};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;

const LIMIT: usize = 1024 * 1024;

async fn portal() -> (TestApp, Browser) {
    let builder = TestApp::builder(Backend::Sqlite).with("UPLOAD_LIMIT", "1MiB");
    let app = builder.start().await;
    let editor = app.signed_in_as(Role::Editor).await;
    (app, editor)
}

fn assert_too_large(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 413, "{what}: {}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    assert!(
        answer.text().contains("Nothing was published"),
        "{what}: {}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_itself_is_taken_and_one_byte_more_is_413() {
    let (app, editor) = portal().await;
    file("fits.bin", vec![b'x'; LIMIT])
        .publish(&editor)
        .await
        .expect(201);
    for (name, length) in [("one more.bin", LIMIT + 1), ("much.bin", 3 * LIMIT)] {
        let sentence = problem(&file(name, vec![b'x'; length]).publish(&editor).await, 413);
        assert!(sentence.contains("1.0 MB"), "{sentence}");
        assert_on_disk(&app, &["fits.bin"], name);
    }
    let replaced = file("fits.bin", vec![b'y'; LIMIT + 1]).text("overwrite", "true");
    problem(&replaced.publish(&editor).await, 413);
    assert!(std::fs::read(app.files().join("fits.bin")).unwrap() == vec![b'x'; LIMIT]);
    assert_eq!(published(&app).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_length_over_the_limit_is_refused_before_the_bytes_travel() {
    let (app, editor) = portal().await;
    let beginning = file("big.bin", "only the beginning").unfinished();
    for length in ["2000000", "107374182400", "18446744073709551615"] {
        let mut wire = Wire::open(&app).await;
        assert!(
            wire.send(&head(&editor, &format!("Content-Length: {length}")))
                .await
        );
        // The rest never comes, so an answer means that nobody waited for it.
        assert!(wire.send(&beginning).await);
        assert_too_large(&wire.answer().await.unwrap(), length);
        assert_on_disk(&app, &[], length);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_unknown_length_is_stopped_at_the_limit() {
    let (app, editor) = portal().await;
    let chunked = |body: &[u8]| {
        let mut bytes = head(&editor, "Transfer-Encoding: chunked");
        for chunk in body.chunks(50_000) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    let fits = file("fits.bin", vec![b'x'; LIMIT]).body();
    raw::ask(&app, &chunked(&fits))
        .await
        .unwrap()
        .expect(201, "just fits");
    let more = file("more.bin", vec![b'x'; LIMIT + 1]).body();
    assert_too_large(&raw::ask(&app, &chunked(&more)).await.unwrap(), "one more");
    assert_on_disk(&app, &["fits.bin"], "one more");

    // Without any end: the answer comes while the client is still sending.
    let mut wire = Wire::open(&app).await;
    let mut start = head(&editor, "Transfer-Encoding: chunked");
    let body = file("endless.bin", vec![b'x'; LIMIT + 100_000]).body();
    start.extend_from_slice(format!("{:x}\r\n", body.len() + 1_000_000_000).as_bytes());
    wire.send(&start).await;
    wire.send(&body).await;
    assert_too_large(&wire.answer().await.unwrap(), "endless");
    assert_on_disk(&app, &["fits.bin"], "endless");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_fields_have_a_limit_of_their_own() {
    let (app, editor) = portal().await;
    for name in ["title", "folder", "overwrite", "unknown"] {
        let form = Form::new()
            .text(name, &"x".repeat(500_000))
            .file("a.txt", "x");
        problem(&form.publish(&editor).await, 413);
        assert_on_disk(&app, &[], name);
    }
    let many = (0..2_000).fold(Form::new(), |form, _| form.text("unknown", "x"));
    many.file("a.txt", "x").publish(&editor).await.expect(201);
}
