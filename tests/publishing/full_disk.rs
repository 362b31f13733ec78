//! A full disk is said so, and what was there stays; and a folder that is a disk of its own takes files as well. The disk
//! is a small one in memory, for which the tests have to run as root.

use portcullis::roles::Role;

use super::form::{Form, file};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_another_disk_takes_files_whatever_the_order_of_the_fields() {
    let app = TestApp::start(Backend::Sqlite).await;
    let share = app.files().join("share");
    std::fs::create_dir(&share).unwrap();
    let _disk = match Disk::mount(&share, "1m", 20) {
        Ok(disk) => disk,
        Err(why) => return left_out("tmpfs", &why),
    };
    let editor = app.signed_in_as(Role::Editor).await;
    let folder_first = |name: &str, content: &[u8]| {
        let form = Form::new().text("folder", "share/new");
        form.text("overwrite", "true").file(name, content)
    };
    let folder_last = |name: &str, content: &[u8]| {
        let form = Form::new().file(name, content).text("overwrite", "true");
        form.text("folder", "share/new")
    };
    for content in [b"first", b"again"] {
        folder_first("a.txt", content)
            .publish(&editor)
            .await
            .expect(201);
        folder_last("b.txt", content)
            .publish(&editor)
            .await
            .expect(201);
        for name in ["a.txt", "b.txt"] {
            let sent = editor.get(&format!("/api/files/share/new/{name}")).await;
            assert_eq!(sent.expect(200).body, content, "{name}");
        }
    }
    let large = vec![b'x'; 3_000_000];
    problem(&folder_first("a.txt", &large).publish(&editor).await, 507);
    problem(&folder_last("b.txt", &large).publish(&editor).await, 507);
    // Several at once say the same by their status.
    let several = Form::new().file("c.bin", &large).file("d.bin", &large);
    let several = several.text("folder", "share/new");
    let page = several.submit(&editor, "/publish").await.expect(507).text();
    assert!(page.contains("0 of 2 files were published"), "{page}");
    assert!(page.contains("disk is full"), "{page}");
    assert_on_disk(&app, &["share/new/a.txt", "share/new/b.txt"], "two disks");
    assert_eq!(std::fs::read(share.join("new/b.txt")).unwrap(), b"again");
}
