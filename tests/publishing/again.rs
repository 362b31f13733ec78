//! A publication that is tried again after a kill stays, whatever the first try left behind.

use std::os::unix::fs::MetadataExt;

use portcullis::roles::Role;

use super::form::Form;
use super::{assert_on_disk, on_disk};
use crate::changing::{nothing_is_begun, rename_folder};
use crate::support::app::TestApp;
use crate::support::on_both;
use crate::uploads;

/// What an instance wrote down that was killed then.
async fn note(app: &TestApp, from: &str, to: &str, aside: Option<&str>) {
    let inode = std::fs::metadata(app.files().join(from)).unwrap().ino();
    let aside = aside.map_or("NULL".to_owned(), |aside| format!("'{aside}'"));
    app.execute(&format!(
        "INSERT INTO dim.moves_begun (id, source, target, inode, begun_at, aside)
         VALUES ('{to}', '{from}', '{to}', '{inode}', 1, {aside})"
    ))
    .await;
}

on_both! {
    async fn an_upload_that_ends_after_a_kill_keeps_its_file(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("old.txt", "old");
        let new = uploads::begin(&editor, "up.txt", 5).await;
        let replacing = uploads::create(&editor, 5, &[("filename", "old.txt"), ("overwrite", "true")]).await;
        let replacing = replacing.expect(201).location().to_owned();
        for (upload, to, aside) in [(&new, "up.txt", None), (&replacing, "old.txt", Some(".portcullis-old-1"))] {
            uploads::patch(&editor, upload, 0, b"hell").await.expect(204);
            let bytes = format!(".portcullis/uploads/{}", upload.rsplit('/').next().unwrap());
            note(&app, &bytes, to, aside).await;
            uploads::patch(&editor, upload, 4, b"o").await.expect(204);
        }
        app.tended().await.unwrap();
        for name in ["up.txt", "old.txt"] {
            assert_eq!(editor.get(&format!("/api/files/{name}")).await.expect(200).body, b"hello", "{name}");
        }
        assert_on_disk(&app, &["old.txt", "up.txt"], "nothing went back");
        assert!(nothing_is_begun(&app).await);
    }

    async fn a_folder_that_is_renamed_leaves_no_half_of_a_publication_behind(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        Form::new().text("folder", "f").file("old.txt", "old").publish(&editor).await.expect(201);
        // Killed when the new content was in its place.
        let (from, aside) = ("f/.portcullis-00000001.part", "f/.portcullis-old-1");
        app.write(from, "new");
        note(&app, from, "f/old.txt", Some(aside)).await;
        let at = |path: &str| app.files().join(path);
        std::fs::hard_link(at("f/old.txt"), at(aside)).unwrap();
        std::fs::rename(at(from), at("f/old.txt")).unwrap();
        rename_folder(&editor, "f", "g").await.expect(200);
        app.tended().await.unwrap();
        assert_eq!(editor.get("/api/files/g/old.txt").await.expect(200).body, b"old");
        assert!(on_disk(&app).iter().eq(["g/old.txt"]), "{:?}", on_disk(&app));
        assert!(nothing_is_begun(&app).await);
    }
}
