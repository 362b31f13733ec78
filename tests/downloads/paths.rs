//! Paths never lead out of FILES_DIR, nor to what is hidden in it. All are sent as they stand, by a bare socket,
//! because URL libraries tidy them up.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::roles::Role;

use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;

const OUTSIDE: &str = "never to be seen: outside";
const HIDDEN: &str = "never to be seen: hidden";

/// A portal whose folder lies between what must not be seen.
async fn portal() -> (TestApp, Browser) {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    std::fs::write(app.folder().join("outside.txt"), OUTSIDE).unwrap();
    std::fs::create_dir(app.folder().join("beside")).unwrap();
    std::fs::write(app.folder().join("beside/outside.txt"), OUTSIDE).unwrap();
    // Begins as FILES_DIR does.
    std::fs::create_dir(app.folder().join("files-not")).unwrap();
    std::fs::write(app.folder().join("files-not/outside.txt"), OUTSIDE).unwrap();
    app.write("a.txt", "a");
    app.write("sub/b.txt", "b");
    app.write(".hidden", HIDDEN);
    app.write("sub/.git/config", HIDDEN);
    app.write(".portcullis/0123.part", HIDDEN);
    (app, reader)
}

async fn assert_absent(app: &TestApp, reader: &Browser, target: impl AsRef<[u8]>) {
    let what = String::from_utf8_lossy(target.as_ref()).into_owned();
    let answer = raw::get(app, reader, target).await.expect(404, &what);
    let text = answer.text();
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    assert!(text.contains("There is nothing here"), "{what}: {text}");
    for seen in ["never to be seen", "root:", app.folder().to_str().unwrap()] {
        assert!(!text.contains(seen), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_leads_out_or_to_what_is_hidden() {
    let (app, reader) = portal().await;
    let answer = raw::get(&app, &reader, "/api/files/sub/b.txt")
        .await
        .expect(200, "b");
    assert_eq!(answer.text(), "b");
    let root = app.files().display().to_string();
    let inside = format!("{root}/a.txt");
    for path in [
        "",
        "/",
        ".",
        "..",
        "sub",
        "sub/",
        "a.txt/",
        "a.txt/.",
        "a.txt/..",
        "./a.txt",
        "sub/./b.txt",
        "sub/../a.txt",
        "sub//b.txt",
        "/a.txt",
        "../outside.txt",
        "../files/a.txt",
        "../files-not/outside.txt",
        "../../outside.txt",
        "sub/../../outside.txt",
        "../../../../../../../../../etc/passwd",
        "%2e%2e/outside.txt",
        "%2E%2E/outside.txt",
        ".%2e/outside.txt",
        "%2e./outside.txt",
        "..%2foutside.txt",
        "..%2Foutside.txt",
        "%2e%2e%2foutside.txt",
        "sub%2fb.txt",
        "sub%2f..%2f..%2foutside.txt",
        "..\\outside.txt",
        "..%5coutside.txt",
        "..%5Coutside.txt",
        "%5c..%5coutside.txt",
        "C:%5cWindows%5cwin.ini",
        "%252e%252e/outside.txt",
        "..%252foutside.txt",
        "%25252e%25252e/outside.txt",
        "..;/outside.txt",
        "....//outside.txt",
        "..././outside.txt",
        "..%00/outside.txt",
        "..%0d/outside.txt",
        "%c0%ae%c0%ae/outside.txt",
        "%c0%ae%c0%ae%c0%afoutside.txt",
        "%e0%80%ae%e0%80%ae/outside.txt",
        "%ef%bc%8e%ef%bc%8e/outside.txt",
        "%u002e%u002e/outside.txt",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "%2fetc/passwd",
        "file:///etc/passwd",
        &inside,
        "a.txt%00",
        "%00a.txt",
        "a.txt%00.pdf",
        "%ff",
        "a%ff.txt",
        "%c3%28.txt",
        "%ed%a0%80.txt",
        "%",
        "%zz",
        "a.txt%",
        "a.txt%2",
        "a.txt%20",
        "A.TXT",
        ".hidden",
        "%2ehidden",
        "%2Ehidden",
        "./.hidden",
        "sub/.git/config",
        "sub/%2egit/config",
        ".portcullis/0123.part",
        "%2eportcullis/0123.part",
        ".portcullis",
        ".portcullis/",
        "..",
        "%2e",
        "%2e%2e",
        &"a/".repeat(3_000),
        &"%2e%2e/".repeat(3_000),
        &"x".repeat(256),
        &"x".repeat(60_000),
    ] {
        assert_absent(&app, &reader, format!("/api/files/{path}")).await;
    }
    // Not below the prefix once it is taken literally.
    for target in [
        "/api/files",
        "/api//files/a.txt",
        "/api/files%2fa.txt",
        "/api/../api/files/a.txt",
    ] {
        assert_absent(&app, &reader, target).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escaped_letter_is_the_letter_and_a_query_is_no_part_of_the_name() {
    let (app, reader) = portal().await;
    for target in [
        "/api/files/%61.txt",
        "/api/files/a.txt?",
        "/api/files/a.txt?/../../outside.txt",
    ] {
        let answer = raw::get(&app, &reader, target).await.expect(200, target);
        assert_eq!(answer.text(), "a", "{target}");
        assert_eq!(
            answer.header("content-disposition"),
            "attachment; filename=\"a.txt\""
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_inside_are_followed_and_links_out_or_to_hidden_things_do_not_exist() {
    let (app, reader) = portal().await;
    let link = |target: &str, name: &str| symlink(target, app.files().join(name)).unwrap();
    link("sub/b.txt", "in.txt");
    link("sub", "in");
    link("../outside.txt", "out.txt");
    link("../beside", "out");
    link("..", "up");
    link("/", "slash");
    link("/etc/passwd", "passwd.txt");
    link("../files-not", "almost");
    link(".hidden", "hidden.txt");
    link("sub/.git", "git");
    link("sub/.git/config", "config.txt");
    link(".portcullis", "room");
    link("/proc/self/fd/0", "fd");
    link("nowhere", "dangling.txt");
    link("circle.txt", "circle.txt");
    link("pong", "ping");
    link("ping", "pong");
    link("out.txt", "twice.txt");
    for (path, content) in [("in.txt", "b"), ("in/b.txt", "b")] {
        let target = format!("/api/files/{path}");
        let answer = raw::get(&app, &reader, target).await.expect(200, path);
        assert_eq!(answer.text(), content, "{path}");
    }
    for path in [
        "out.txt",
        "out",
        "out/outside.txt",
        "up/outside.txt",
        "up/files/a.txt",
        "slash/etc/passwd",
        "passwd.txt",
        "almost/outside.txt",
        "hidden.txt",
        "git/config",
        "config.txt",
        "room/0123.part",
        "fd",
        "dangling.txt",
        "circle.txt",
        "ping",
        "twice.txt",
        "in/.git/config",
        "in",
    ] {
        assert_absent(&app, &reader, format!("/api/files/{path}")).await;
    }
    // The lists show what is served and nothing else.
    let listed = reader.get("/api/items").await.expect(200).json();
    let paths: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].clone())
        .collect();
    assert_eq!(paths, ["a.txt", "in.txt", "sub/b.txt"]);
    let page = reader.navigate("/").await.expect(200).text();
    let shown: Vec<_> = super::page::rows(&page)
        .into_iter()
        .map(|row| row.href)
        .collect();
    assert_eq!(
        shown,
        [
            "/?folder=in",
            "/?folder=sub",
            "/api/files/a.txt",
            "/api/files/in.txt"
        ]
    );
    for folder in [
        "out",
        "up",
        "slash",
        "slash/etc",
        "almost",
        "git",
        "room",
        "..",
        "../beside",
        ".portcullis",
        "sub/.git",
        ".",
        "sub/..",
        "/etc",
        "a.txt",
        "ping",
        "nowhere",
        "sub//",
        "%00",
        "in/.git",
    ] {
        for address in ["/", "/api/items"] {
            let target = format!("{address}?folder={folder}");
            let answer = raw::get(&app, &reader, &target).await;
            // Slashes around a folder's name are taken off: /etc is the folder etc, and sub// is sub.
            if folder == "sub//" {
                answer.expect(200, &target);
                continue;
            }
            let answer = answer.expect(404, &target);
            assert!(!answer.text().contains("outside.txt"), "{target}");
            assert!(!answer.text().contains("passwd"), "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_absent_and_never_waited_for() {
    let (app, reader) = portal().await;
    let pipe = app.files().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(app.files().join("socket")).unwrap();
    symlink("pipe", app.files().join("to pipe")).unwrap();
    symlink("/dev/zero", app.files().join("zero")).unwrap();
    let began = Instant::now();
    for path in ["pipe", "to%20pipe", "socket", "zero"] {
        assert_absent(&app, &reader, format!("/api/files/{path}")).await;
        let folder = format!("/api/items?folder={path}");
        raw::get(&app, &reader, &folder).await.expect(404, &folder);
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it waited for a pipe"
    );
    let listed = reader.get("/api/items").await.expect(200).json();
    let paths: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].clone())
        .collect();
    assert_eq!(paths, ["a.txt", "sub/b.txt"]);
    let page = reader.navigate("/").await.expect(200).text();
    assert_eq!(super::page::rows(&page).len(), 2, "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_utf_8_is_left_out_and_hides_nothing_else() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let (app, reader) = portal().await;
    std::fs::write(app.files().join(OsStr::from_bytes(b"bad\xff.txt")), "x").unwrap();
    std::fs::create_dir(app.files().join(OsStr::from_bytes(b"bad\xfe"))).unwrap();
    assert_absent(&app, &reader, "/api/files/bad%ff.txt").await;
    assert_absent(&app, &reader, "/api/files/bad%EF%BF%BD.txt").await;
    let listed = reader.get("/api/items").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let page = reader.navigate("/").await.expect(200).text();
    assert_eq!(super::page::rows(&page).len(), 2, "{page}");
}
