//! How much is taken: sizes, kinds, the number of uploads, and the space on the disk.

use portcullis::roles::Role;

use super::{PIECE, ask, begin, create, head, offset, patch};
use crate::bad_input::raw::Wire;
use crate::publishing::form::{self, file};
use crate::publishing::{assert_on_disk, on_disk, problem};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::disk::Disk;
use crate::support::{left_out, on_both};

on_both! {
    async fn one_person_has_a_hundred_unfinished_uploads_at_most(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for number in 0..100 {
            begin(&editor, &format!("{number}.txt"), 1).await;
        }
        let sentence = problem(&create(&editor, 1, &[("filename", "x.txt")]).await, 429);
        assert!(sentence.contains("100"), "{sentence}");
        assert_eq!(on_disk(&app).len(), 100, "nothing is left of the one that was refused");
        let admin = app.signed_in_as(Role::Admin).await;
        let upload = begin(&admin, "another.txt", 1).await;
        patch(&admin, &upload, 0, b"x").await.expect(204);
        // What is over counts no more.
        app.execute("UPDATE dim.uploads SET expires_at = 1").await;
        begin(&editor, "x.txt", 1).await;
    }
}

/// Moves the clock on for all uploads.
async fn hours_later(app: &TestApp, hours: i64) {
    let later = hours * 3600 * portcullis::clock::SECOND;
    app.execute(&format!(
        "UPDATE dim.uploads SET expires_at = expires_at - {later}"
    ))
    .await;
}

on_both! {
    async fn only_bytes_put_off_the_end_of_an_upload(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"he").await.expect(204);
        hours_later(&app, 20).await;
        let left = async || {
            let told = head(&editor, &upload).await.expect(200);
            let expires = portcullis::clock::seconds_of_http_date(told.header("upload-expires")).unwrap();
            // To the nearest hour.
            (expires - portcullis::clock::now() / portcullis::clock::SECOND + 1800) / 3600
        };
        assert_eq!(left().await, 4);
        let none = patch(&editor, &upload, 2, b"").await.expect(204);
        assert_eq!(none.header("upload-expires"), head(&editor, &upload).await.header("upload-expires"));
        assert_eq!(left().await, 4, "put off by a request without bytes");
        // Bytes that do not count put nothing off either: printf x | openssl dgst -sha256 -binary | base64
        let checksum = "sha256 LXEWQrcmsEQBYnypu+2cdJ+t3IBqNyuPZqCBjYWRxJo=";
        let headers = [PIECE, ("upload-offset", "2"), ("upload-checksum", checksum)];
        ask(&editor, "PATCH", &upload, &headers, b"l").await.expect(460);
        assert_eq!(left().await, 4, "put off by bytes that did not count");
        patch(&editor, &upload, 2, b"l").await.expect(204);
        assert_eq!(left().await, 24);
        hours_later(&app, 20).await;
        let published = patch(&editor, &upload, 3, b"lo").await.expect(204);
        assert_ne!(published.header("upload-item"), "");
        assert_eq!(left().await, 24, "what became of it can be asked for a day");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_persons_unfinished_uploads_together_have_an_end_as_well() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("UPLOAD_LIMIT", "1MiB")
        .start()
        .await;
    let editor = app.signed_in_as(Role::Editor).await;
    let begun = async |size, name| create(&editor, size, &[("filename", name)]).await;
    let mut uploads = Vec::new();
    for number in 0..4 {
        uploads.push(begin(&editor, &format!("{number}.bin"), 1_048_576).await);
    }
    let sentence = problem(&begun(1, "more.bin").await, 429);
    assert!(sentence.contains("4.2 MB together"), "{sentence}");
    assert_eq!(
        on_disk(&app).len(),
        4,
        "nothing is left of the one that was refused"
    );
    // Bytes that arrived lie on the disk as well, until the file is published.
    patch(&editor, &uploads[0], 0, &[b'x'; 1_000_000])
        .await
        .expect(204);
    problem(&begun(1, "more.bin").await, 429);
    let admin = app.signed_in_as(Role::Admin).await;
    begin(&admin, "another.bin", 1_048_576).await;
    patch(&editor, &uploads[0], 1_000_000, &[b'x'; 48_576])
        .await
        .expect(204);
    begun(1_048_576, "more.bin").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_is_promised_for_an_hour_and_asked_for_again_after_that() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let silent = begin(&editor, "silent.bin", 600_000).await;
    let other = create(&editor, 600_000, &[("filename", "other.bin")]).await;
    problem(&other, 507);
    hours_later(&app, 2).await;
    let other = begin(&editor, "other.bin", 600_000).await;
    // Now it is the other one's.
    problem(&patch(&editor, &silent, 0, &[b'x'; 600_000]).await, 507);
    assert_eq!(offset(&editor, &silent).await, 0);
    ask(&editor, "DELETE", &other, &[], b"").await.expect(204);
    patch(&editor, &silent, 0, &[b'x'; 600_000])
        .await
        .expect(204);
    assert_on_disk(&app, &["silent.bin"], "published");
}

/// Publishes a form whose length is not told, chunk by chunk; the status.
async fn unannounced(app: &TestApp, editor: &Browser, name: &str, bytes: usize) -> u16 {
    let mut wire = Wire::open(app).await;
    wire.send(&form::head(editor, "Transfer-Encoding: chunked"))
        .await;
    for piece in file(name, vec![b'x'; bytes]).body().chunks(64 * 1024) {
        let size = format!("{:x}\r\n", piece.len());
        let chunk = [size.as_bytes(), piece, b"\r\n"].concat();
        if !wire.send(&chunk).await {
            break;
        }
    }
    wire.send(b"0\r\n\r\n").await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(
        answer.header("content-type"),
        match answer.status {
            201 => "application/json",
            _ => "application/problem+json",
        }
    );
    answer.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_a_length_takes_neither_what_is_promised_nor_what_is_kept_free() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "64m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let upload = begin(&editor, "promised.bin", 40 << 20).await;
    assert_eq!(unannounced(&app, &editor, "large.bin", 30 << 20).await, 507);
    assert_eq!(on_disk(&app).len(), 1, "nothing is left of it");
    assert_eq!(unannounced(&app, &editor, "small.bin", 10 << 20).await, 201);
    ask(&editor, "DELETE", &upload, &[], b"").await.expect(204);
    // A hundredth is kept free for whoever runs the portal.
    let ballast = (64 << 20) - (10 << 20) - 600_000;
    app.write("ballast.bin", vec![0; ballast]);
    assert_eq!(unannounced(&app, &editor, "last.bin", 200_000).await, 507);
    assert_on_disk(&app, &["ballast.bin", "small.bin"], "neither of the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_of_another_kind_is_refused_before_a_byte_travels() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("UPLOAD_LIMIT", "1MiB")
        .with("UPLOAD_KINDS", "pdf, .TXT,tar.gz")
        .start()
        .await;
    let editor = app.signed_in_as(Role::Editor).await;
    let begun = async |size, name| create(&editor, size, &[("filename", name)]).await;
    problem(&begun(1_048_577, "a.pdf").await, 413);
    begun(1_048_576, "a.pdf").await.expect(201);
    for name in ["a.exe", "pdf", ".pdf", "a.pdf.exe", "a.gz", "atxt"] {
        let sentence = problem(&begun(1, name).await, 422);
        let names = sentence.contains(".pdf, .txt, .tar.gz") || sentence.contains("name");
        assert!(names, "{name}: {sentence}");
        problem(&file(name, "x").publish(&editor).await, 422);
    }
    for name in ["A.PDF", "b.tar.gz", "c.Txt"] {
        begun(1, name).await.expect(201);
        file(name, "x").publish(&editor).await.expect(201);
    }
    // Nor by another name afterwards.
    let named = [
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
    ];
    let body = br#"{"path": "A.exe"}"#.to_vec();
    let renamed = editor
        .send(reqwest::Method::PATCH, "/api/items/A.PDF", &named, body)
        .await;
    problem(&renamed, 422);
    let page = file("a.exe", "x").submit(&editor, "/publish").await;
    assert!(page.expect(422).text().contains(".pdf, .txt, .tar.gz"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_on_the_disk_is_507_before_a_byte_travels() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let begun = async |size, name| create(&editor, size, &[("filename", name)]).await;
    problem(&begun(1_048_576, "all.bin").await, 507);
    assert_on_disk(&app, &[], "nothing is left");
    let upload = begun(600_000, "a.bin").await.expect(201);
    // What was promised counts as taken, for every way in.
    problem(&begun(600_000, "b.bin").await, 507);
    problem(&file("c.bin", vec![0; 600_000]).publish(&editor).await, 507);
    patch(&editor, upload.location(), 0, &[b'x'; 600_000])
        .await
        .expect(204);
    begun(300_000, "b.bin").await.expect(201);
    assert_eq!(on_disk(&app).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_others_fill_meanwhile_is_507_and_the_upload_goes_on_later() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let upload = begin(&editor, "a.bin", 600_000).await;
    let ballast = app.write("ballast.bin", vec![0; 700_000]);
    problem(&patch(&editor, &upload, 0, &[b'x'; 600_000]).await, 507);
    std::fs::remove_file(ballast).unwrap();
    let offset = super::offset(&editor, &upload).await;
    let rest = vec![b'x'; 600_000 - usize::try_from(offset).unwrap()];
    patch(&editor, &upload, offset, &rest).await.expect(204);
    let sent = editor.get("/api/files/a.bin").await.expect(200);
    assert!(sent.body == vec![b'x'; 600_000]);
    assert_on_disk(&app, &["a.bin"], "published");
}
