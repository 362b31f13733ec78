//! The page: text in the right characters, facts and ways on, and the rules of downloads.

use std::os::unix::fs::symlink;

use portcullis::files::turns::MOST;
use portcullis::roles::Role;
use reqwest::Method;

use super::{looks, url};
use crate::catalogue::row;
use crate::catalogue::rules::rule;
use crate::downloads::names::nasty;
use crate::support::app::account;
use crate::support::on_both;

on_both! {
    async fn text_is_shown_escaped_and_looking_is_told_and_is_no_download(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("Docs/evil.txt", "</pre><script>alert(1)</script>&amp;");
        app.write("Docs/latin.log", b"Gr\xf6\xdfe");
        app.write("Docs/page.html", "<!DOCTYPE html><script>alert(2)</script>");
        app.write("Docs/empty.md", "");
        app.write("Docs/binary.txt", b"PK\x03\x04\x00\x00");
        app.indexed().await;
        let open = async |name: &str| reader.navigate(&url("/preview/", &format!("Docs/{name}"))).await.expect(200).text();
        let page = open("evil.txt").await;
        assert!(page.contains("&#60;/pre&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("href=\"/api/files/Docs/evil.txt\""), "the download link is gone");
        assert!(page.contains("href=\"/?folder=Docs\""), "no way back");
        assert!(open("latin.log").await.contains("<pre tabindex=\"0\">Größe</pre>"));
        assert!(!open("page.html").await.contains("<script"));
        assert!(open("empty.md").await.contains("The file is empty."));
        assert!(open("binary.txt").await.contains("cannot show this kind of file"));
        let rows = looks(&app, 4).await;
        let told: Vec<_> = rows.iter().map(|row| (row.subject.as_str(), row.bytes)).collect();
        assert_eq!(told, [("Docs/evil.txt", Some(36)), ("Docs/latin.log", Some(5)), ("Docs/page.html", Some(40)), ("Docs/empty.md", Some(0))]);
        assert_eq!(rows[0].actor, account(Some(Role::Reader)));
        assert_eq!(row(&app, "Docs/evil.txt").await.unwrap().downloads, 0);
    }

    async fn a_head_tells_nothing_and_a_look_takes_a_turn_as_a_download_does(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("a.txt", "hello");
        app.write("a.bin", "hello");
        app.indexed().await;
        let head = reader.send(Method::HEAD, "/preview/a.txt", &[], Vec::new()).await.expect(200);
        assert_eq!(head.header("content-type"), "text/html; charset=utf-8");
        let page = reader.navigate("/preview/a.txt").await.expect(200);
        assert_eq!(head.header("content-length"), page.body.len().to_string());
        assert_eq!((head.header("cache-control"), page.header("cache-control")), ("no-store", "no-store"));
        assert_eq!(looks(&app, 1).await.len(), 1, "of the HEAD nothing is told");

        let turns = &app.state.files.turns;
        let email = account(Some(Role::Reader));
        let all: Vec<_> = (0..MOST).map(|_| turns.take(email).unwrap()).collect();
        reader.navigate("/preview/a.txt").await.expect(429);
        reader.navigate("/preview/a.bin").await.expect(200);
        drop(all);
        // None of those pages keeps one.
        for _ in 0..3 {
            reader.navigate("/preview/a.txt").await.expect(200);
        }
        app.eventually("all turns are given back", async || {
            let all: Vec<_> = (0..MOST).map_while(|_| turns.take(email).ok()).collect();
            all.len() == MOST
        }).await;
        assert_eq!(looks(&app, 4).await.len(), 4);
    }

    async fn what_the_audit_cannot_take_is_not_shown(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("a.txt", "hello");
        app.state.audit.finish().await;
        let refused = reader.navigate("/preview/a.txt").await.expect(503);
        assert!(!refused.text().contains("hello"), "{}", refused.text());
    }

    async fn a_long_text_is_shown_from_its_beginning_and_says_so(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let content = format!("first line\n{}last line", "ä line between\n".repeat(40_000));
        app.write("long.csv", content);
        let page = reader.navigate("/preview/long.csv").await.expect(200).text();
        assert!(page.contains("first line") && !page.contains("last line"));
        assert!(page.contains("beginning of a longer text"), "it looks as if that were all");
        assert!(page.len() < 300_000, "{}", page.len());
        assert!(!page.contains('\u{fffd}') && !page.contains("Ã"), "the cut broke a character");
    }

    async fn the_files_beside_it_are_one_step_away_as_far_as_one_may_see_them(app: TestApp) {
        for name in ["a.txt", "b.txt", "c.pdf", "d.txt"] {
            app.write(&format!("f/{name}"), name);
        }
        app.write("secret/s.txt", "s");
        symlink("../secret/s.txt", app.files().join("f/bb.txt")).unwrap();
        app.indexed().await;
        rule(&app, "secret", "editor", "").await;
        app.state.files.rules.forget();
        let reader = app.signed_in_as(Role::Reader).await;
        let beside = async |name: &str| {
            let page = reader.navigate(&format!("/preview/f/{name}")).await.expect(200).text();
            let href = |rel: &str| {
                let before = page.split_once(&format!("\" rel=\"{rel}\"")).map(|(before, _)| before);
                before.map(|before| before.rsplit_once("href=\"").unwrap().1.to_owned())
            };
            (href("prev"), href("next"))
        };
        let page = |name: &str| Some(format!("/preview/f/{name}"));
        assert_eq!(beside("a.txt").await, (None, page("b.txt")));
        assert_eq!(beside("b.txt").await, (page("a.txt"), page("c.pdf")));
        assert_eq!(beside("d.txt").await, (page("c.pdf"), None));
    }

    async fn what_may_not_be_downloaded_may_not_be_looked_at(app: TestApp) {
        for path in ["Finance/a.txt", "Finance/a.png", "open/.hidden.txt", "open/b.txt"] {
            app.write(path, "secret");
        }
        symlink("../Finance/a.txt", app.files().join("open/link.txt")).unwrap();
        symlink("/etc/hostname", app.files().join("open/out.txt")).unwrap();
        rule(&app, "Finance", "editor", "").await;
        app.state.files.rules.forget();
        let reader = app.signed_in_as(Role::Reader).await;
        for path in ["Finance/a.txt", "open/.hidden.txt", "open/link.txt", "open/out.txt", "open", "absent.txt", "..%2Fx.txt"] {
            reader.navigate(&format!("/preview/{path}")).await.expect(404);
        }
        for path in ["Finance/a.png", "open/b.txt", "absent.png"] {
            reader.get(&format!("/api/preview/{path}")).await.expect(404);
        }
        let editor = app.signed_in_as(Role::Editor).await;
        editor.navigate("/preview/Finance/a.txt").await.expect(200);
        editor.get("/api/preview/Finance/a.png").await.expect(200);
        assert!(looks(&app, 2).await.iter().all(|row| row.actor == account(Some(Role::Editor))));
    }

    async fn every_name_has_its_page_and_the_catalogue_leads_there(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for name in nasty() {
            app.write(&format!("odd/{name}"), &name);
            let page = reader.navigate(&url("/preview/", &format!("odd/{name}"))).await.expect(200).text();
            assert!(page.contains("class=\"recorded\""), "{name}");
        }
        for name in ["a.txt", "b.bin"] {
            app.write(&format!("list/{name}"), "x");
        }
        let list = reader.navigate("/?folder=list").await.expect(200).text();
        assert!(list.contains("href=\"/preview/list/a.txt\""), "{list}");
        assert!(!list.contains("/preview/list/b.bin"), "nothing is shown of it");
        assert!(list.contains("class=\"name\" href=\"/api/files/list/a.txt\""), "the name downloads");
    }
}
