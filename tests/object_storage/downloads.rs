//! Downloads that pass through the portal: bytes, conditions, ranges, rules, and what the audit is told.

use portcullis::roles::Role;
use reqwest::Method;

use super::on_both_storages;
use crate::bad_input::raw::{self, Wire};
use crate::catalogue::rules::rule;
use crate::downloads::{noise, url_of};

on_both_storages! {
    async fn a_file_is_served_from_the_moment_it_is_there_whole_and_in_parts(stored: Stored) {
        let reader = stored.signed_in_as(Role::Reader).await;
        let content = noise(3_000_017);
        for name in ["large.bin", "Finance/Übersicht „Q3“ 100% #1+2?.bin"] {
            reader.get(&url_of(name)).await.expect(404);
            stored.bucket.put(name, content.clone()).await;
            let whole = reader.get(&url_of(name)).await.expect(200);
            assert!(whole.body == content, "{name}: other bytes arrived");
            assert_eq!(whole.header("content-length"), "3000017");
            assert_eq!(whole.header("accept-ranges"), "bytes");
            assert_eq!(whole.header("cache-control"), "private, no-cache");
            assert_eq!(whole.header("x-content-type-options"), "nosniff");
            assert!(whole.header("content-disposition").starts_with("attachment; "));
            let head = reader.send(Method::HEAD, &url_of(name), &[], Vec::new()).await.expect(200);
            assert_eq!(head.header("content-length"), "3000017");
            assert_eq!(head.header("etag"), whole.header("etag"));
            for (range, from, to) in [("bytes=0-0", 0, 1), ("bytes=1000000-1999999", 1_000_000, 2_000_000), ("bytes=-17", 3_000_000, 3_000_017)] {
                let headers = [("range", range), ("if-range", whole.header("etag"))];
                let part = reader.send(Method::GET, &url_of(name), &headers, Vec::new()).await.expect(206);
                assert!(part.body == content[from..to], "{name} {range}");
                assert_eq!(part.header("content-range"), format!("bytes {from}-{}/3000017", to - 1));
            }
            let beyond = reader.send(Method::GET, &url_of(name), &[("range", "bytes=3000017-")], Vec::new()).await;
            assert_eq!(beyond.expect(416).header("content-range"), "bytes */3000017");
        }
        let row = stored.app.audited("downloaded").await;
        assert!(row.subject.ends_with(".bin"), "{}", row.subject);
    }

    // Azure takes a backslash for a slash.
    async fn another_spelling_passes_no_rule(stored: Stored) {
        stored.bucket.put("Finance/secret.pdf", "hidden").await;
        rule(&stored.app, "Finance", "admin", "").await;
        stored.app.state.files.rules.forget();
        let editor = stored.signed_in_as(Role::Editor).await;
        let origin = [("sec-fetch-site", "same-origin")];
        for path in ["Finance%5Csecret.pdf", "Finance./secret.pdf", "Finance/secret.pdf", "Finance%5C%5Csecret.pdf"] {
            for method in [Method::GET, Method::HEAD] {
                editor.send(method, &format!("/api/files/{path}"), &[], Vec::new()).await.expect(404);
            }
            let deleted = editor.send(Method::DELETE, &format!("/api/items/{path}"), &origin, Vec::new()).await;
            deleted.expect(404);
        }
        let admin = stored.signed_in_as(Role::Admin).await;
        assert_eq!(admin.get("/api/files/Finance/secret.pdf").await.expect(200).text(), "hidden");
    }

    async fn conditions_go_by_the_storages_entity_tag(stored: Stored) {
        let reader = stored.signed_in_as(Role::Reader).await;
        stored.bucket.put("a.txt", "one").await;
        let one = reader.get("/api/files/a.txt").await.expect(200);
        let (etag, modified) = (one.header("etag").to_owned(), one.header("last-modified").to_owned());
        assert!(etag.starts_with('"'), "{etag} is not strong");
        assert_eq!(one.header("content-type"), "text/plain; charset=utf-8");
        for (headers, status) in [
            ([("if-none-match", etag.as_str())], 304),
            ([("if-modified-since", modified.as_str())], 304),
            ([("if-match", "\"another\"")], 412),
            ([("if-none-match", "\"another\"")], 200),
        ] {
            reader.send(Method::GET, "/api/files/a.txt", &headers, Vec::new()).await.expect(status);
        }
        stored.bucket.put("a.txt", "two!").await;
        let headers = [("if-none-match", etag.as_str())];
        let two = reader.send(Method::GET, "/api/files/a.txt", &headers, Vec::new()).await.expect(200);
        assert_eq!(two.text(), "two!");
        let headers = [("range", "bytes=0-1"), ("if-range", etag.as_str())];
        let whole = reader.send(Method::GET, "/api/files/a.txt", &headers, Vec::new()).await.expect(200);
        assert_eq!(whole.text(), "two!", "parts of two states are not put together");
        stored.bucket.put("empty.bin", "").await;
        assert_eq!(reader.get("/api/files/empty.bin").await.expect(200).header("content-length"), "0");
    }

    async fn rules_hidden_names_and_strangers_are_as_on_a_disk(stored: Stored) {
        let (admin, reader) = (stored.signed_in_as(Role::Admin).await, stored.signed_in_as(Role::Reader).await);
        for key in ["Board/minutes.txt", ".secret/a.txt", "a/.hidden", "open.txt"] {
            stored.bucket.put(key, "content").await;
        }
        stored.app.indexed().await;
        let rule = "folder=Board&role=admin&people=";
        admin.post("/admin/folders", "application/x-www-form-urlencoded", rule).await.expect(303);
        admin.get("/api/files/Board/minutes.txt").await.expect(200);
        for path in ["/api/files/Board/minutes.txt", "/api/files/.secret/a.txt", "/api/files/a/.hidden", "/api/files/none", "/api/files/Board%2Fminutes.txt"] {
            reader.get(path).await.expect(404);
        }
        let listed = reader.get("/api/items").await.expect(200).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        reader.get("/?folder=Board").await.expect(404);
        reader.get("/?folder=none").await.expect(404);
        let seen = admin.navigate("/?folder=Board").await.expect(200);
        assert!(seen.text().contains("minutes.txt"));
        let visitor = stored.app.visitor();
        assert_eq!(visitor.get("/api/files/open.txt").await.expect(401).body, visitor.get("/api/files/open.txt").await.body);
    }

    async fn a_role_that_is_withdrawn_or_a_client_that_leaves_ends_the_reading(stored: Stored) {
        let reader = stored.signed_in_as(Role::Reader).await;
        let content = noise(48_000_000);
        stored.bucket.put("large.bin", content.clone()).await;
        let cookie = raw::cookie(&reader);
        let head = format!("GET /api/files/large.bin HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");

        let mut leaving = Wire::open(&stored.app).await;
        assert!(leaving.send(head.as_bytes()).await);
        leaving.take(100_000).await;
        drop(leaving);
        let row = stored.app.audited("downloaded").await;
        assert_eq!(row.outcome, "broken_off");
        assert!(row.bytes.is_some_and(|bytes| bytes < 40_000_000), "{:?} were read for nobody", row.bytes);

        let mut withdrawn = Wire::open(&stored.app).await;
        assert!(withdrawn.send(head.as_bytes()).await);
        withdrawn.take(100_000).await;
        stored.app.execute("DELETE FROM dim.user_roles").await;
        stored.app.eventually("the portal noticed", async || reader.get("/api/items").await.status == 403).await;
        assert!(withdrawn.rest().await.len() < 40_000_000, "the rest was sent as well");
        let mut told = None;
        stored.app.eventually("the audit is told", async || {
            let rows = stored.app.audit().await;
            told = rows.into_iter().find(|row| row.detail.contains("access_withdrawn"));
            told.is_some()
        }).await;
    }
}
