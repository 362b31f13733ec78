//! A full disk is said so, and what was there stays. The disk is a small one in memory, mounted over FILES_DIR,
//! for which the tests have to run as root.

use portcullis::roles::Role;

use super::form::file;
use super::{assert_on_disk, problem, published};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::disk::Disk;
use crate::support::left_out;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_507_and_the_old_file_stays() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    file("old.bin", vec![b'o'; 400_000])
        .publish(&editor)
        .await
        .expect(201);
    for (name, overwrite) in [("new.bin", "false"), ("old.bin", "true")] {
        let form = file(name, vec![b'n'; 3_000_000]).text("overwrite", overwrite);
        let sentence = problem(&form.clone().publish(&editor).await, 507);
        assert!(
            sentence.contains("disk is full") && sentence.contains("unchanged"),
            "{sentence}"
        );
        let page = form.submit(&editor, "/publish").await.expect(507);
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{page:?}"
        );
        assert!(page.text().contains("No space is left"), "{}", page.text());
        assert_on_disk(&app, &["old.bin"], name);
    }
    let old = editor.get("/api/files/old.bin").await.expect(200);
    assert!(old.body == vec![b'o'; 400_000], "the old file changed");
    assert_eq!(published(&app).await.len(), 1);
    // What was taken and refused has made room again.
    file("small.bin", vec![b's'; 400_000])
        .publish(&editor)
        .await
        .expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_for_a_name_is_507_as_well() {
    let app = TestApp::start(Backend::Sqlite).await;
    let _disk = match Disk::mount(&app.files(), "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    std::fs::create_dir(app.files().join(".portcullis")).unwrap();
    app.write("a.txt", "a");
    let mut folders = (0..30).map(|number| app.files().join(format!("d{number}")));
    assert!(
        folders.any(|folder| std::fs::create_dir(folder).is_err()),
        "the disk is larger than it should be"
    );
    problem(&file("new.txt", "x").publish(&editor).await, 507);
    editor.get("/api/files/a.txt").await.expect(200);
    std::fs::remove_dir(app.files().join("d0")).unwrap();
    file("new.txt", "x").publish(&editor).await.expect(201);
}
