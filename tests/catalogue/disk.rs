//! The index follows the disk, whoever writes there.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant, SystemTime};

use portcullis::roles::Role;

use super::{count, execute, listed, row, shown};
use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::on_both;

/// Waits for the background; nothing here asks for a list, which would look at the disk by itself.
async fn indexed(
    app: &TestApp,
    path: &str,
    is_so: impl Fn(Option<portcullis::index::Item>) -> bool,
) {
    app.eventually(path, async || is_so(row(app, path).await))
        .await;
}

fn set_modified(file: &std::path::Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(time).unwrap();
}

on_both! {
    async fn new_changed_moved_and_removed_files_are_noticed_without_being_asked_for(app: TestApp) {
        app.eventually("the first scan", async || {
            let mut conn = app.db.conn().await.unwrap();
            portcullis::index::state::of(&mut conn).await.unwrap().scanned_at.is_some()
        }).await;
        app.write("stays.txt", "x");
        let file = app.write("a/b/c.txt", "one");
        indexed(&app, "a/b/c.txt", |row| row.is_some_and(|row| row.size == 3 && row.missing_since == 0)).await;
        app.write("a/b/c.txt", "three");
        indexed(&app, "a/b/c.txt", |row| row.is_some_and(|row| row.size == 5)).await;
        // A folder that moves takes all below it along, and is watched under its new name.
        std::fs::rename(app.files().join("a"), app.files().join("z")).unwrap();
        indexed(&app, "z/b/c.txt", |row| row.is_some()).await;
        indexed(&app, "a/b/c.txt", |row| row.is_some_and(|row| row.missing_since > 0)).await;
        app.write("z/b/d.txt", "new");
        indexed(&app, "z/b/d.txt", |row| row.is_some()).await;
        std::fs::remove_dir_all(app.files().join("z")).unwrap();
        for path in ["z/b/c.txt", "z/b/d.txt"] {
            indexed(&app, path, |row| row.is_some_and(|row| row.missing_since > 0)).await;
        }
        drop(file);
    }

    async fn a_list_is_never_behind_the_disk_in_a_portal_of_ordinary_size(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        // Asked for at once, so that no notification can have been faster.
        for number in 0..20 {
            let path = format!("d{number}/e/f.txt");
            let file = app.write(&path, "x");
            assert_eq!(listed(&reader, &format!("?folder=d{number}")).await, (vec![path.clone()], 1));
            assert_eq!(shown(&reader, &format!("/?folder=d{number}%2Fe")).await, ["f.txt"]);
            assert_eq!(shown(&reader, "/?q=f.txt").await, ["f.txt"]);
            std::fs::write(&file, "longer").unwrap();
            let item = reader.get(&format!("/api/items?folder=d{number}")).await.expect(200).json()[0].clone();
            assert_eq!(item["size"], 6);
            std::fs::remove_file(&file).unwrap();
            assert_eq!(listed(&reader, "").await, (Vec::new(), 0));
            assert!(shown(&reader, "/?q=f.txt").await.is_empty());
        }
    }

    async fn a_scan_agrees_with_the_disk_and_writes_nothing_twice(app: TestApp) {
        for number in 0..30 {
            let file = app.write(&format!("d{}/{number}.txt", number % 3), vec![b'x'; number]);
            set_modified(&file, 1_700_000_000 + number as u64);
        }
        app.write(".hidden/x.txt", "x");
        app.write("d0/.git/config", "x");
        symlink("../d1/1.txt", app.files().join("d0/link.txt")).unwrap();
        symlink("d2", app.files().join("d3")).unwrap();
        symlink("/etc", app.files().join("etc")).unwrap();
        app.indexed().await;
        let reader = app.signed_in_as(Role::Reader).await;
        let (paths, total) = listed(&reader, "?per_page=500").await;
        assert_eq!((paths.len(), total), (31, 31), "{paths:?}");
        assert!(paths.contains(&"d0/link.txt".to_owned()));
        assert_eq!(row(&app, "d0/link.txt").await.unwrap().real_folder.as_deref(), Some("d1"));
        let before: Vec<_> = row(&app, "d1/1.txt").await.into_iter().collect();
        app.indexed().await;
        assert_eq!(row(&app, "d1/1.txt").await.map(|row| row.id), before.first().map(|row| row.id));
        // What lies behind a link to a folder is listed once, where it really is.
        assert!(paths.iter().all(|path| !path.starts_with("d3/") && !path.starts_with("etc")));
        assert_eq!(shown(&reader, "/").await, ["d0", "d1", "d2", "d3"]);
        assert_eq!(shown(&reader, "/?folder=d3").await.len(), 10);
    }

    async fn a_file_that_comes_back_has_its_title_owner_and_count_again(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = crate::publishing::form::Form::new().text("folder", "f").text("title", "Kept").file("a.txt", "hello");
        form.publish(&editor).await.expect(201);
        app.write("other.txt", "stays");
        editor.get("/api/files/f/a.txt").await.expect(200);
        app.eventually("the count", async || row(&app, "f/a.txt").await.unwrap().downloads == 1).await;
        let (place, away) = (app.files().join("f"), app.folder().join("away"));
        std::fs::rename(&place, &away).unwrap();
        app.indexed().await;
        assert_eq!(listed(&editor, "").await.0, ["other.txt"]);
        assert!(row(&app, "f/a.txt").await.unwrap().missing_since > 0);
        std::fs::rename(&away, &place).unwrap();
        let item = editor.get("/api/items").await.expect(200).json()[0].clone();
        assert_eq!((&item["title"], &item["downloads"]), (&"Kept".into(), &1.into()));
        assert!(item["owner"].is_string() && item["sha256"].is_string(), "{item}");
    }

    async fn rows_of_missing_files_are_dropped_after_thirty_days_and_not_before(app: TestApp) {
        for name in ["old.txt", "young.txt", "there.txt"] {
            app.write(name, "x");
        }
        app.indexed().await;
        std::fs::remove_file(app.files().join("old.txt")).unwrap();
        std::fs::remove_file(app.files().join("young.txt")).unwrap();
        app.indexed().await;
        let day = 86_400 * portcullis::clock::SECOND;
        for (path, days) in [("old.txt", 31), ("young.txt", 29)] {
            let since = portcullis::clock::now() - days * day;
            execute(&app, &format!("UPDATE dim.items SET missing_since = {since} WHERE path = '{path}'")).await;
        }
        app.indexed().await;
        assert!(row(&app, "old.txt").await.is_none());
        assert!(row(&app, "young.txt").await.is_some() && row(&app, "there.txt").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_notifies_is_found_by_the_next_scan() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("RESCAN_INTERVAL", "1s")
        .start()
        .await;
    app.eventually("the first scan", async || {
        let mut conn = app.db.conn().await.unwrap();
        let known = portcullis::index::state::of(&mut conn).await.unwrap();
        known.scanned_at.is_some()
    })
    .await;
    app.write("there.txt", "x");
    // Behind the portal's back, as on a share whose other clients it does not hear.
    execute(&app, "INSERT INTO dim.items (path, size, modified_at, folder, name, sort_key) VALUES ('ghost.txt', 1, 1, '', 'ghost.txt', 'ghost.txt')").await;
    indexed(&app, "ghost.txt", |row| {
        row.is_some_and(|row| row.missing_since > 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_scans_and_another_takes_over_when_it_is_gone() {
    if database::postgres().is_none() {
        return;
    }
    let first = TestApp::start(Backend::Postgres).await;
    let files = first.files().display().to_string();
    let scanning = async |app: &TestApp| {
        let sql = "SELECT count(*) AS count FROM pg_locks WHERE locktype = 'advisory' AND objid = 1886324226 AND granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        count(app, sql).await
    };
    first
        .eventually("the first holds the lock", async || {
            scanning(&first).await == 1
        })
        .await;
    let second = TestApp::builder(Backend::Postgres)
        .on(&first.database_url)
        .beside(&first.emulator)
        .with("FILES_DIR", &files)
        .start()
        .await;
    assert_eq!(scanning(&second).await, 1, "two hold the lock");
    // The second one's lists are those of the same index, and look at the same disk.
    let reader = second.signed_in_as(Role::Reader).await;
    first.write("a.txt", "a");
    assert_eq!(listed(&reader, "").await.0, ["a.txt"]);
    // What holds the lock is a connection; when the process dies, the server ends it.
    let end = "SELECT count(pg_terminate_backend(pid)) AS count FROM pg_locks WHERE locktype = 'advisory' AND objid = 1886324226
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(count(&second, end).await, 1);
    let began = Instant::now();
    second
        .eventually("somebody holds it again", async || {
            scanning(&second).await == 1
        })
        .await;
    assert!(began.elapsed() < Duration::from_secs(10));
    first.write("b.txt", "b");
    indexed(&second, "b.txt", |row| row.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_folder_is_shown_at_once_and_says_that_it_is_being_read() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let folder = app.folder().join("many");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..5_000 {
        std::fs::write(folder.join(format!("{number:05}.txt")), "").unwrap();
    }
    std::fs::rename(&folder, app.files().join("many")).unwrap();
    let page = reader.navigate("/?folder=many").await.expect(200).text();
    assert_eq!(crate::downloads::page::rows(&page).len(), 100, "{page}");
    // Every one of them is served already, listed or not.
    reader.get("/api/files/many/04999.txt").await.expect(200);
    let total = async || listed(&reader, "?folder=many").await.1;
    assert!(page.contains("is still reading this folder"), "{page}");
    app.eventually("all are listed", async || total().await == 5_000)
        .await;
    app.eventually("the sentence is gone", async || {
        let page = reader.navigate("/?folder=many").await.expect(200).text();
        !page.contains("is still reading this folder")
    })
    .await;
}
