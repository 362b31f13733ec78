//! The protocol's rules, one by one.

use portcullis::roles::Role;

use super::{PIECE, ask, begin, create, head, metadata, offset, patch};
use crate::publishing::{assert_on_disk, on_disk, problem, published, row};
use crate::support::app::account;
use crate::support::on_both;

/// `printf hello | sha256sum`
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

on_both! {
    async fn a_file_sent_in_pieces_is_published_with_its_last_byte(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let pairs = [("filename", "Bericht ü.txt"), ("folder", "Finance/2026"), ("title", "The year"), ("filetype", "text/plain")];
        let begun = create(&editor, 5, &pairs).await.expect(201);
        assert_eq!(begun.header("tus-resumable"), "1.0.0");
        assert_eq!(begun.header("upload-offset"), "0");
        let expires = portcullis::clock::seconds_of_http_date(begun.header("upload-expires")).unwrap();
        let in_seconds = expires - portcullis::clock::now() / portcullis::clock::SECOND;
        assert!((86_000..=86_400).contains(&in_seconds), "{in_seconds}");
        let upload = begun.location().to_owned();

        let told = head(&editor, &upload).await.expect(200);
        for (name, value) in [
            ("upload-offset", "0"), ("upload-length", "5"), ("cache-control", "no-store"), ("tus-resumable", "1.0.0"),
            ("upload-metadata", &metadata(&pairs)), ("upload-item", ""),
        ] {
            assert_eq!(told.header(name), value, "{name}");
        }
        let first = patch(&editor, &upload, 0, b"he").await.expect(204);
        assert_eq!((first.header("upload-offset"), first.header("upload-item")), ("2", ""));
        assert_eq!(offset(&editor, &upload).await, 2);
        assert!(!app.files().join("Finance").exists());
        let second = patch(&editor, &upload, 2, b"l").await.expect(204);
        assert_eq!(second.header("upload-offset"), "3");
        let last = patch(&editor, &upload, 3, b"lo").await.expect(204);
        assert_eq!(last.header("upload-offset"), "5");
        assert_eq!(last.header("upload-item"), "/api/files/Finance/2026/Bericht%20%C3%BC.txt");
        assert_eq!(editor.get(last.header("upload-item")).await.expect(200).text(), "hello");

        assert_on_disk(&app, &["Finance/2026/Bericht ü.txt"], "nothing hidden is left");
        let row = row(&app, "Finance/2026/Bericht ü.txt").await.unwrap();
        assert_eq!((row.title.as_deref(), row.size, row.sha256.as_deref()), (Some("The year"), 5, Some(HELLO)));
        assert_eq!((row.owner.as_deref(), row.crc32), (Some(account(Some(Role::Editor))), Some(0x3610_a686)));
        let audit = published(&app).await;
        assert_eq!((audit.len(), audit[0].bytes), (1, Some(5)));
        // Whoever did not get the last answer asks again, and learns it.
        let again = head(&editor, &upload).await.expect(200);
        assert_eq!((again.header("upload-offset"), again.header("upload-item")), ("5", last.header("upload-item")));
        let again = patch(&editor, &upload, 5, b"").await.expect(204);
        assert_eq!(again.header("upload-item"), last.header("upload-item"));
        assert_eq!(published(&app).await.len(), 1);
    }

    async fn a_wrong_offset_is_409_and_the_right_one_is_told(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"he").await.expect(204);
        for wrong in [0, 1, 3, 5, 6, u64::MAX] {
            let refused = patch(&editor, &upload, wrong, b"llo").await;
            problem(&refused, 409);
            assert_eq!((refused.header("upload-offset"), refused.header("tus-resumable")), ("2", "1.0.0"), "{wrong}");
            assert_eq!(offset(&editor, &upload).await, 2);
        }
        patch(&editor, &upload, 2, b"llo").await.expect(204);
        assert_eq!(row(&app, "a.txt").await.unwrap().sha256.as_deref(), Some(HELLO));
    }

    async fn a_wrong_checksum_is_460_and_none_of_its_bytes_count(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"he").await.expect(204);
        // printf llo | openssl dgst -sha1 -binary | base64, and the same with -sha256
        let (sha1, sha256) = ("sha1 FetSFarWc0hhpaW7mXI5j96puNA=", "sha256 E9iWNTVX8p5siqxL3mXHQ/Qgbfgg/4MorlZ/kkGJ0zk=");
        let send = async |offset: &str, checksum: &str, bytes: &[u8]| {
            let headers = [PIECE, ("upload-offset", offset), ("upload-checksum", checksum)];
            ask(&editor, "PATCH", &upload, &headers, bytes).await
        };
        for checksum in [sha1, sha256] {
            problem(&send("2", checksum, b"lLo").await, 460);
            problem(&send("2", checksum, b"ll").await, 460);
            assert_eq!(offset(&editor, &upload).await, 2, "{checksum}");
        }
        for wrong in ["md5 gqKP", "sha1", "sha1 !", ""] {
            problem(&send("2", wrong, b"llo").await, 400);
        }
        assert!(published(&app).await.is_empty());
        send("2", sha256, b"llo").await.expect(204);
        assert_eq!(row(&app, "a.txt").await.unwrap().sha256.as_deref(), Some(HELLO));

        let upload = begin(&editor, "b.txt", 3).await;
        let headers = [PIECE, ("upload-offset", "0"), ("upload-checksum", sha1)];
        ask(&editor, "PATCH", &upload, &headers, b"llo").await.expect(204);
        assert_eq!(editor.get("/api/files/b.txt").await.expect(200).text(), "llo");
    }

    async fn bytes_may_come_with_the_creation(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let start = async |name: &str, bytes: &[u8]| {
            let metadata = metadata(&[("filename", name)]);
            let headers = [PIECE, ("upload-length", "5"), ("upload-metadata", metadata.as_str())];
            ask(&editor, "POST", "/api/uploads", &headers, bytes).await
        };
        let begun = start("a.txt", b"hel").await.expect(201);
        assert_eq!(begun.header("upload-offset"), "3");
        patch(&editor, begun.location(), 3, b"lo").await.expect(204);
        let whole = start("b.txt", b"hello").await.expect(201);
        assert_eq!((whole.header("upload-offset"), whole.header("upload-item")), ("5", "/api/files/b.txt"));
        problem(&start("c.txt", b"hello!").await, 413);
        // A file without bytes needs none.
        let empty = create(&editor, 0, &[("filename", "empty.txt")]).await.expect(201);
        assert_eq!(empty.header("upload-item"), "/api/files/empty.txt");
        assert_on_disk(&app, &["a.txt", "b.txt", "empty.txt"], "all three");
        assert_eq!(row(&app, "b.txt").await.unwrap().sha256.as_deref(), Some(HELLO));
    }

    async fn an_upload_that_is_given_up_leaves_nothing(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"he").await.expect(204);
        assert_eq!(on_disk(&app).len(), 1);
        ask(&editor, "DELETE", &upload, &[], b"").await.expect(204);
        assert_on_disk(&app, &[], "given up");
        let gone = head(&editor, &upload).await.expect(404);
        assert_eq!((gone.header("upload-offset"), gone.header("tus-resumable")), ("", "1.0.0"));
        problem(&patch(&editor, &upload, 2, b"llo").await, 404);
        problem(&ask(&editor, "DELETE", &upload, &[], b"").await, 404);
        // What was published stays.
        let upload = begin(&editor, "b.txt", 1).await;
        patch(&editor, &upload, 0, b"x").await.expect(204);
        ask(&editor, "DELETE", &upload, &[], b"").await.expect(204);
        assert_on_disk(&app, &["b.txt"], "published");
    }

    async fn an_upload_that_is_over_is_gone_and_swept_with_its_bytes(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"he").await.expect(204);
        let young = begin(&editor, "b.txt", 5).await;
        app.write(".portcullis/uploads/nobodys", "a leftover").set_old();
        let id = upload.rsplit('/').next().unwrap();
        app.execute(&format!("UPDATE dim.uploads SET expires_at = 1 WHERE id = '{id}'")).await;
        head(&editor, &upload).await.expect(410);
        problem(&patch(&editor, &upload, 2, b"llo").await, 410);
        let swept = portcullis::items::uploads::sweep::sweep(&app.state).await.unwrap();
        assert_eq!((swept, on_disk(&app).len()), (1, 1), "{:?}", on_disk(&app));
        head(&editor, &upload).await.expect(404);
        assert_eq!(offset(&editor, &young).await, 0);
    }

    async fn a_name_that_is_taken_meanwhile_is_409_and_the_upload_can_still_be_published(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"hell").await.expect(204);
        app.write("a.txt", "another");
        let sentence = problem(&patch(&editor, &upload, 4, b"o").await, 409);
        assert!(sentence.contains("a.txt"), "{sentence}");
        // The last byte counts when the file is published: whoever asks sees that something is to be done.
        assert_eq!(offset(&editor, &upload).await, 4);
        problem(&patch(&editor, &upload, 4, b"o").await, 409);
        let finish = async |pairs: &[(&str, &str)]| {
            let metadata = metadata(pairs);
            let headers = [PIECE, ("upload-offset", "4"), ("upload-metadata", metadata.as_str())];
            ask(&editor, "PATCH", &upload, &headers, b"o").await
        };
        problem(&finish(&[("filename", "../a\nb.txt")]).await, 422);
        let other = finish(&[("filename", "b.txt"), ("folder", "new")]).await.expect(204);
        assert_eq!(other.header("upload-item"), "/api/files/new/b.txt");
        assert_eq!(row(&app, "new/b.txt").await.unwrap().sha256.as_deref(), Some(HELLO));
        assert_on_disk(&app, &["a.txt", "new/b.txt"], "both");

        // Known before a byte travels where it is so then; and replaced where that is wanted.
        problem(&create(&editor, 5, &[("filename", "a.txt")]).await, 409);
        let replacing = create(&editor, 5, &[("filename", "a.txt"), ("overwrite", "true")]).await.expect(201);
        patch(&editor, replacing.location(), 0, b"hello").await.expect(204);
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "hello");
    }

    async fn a_publication_that_cannot_be_written_down_leaves_the_upload_and_the_old_file(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("old.txt", "old");
        let begun = create(&editor, 5, &[("filename", "old.txt"), ("overwrite", "true")]).await.expect(201);
        app.execute("ALTER TABLE dim.items RENAME TO items_away").await;
        let refused = patch(&editor, begun.location(), 0, b"hello").await;
        assert!([500, 503].contains(&refused.status), "{}", refused.text());
        assert_eq!(std::fs::read(app.files().join("old.txt")).unwrap(), b"old");
        app.execute("ALTER TABLE dim.items_away RENAME TO items").await;
        assert_eq!(offset(&editor, begun.location()).await, 4);
        patch(&editor, begun.location(), 4, b"o").await.expect(204);
        assert_eq!(std::fs::read(app.files().join("old.txt")).unwrap(), b"hello");
    }
}

on_both! {
    async fn what_is_no_request_of_the_protocol_is_refused_with_a_sentence(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let told = ask(&editor, "OPTIONS", "/api/uploads", &[], b"").await.expect(204);
        for (name, value) in [
            ("tus-version", "1.0.0"), ("tus-max-size", "10737418240"), ("tus-checksum-algorithm", "sha1,sha256"),
            ("tus-extension", "creation,creation-with-upload,termination,expiration,checksum"),
        ] {
            assert_eq!(told.header(name), value);
        }
        let upload = begin(&editor, "a.txt", 5).await;
        let plain = async |method: &str, path: &str, headers: &[(&str, &str)]| {
            editor.send(method.parse().unwrap(), path, headers, Vec::new()).await
        };
        let length = ("upload-length", "5");
        for (method, path) in [("POST", "/api/uploads"), ("PATCH", &upload), ("DELETE", &upload), ("HEAD", &upload)] {
            for version in [&[][..], &[("tus-resumable", "0.2.2")], &[("tus-resumable", "1.0")]] {
                let refused = plain(method, path, version).await.expect(412);
                assert_eq!(refused.header("tus-version"), "1.0.0", "{method}");
            }
        }
        let tus = ("tus-resumable", "1.0.0");
        for headers in [&[tus][..], &[tus, ("upload-defer-length", "1")], &[tus, ("upload-length", "-1")],
            &[tus, ("upload-length", "+5")], &[tus, ("upload-length", "99999999999999999999")],
            &[tus, ("upload-length", "")], &[tus, length, ("upload-metadata", "filename !")]] {
            problem(&plain("POST", "/api/uploads", headers).await, 400);
        }
        for name in ["", ".hidden", "a\u{202e}b"] {
            problem(&create(&editor, 5, &[("filename", name)]).await, 422);
        }
        problem(&create(&editor, 5, &[("filename", "a"), ("folder", "../b")]).await, 422);
        problem(&create(&editor, 5, &[("filename", "a"), ("title", "a\nb")]).await, 422);
        let bytes = |headers: &[(&'static str, &'static str)]| headers.to_vec();
        for (headers, status) in [
            (bytes(&[("upload-offset", "0"), ("sec-fetch-site", "same-origin")]), 415),
            (bytes(&[("upload-offset", "0"), ("content-type", "application/octet-stream")]), 415),
            (bytes(&[PIECE]), 400),
            (bytes(&[PIECE, ("upload-offset", "x")]), 400),
        ] {
            problem(&ask(&editor, "PATCH", &upload, &headers, b"he").await, status);
        }
        assert_eq!(offset(&editor, &upload).await, 0);
        problem(&patch(&editor, &upload, 0, b"hello!").await, 413);
        assert_eq!(offset(&editor, &upload).await, 0);
        assert_eq!(on_disk(&app).len(), 1);
        // For clients that know no PATCH.
        let headers = [PIECE, ("upload-offset", "0"), ("x-http-method-override", "PATCH")];
        ask(&editor, "POST", &upload, &headers, b"hello").await.expect(204);
        problem(&ask(&editor, "POST", &upload, &[("x-http-method-override", "GET")], b"").await, 405);
        assert_on_disk(&app, &["a.txt"], "published");
    }
}

/// Makes a file so old that nobody can still mean to use it.
trait SetOld {
    fn set_old(self);
}

impl SetOld for std::path::PathBuf {
    fn set_old(self) {
        let file = std::fs::File::options().write(true).open(self).unwrap();
        let days = std::time::Duration::from_secs(3 * 86_400);
        file.set_modified(std::time::SystemTime::now() - days)
            .unwrap();
    }
}
