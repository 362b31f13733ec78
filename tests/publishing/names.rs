//! Names and titles: what is taken as it is, and what is refused without a trace.

use std::os::unix::fs::symlink;

use portcullis::roles::Role;

use super::form::{Form, file};
use super::{assert_on_disk, problem, published};
use crate::support::app::TestApp;
use crate::support::database::Backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_published_as_they_are() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for name in [
        "two  spaces.txt",
        "Übersicht „Q3“.xlsx",
        "mu\u{308}ller.txt",
        "中文报告.pdf",
        "😀.zip",
        "semi;colon.txt",
        "100%.txt",
        "%2e%2e%2fx",
        "a+b&c=d#e'.txt",
        "-rf",
        "~",
        &format!("{}.txt", "a".repeat(251)),
        &"ü".repeat(127),
    ] {
        let title: String = name.chars().take(200).collect();
        let form = Form::new()
            .text("folder", name)
            .file(name, name)
            .text("title", &title);
        let item = form.publish(&editor).await.expect(201).json();
        assert_eq!(item["path"], format!("{name}/{name}"));
        assert_eq!(item["title"], title);
        let url = item["download_url"].as_str().unwrap();
        assert_eq!(editor.get(url).await.expect(200).text(), name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_in_the_files_name_leads_nowhere() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    // Some browsers of old sent the whole path; its last name is the file's (RFC 7578 section 4.2).
    for (sent, taken) in [
        ("../x1", "x1"),
        ("../../../etc/x2", "x2"),
        ("/etc/x3", "x3"),
        ("a/b/x4", "x4"),
        ("C:\\\\fakepath\\\\x5", "x5"),
        ("..\\\\x6", "x6"),
    ] {
        let item = file(sent, "x").publish(&editor).await.expect(201).json();
        assert_eq!(item["path"], taken, "{sent}");
    }
    assert_on_disk(
        &app,
        &["x1", "x2", "x3", "x4", "x5", "x6"],
        "all in the root",
    );
    let beside: Vec<_> = std::fs::read_dir(app.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        beside
            .iter()
            .all(|name| name == "files" || name.to_str().unwrap().starts_with("portal.db")),
        "{beside:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_cannot_be_are_422_and_leave_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let long = "x".repeat(300);
    for name in [
        "",
        ".",
        "..",
        ".hidden",
        ".portcullis",
        "a/.hidden",
        "a/..",
        "a/",
        "tab\t.txt",
        "\u{85}.txt",
        "\u{9b}31m.txt",
        &long,
        &"ü".repeat(128),
        "...",
        "CON",
        "nul.txt",
        "a:b.txt",
        "what?.txt",
        "<b>.txt",
        "x.",
        "x ",
        " x",
        "\u{202e}fdp.exe",
    ] {
        let sentence = problem(&file(name, "x").publish(&editor).await, 422);
        assert!(sentence.contains("file's name"), "{name:?}: {sentence}");
        assert_on_disk(&app, &[], name);
    }
    for folder in [
        "..",
        ".",
        "../x",
        "a/..",
        "a/../b",
        "a/./b",
        ".hidden",
        "a/.git",
        ".portcullis",
        "a//b",
        "line\nbreak",
        "a\r\nb",
        "nul\0",
        "esc\u{1b}[31m",
        "\u{202e}\u{85}",
        &long,
        &format!("a/{long}"),
        &"a/".repeat(2_001),
        "/../x",
        "a/aux",
        "x./y",
        "a/b*c",
    ] {
        let form = Form::new().text("folder", folder).file("a.txt", "x");
        let sentence = problem(&form.publish(&editor).await, 422);
        assert!(sentence.contains("folder's name"), "{folder:?}: {sentence}");
        assert_on_disk(&app, &[], folder);
    }
    for title in [
        "line\nbreak",
        "a\r\nb",
        "esc\u{1b}",
        "nul\0",
        &"ü".repeat(201),
    ] {
        let form = Form::new().text("title", title).file("a.txt", "x");
        let sentence = problem(&form.publish(&editor).await, 422);
        assert!(sentence.contains("title"), "{title:?}: {sentence}");
        assert_on_disk(&app, &[], title);
    }
    let made: Vec<_> = std::fs::read_dir(app.files())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        made.iter().all(|name| name == ".portcullis"),
        "folders were made: {made:?}"
    );
    assert!(published(&app).await.is_empty());
    assert_eq!(editor.get("/api/items").await.expect(200).text(), "[]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_differs_from_another_only_in_case_or_composition_is_409_and_told() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("Finance/Müller.txt", "stays");
    app.write("Q3: final?/old.", "stays");
    let publish = async |folder: &str, name: &str, overwrite: &str| {
        let form = Form::new()
            .text("folder", folder)
            .text("overwrite", overwrite);
        form.file(name, "x").publish(&editor).await
    };
    for overwrite in ["false", "true"] {
        for (folder, name, told) in [
            ("Finance", "müller.TXT", "Müller.txt"),
            ("Finance", "Mu\u{308}ller.txt", "Müller.txt"),
            ("finance", "a.txt", "Finance"),
            ("FINANCE/2026", "a.txt", "Finance"),
        ] {
            let sentence = problem(&publish(folder, name, overwrite).await, 409);
            assert!(sentence.contains(told), "{folder}/{name}: {sentence}");
            assert_on_disk(&app, &["Finance/Müller.txt", "Q3: final?/old."], name);
        }
    }
    // Another word is another name, and a folder that is there already is taken as it is.
    publish("Finance", "Muller.txt", "false").await.expect(201);
    publish("Q3: final?", "new.txt", "false").await.expect(201);
    publish("Finance", "Müller.txt", "true").await.expect(201);
    // What may not be seen is not told.
    crate::catalogue::rules::rule(&app, "Finance", "admin", "").await;
    app.state.files.rules.forget();
    let sentence = problem(&publish("finance", "a.txt", "false").await, 409);
    assert!(!sentence.contains("Finance"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_made_where_there_is_none_and_surrounding_slashes_mean_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let publish = async |folder: &str, name: &str| {
        let form = Form::new().text("folder", folder).file(name, "x");
        form.publish(&editor).await.expect(201).json()["path"].clone()
    };
    assert_eq!(publish("a/b/c", "1.txt").await, "a/b/c/1.txt");
    assert_eq!(publish("a/b", "2.txt").await, "a/b/2.txt");
    assert_eq!(publish("/a/b/", "3.txt").await, "a/b/3.txt");
    assert_eq!(publish(" ", "4.txt").await, "4.txt");
    assert_eq!(publish("/", "5.txt").await, "5.txt");
    assert_eq!(publish("/etc", "6.txt").await, "etc/6.txt");
    assert_on_disk(
        &app,
        &[
            "4.txt",
            "5.txt",
            "a/b/2.txt",
            "a/b/3.txt",
            "a/b/c/1.txt",
            "etc/6.txt",
        ],
        "made",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_no_folder_and_a_folder_is_no_file() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("file.txt", "stays");
    app.write("folder/inside.txt", "stays");
    for overwrite in ["false", "true"] {
        for (folder, name) in [
            ("file.txt", "a.txt"),
            ("file.txt/deeper", "a.txt"),
            ("", "folder"),
        ] {
            let form = Form::new()
                .text("folder", folder)
                .text("overwrite", overwrite)
                .file(name, "x");
            problem(&form.publish(&editor).await, 409);
            assert_on_disk(&app, &["file.txt", "folder/inside.txt"], folder);
        }
    }
    assert_eq!(
        editor.get("/api/files/file.txt").await.expect(200).text(),
        "stays"
    );
    assert!(published(&app).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_leads_no_publication_out_and_is_itself_what_is_replaced() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    std::fs::create_dir(app.folder().join("beside")).unwrap();
    std::fs::write(app.folder().join("beside/kept.txt"), "kept").unwrap();
    symlink("../beside", app.files().join("out")).unwrap();
    symlink("/", app.files().join("slash")).unwrap();
    std::fs::create_dir_all(app.files().join(".hidden/deep")).unwrap();
    symlink(".hidden/deep", app.files().join("way-in")).unwrap();
    symlink("../beside/kept.txt", app.files().join("kept.txt")).unwrap();
    for overwrite in ["false", "true"] {
        for folder in ["out", "out/new", "slash/tmp", "way-in", "way-in/new"] {
            let form = Form::new()
                .text("folder", folder)
                .text("overwrite", overwrite)
                .file("kept.txt", "x");
            let reply = form.publish(&editor).await;
            let expected: &[u16] = match folder.starts_with("way-in") {
                true => &[404],
                false => &[409, 422],
            };
            assert!(
                expected.contains(&reply.status),
                "{folder}: {}",
                reply.text()
            );
            problem(&reply, reply.status);
        }
    }
    problem(&file("kept.txt", "x").publish(&editor).await, 409);
    let beside: Vec<_> = std::fs::read_dir(app.folder().join("beside"))
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    file("kept.txt", "new")
        .text("overwrite", "true")
        .publish(&editor)
        .await
        .expect(201);
    assert_eq!(
        editor.get("/api/files/kept.txt").await.expect(200).text(),
        "new"
    );
    assert_eq!(
        std::fs::read(app.folder().join("beside/kept.txt")).unwrap(),
        b"kept"
    );
    assert_on_disk(&app, &["kept.txt", "out", "slash", "way-in"], "links");
}
