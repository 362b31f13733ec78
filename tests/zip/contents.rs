//! What is in a zip, and under which names and times.

use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use portcullis::roles::Role;
use reqwest::Method;

use super::{keep, names, program, read, select};
use crate::bad_input::raw;
use crate::catalogue::row;
use crate::downloads::noise;
use crate::support::on_both;

const DESCRIPTOR: u64 = 1 << 3;
const UTF8: u64 = 1 << 11;

on_both! {
    async fn a_folder_arrives_whole_as_a_zip_that_independent_programs_read(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let contents = [
            ("Finance/2026/report.pdf", noise(300_000)),
            ("Finance/2026/Q3/Übersicht „Q3“ 📎.xlsx", noise(70_000)),
            ("Finance/2026/Q3/deep/er/日本語.txt", b"x".to_vec()),
            ("Finance/2026/empty.txt", Vec::new()),
            ("Finance/2026/piece.bin", noise(65_536)),
            ("Finance/2026/piece and one.bin", noise(65_537)),
        ];
        for (path, content) in &contents {
            let file = app.write(path, content);
            let file = std::fs::File::options().write(true).open(file).unwrap();
            // An odd second, which the time of MS-DOS cannot tell.
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_001)).unwrap();
        }
        app.write("Finance/other.txt", "not in it");
        app.write("Finance/2026 b/other.txt", "not in it");
        let reply = reader.get("/api/zip?folder=Finance%2F2026").await.expect(200);
        assert_eq!(reply.header("content-disposition"), "attachment; filename=\"2026.zip\"");
        assert_eq!(reply.header("accept-ranges"), "none");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        let file = keep(&app, &reply);
        let entries = read(&file);
        assert!(entries.iter().all(|entry| entry.flags & UTF8 != 0), "{entries:?}");
        assert_eq!(entries.len(), contents.len());
        let target = app.folder().join("unpacked");
        program("unzip", &["-qq", "-d", target.to_str().unwrap()], &file);
        for (path, content) in &contents {
            let path = target.join(path.strip_prefix("Finance/2026/").unwrap());
            assert!(std::fs::read(&path).unwrap() == *content, "{}", path.display());
            let modified = path.metadata().unwrap().modified().unwrap();
            assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(1_000_000_001), "{}", path.display());
        }
    }

    async fn a_selection_holds_what_was_selected_once_relative_to_what_all_of_it_lies_in(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for path in ["a/b/x.txt", "a/b/y.txt", "a/b/c/z.txt", "a/b/c/d/z.txt", "a/other.txt", "top.txt"] {
            app.write(path, path);
        }
        let selected = ["a/b/x.txt", "a/b/c", "a/b/c/z.txt", "a/b/x.txt"];
        let reply = select(&reader, &selected).await.expect(200);
        assert_eq!(reply.header("content-disposition"), "attachment; filename=\"b.zip\"");
        let entries = read(&keep(&app, &reply));
        let found: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(found, ["c/d/z.txt", "c/z.txt", "x.txt"]);
        let few = names(&app, &reader, "/api/zip?path=a%2Fb%2Fx.txt&path=top.txt").await;
        assert_eq!(few, ["a/b/x.txt", "top.txt"]);
        let all = names(&app, &reader, "/api/zip?folder=").await;
        assert_eq!(all, ["a/b/c/d/z.txt", "a/b/c/z.txt", "a/b/x.txt", "a/b/y.txt", "a/other.txt", "top.txt"]);
    }

    async fn the_length_is_exact_whether_checksums_are_known_or_not(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        // A path that is too long for the index, so that nobody computes its checksum beforehand.
        let long = format!("z/{0}/{0}/{0}/{0}/{0}", "n".repeat(220));
        for (name, size) in [("small.bin", 1_000), ("large.bin", 200_000)] {
            app.write(&format!("{long}/{name}"), noise(size));
            app.write(&format!("z/{name}"), noise(size));
        }
        app.indexed().await;
        for path in ["z/small.bin", "z/large.bin"] {
            app.eventually(path, async || row(&app, path).await.is_some_and(|row| row.crc32.is_some())).await;
        }
        let reply = reader.get("/api/zip?folder=z").await.expect(200);
        let entries = read(&keep(&app, &reply));
        assert_eq!(entries.len(), 4);
        for entry in entries {
            // Only of a large one whose checksum nobody knew it stands behind the content.
            let expected = entry.name.contains("nnn") && entry.size == 200_000;
            assert_eq!(entry.flags & DESCRIPTOR != 0, expected, "{entry:?}");
        }
        let cookie = raw::cookie(&reader);
        let head = raw::request("HEAD", "/api/zip?folder=z", &[("Cookie", &cookie)]);
        let head = raw::ask(&app, &head).await.unwrap().expect(200, "HEAD");
        assert_eq!(head.body, b"", "a body came with HEAD");
        for name in ["content-length", "content-type", "content-disposition", "accept-ranges"] {
            assert_eq!(head.header(name), reply.header(name), "{name}");
        }
    }

    async fn hidden_files_and_links_are_in_it_as_they_are_in_lists(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let outside = tempfile::NamedTempFile::new().unwrap();
        for path in ["z/a.txt", "z/.hidden", "z/.git/config", "elsewhere/b.txt"] {
            app.write(path, path);
        }
        let link = |target: &std::path::Path, name: &str| symlink(target, app.files().join("z").join(name)).unwrap();
        link("../elsewhere/b.txt".as_ref(), "linked.txt");
        link("../elsewhere".as_ref(), "linked");
        link(outside.path(), "out.txt");
        link("loop".as_ref(), "loop");
        link("..".as_ref(), "up");
        assert_eq!(names(&app, &reader, "/api/zip?folder=z").await, ["a.txt", "linked.txt"]);
        // A folder that is a link is the folder that it leads to, as in the catalogue.
        assert_eq!(names(&app, &reader, "/api/zip?folder=z%2Flinked").await, ["b.txt"]);
        for absent in ["z%2F.hidden", "z%2F.git", "z%2Fout.txt", "z%2Floop", "z%2F..%2Felsewhere", "absent", "%2Fz"] {
            reader.get(&format!("/api/zip?path={absent}")).await.expect(404);
        }
    }

    async fn a_zip_of_nothing_is_refused_with_a_sentence_and_for_people_with_a_page(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        std::fs::create_dir_all(app.files().join("empty/deep/er")).unwrap();
        let none: [&str; 0] = [];
        let problem = select(&reader, &none).await.expect(422);
        assert_eq!(problem.header("content-type"), "application/problem+json");
        assert!(problem.json()["detail"].as_str().unwrap().starts_with("Nothing is selected."));
        for address in ["/api/zip", "/api/zip?x=1", "/api/zip?folder=empty", "/api/zip?path=empty"] {
            let page = reader.navigate(address).await.expect(422);
            assert!(page.header("content-type").starts_with("text/html"), "{address}");
            assert_eq!(page.header("content-disposition"), "");
            assert!(page.text().contains("Tick the files or folders"), "{}", page.text());
            reader.send(Method::HEAD, address, &[], Vec::new()).await.expect(422);
        }
    }

    async fn names_that_could_lead_an_unpacker_elsewhere_do_not(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for name in ["x\\..\\..\\evil.exe", "C:\\evil.exe", "plain.txt", "plain\\.txt", "plain_.txt"] {
            app.write(&format!("z/{name}"), name);
        }
        let mut found = names(&app, &reader, "/api/zip?folder=z").await;
        found.sort();
        assert_eq!(found, ["C:_evil.exe", "plain.txt", "plain_.txt", "plain_.txt_", "x_.._.._evil.exe"]);
    }
}
