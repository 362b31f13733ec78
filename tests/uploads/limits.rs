//! How much is taken: sizes, kinds, the number of uploads, and the space on the disk.

use portcullis::roles::Role;

use super::{begin, create, patch};
use crate::publishing::form::file;
use crate::publishing::{assert_on_disk, on_disk, problem};
use crate::support::app::TestApp;
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
