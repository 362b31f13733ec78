//! A file system that takes `FINANCE` for `finance`, as Windows' and Apple's do: a rule is not passed by another spelling.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::roles::Role;

use super::rules::rule;
use super::{listed, shown};
use crate::changing::rename;
use crate::publishing::form::Form;
use crate::publishing::problem;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::left_out;

/// An NTFS in a file, mounted without regard to case; gone when this is dropped.
struct Folding(PathBuf);

impl Folding {
    fn mount(place: &Path, image: &Path) -> Result<Self, String> {
        let done = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        };
        std::fs::File::create(image)
            .and_then(|file| file.set_len(8 << 20))
            .map_err(|error| error.to_string())?;
        done(Command::new("mkntfs").args(["-q", "-F"]).arg(image))?;
        let mut mount = Command::new("lowntfs-3g");
        done(mount.args(["-o", "ignore_case"]).arg(image).arg(place))?;
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_spelling_passes_no_rule() {
    let app = TestApp::start(Backend::Sqlite).await;
    let folding = Folding::mount(&app.files(), &app.folder().join("image"));
    let _folding = match folding {
        Ok(folding) => folding,
        Err(why) => return left_out("casefold", &why),
    };
    app.write("finance/2026/secret.txt", "secret");
    app.write("public/a.txt", "a");
    app.indexed().await;
    let (reader, admin) = (
        app.signed_in_as(Role::Reader).await,
        app.signed_in_as(Role::Admin).await,
    );
    assert_eq!(
        reader
            .get("/api/files/FINANCE/2026/Secret.TXT")
            .await
            .expect(200)
            .text(),
        "secret",
        "the file system does not fold"
    );
    rule(&app, "finance/2026", "admin", "").await;
    app.state.files.rules.forget();
    for path in [
        "finance/2026/secret.txt",
        "FINANCE/2026/secret.txt",
        "Finance/2026/SECRET.TXT",
        "finance/2026/SECRET.txt",
    ] {
        let path = format!("/api/files/{path}");
        reader.get(&path).await.expect(404);
        assert!([200, 404].contains(&admin.get(&path).await.status));
    }
    for folder in ["finance/2026", "Finance/2026", "FINANCE"] {
        reader
            .get(&format!("/api/items?folder={folder}"))
            .await
            .expect(404);
    }
    reader.get("/api/files/public/A.txt").await.expect(200);
    assert_eq!(shown(&reader, "/?folder=finance").await, [""; 0]);
    assert_eq!(listed(&reader, "?q=secret").await.1, 0);

    // Publishing, too, and the making of rules.
    let editor = app.signed_in_as(Role::Editor).await;
    for folder in ["finance/2026", "FINANCE/2026", "Finance/2026/new"] {
        let form = Form::new().text("folder", folder).file("x.txt", "x");
        problem(&form.publish(&editor).await, 404);
    }
    let form = "application/x-www-form-urlencoded";
    let reply = admin
        .post("/admin/folders", form, "folder=PUBLIC&role=admin")
        .await;
    assert!(reply.expect(422).text().contains("spelled in another way"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_spelling_of_its_own_name_is_no_name_that_is_taken() {
    let app = TestApp::start(Backend::Sqlite).await;
    let folding = Folding::mount(&app.files(), &app.folder().join("image"));
    let _folding = match folding {
        Ok(folding) => folding,
        Err(why) => return left_out("casefold", &why),
    };
    app.write("a.txt", "hello");
    app.write("other.txt", "other");
    app.indexed().await;
    let editor = app.signed_in_as(Role::Editor).await;
    let sentence = problem(&rename(&editor, "a.txt", "A.txt").await, 409);
    assert!(sentence.contains("something else first"), "{sentence}");
    let sentence = problem(&rename(&editor, "a.txt", "OTHER.txt").await, 409);
    assert!(sentence.contains("already"), "{sentence}");
    rename(&editor, "a.txt", "b.txt").await.expect(200);
    // The system remembers for a second that there was such a name.
    app.eventually("the second step", async || {
        rename(&editor, "b.txt", "A.txt").await.status == 200
    })
    .await;
    // This file system shows all names in small letters, however they were given.
    let names = std::fs::read_dir(app.files()).unwrap();
    let names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().to_ascii_lowercase())
        .collect();
    assert!(names.contains(&"a.txt".into()), "{names:?}");
    assert!(!names.contains(&"b.txt".into()), "{names:?}");
    assert_eq!(
        editor.get("/api/files/A.txt").await.expect(200).text(),
        "hello"
    );
}
