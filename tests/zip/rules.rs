//! Folder rules hold for zips as for lists and links.

use std::os::unix::fs::symlink;

use portcullis::roles::Role;

use super::{begin, names, select};
use crate::catalogue::rules::rule;
use crate::downloads::noise;
use crate::support::app::account;
use crate::support::on_both;

on_both! {
    async fn what_a_person_may_not_see_is_in_no_zip(app: TestApp) {
        for path in ["open.txt", "Finance/secret.txt", "Finance/2026/secret.txt", "Public/a.txt"] {
            app.write(path, path);
        }
        symlink("../Finance/secret.txt", app.files().join("Public/link.txt")).unwrap();
        symlink("../Finance", app.files().join("Public/folder")).unwrap();
        rule(&app, "Finance", "editor", "").await;
        app.state.files.rules.forget();
        let reader = app.signed_in_as(Role::Reader).await;
        assert_eq!(names(&app, &reader, "/api/zip?folder=").await, ["Public/a.txt", "open.txt"]);
        assert_eq!(names(&app, &reader, "/api/zip?folder=Public").await, ["a.txt"]);
        for hidden in ["Finance", "Finance/2026", "Finance/secret.txt", "Public/link.txt", "Public/folder", "Public/folder/secret.txt"] {
            select(&reader, &["open.txt", hidden]).await.expect(404);
            let address = format!("/api/zip?folder={}", hidden.replace('/', "%2F"));
            reader.get(&address).await.expect(404);
        }
        let editor = app.signed_in_as(Role::Editor).await;
        let all = names(&app, &editor, "/api/zip?folder=").await;
        assert_eq!(all, ["Finance/2026/secret.txt", "Finance/secret.txt", "Public/a.txt", "Public/link.txt", "open.txt"]);
        rule(&app, "", "admin", "").await;
        app.state.files.rules.forget();
        reader.get("/api/zip?folder=").await.expect(422);
    }

    async fn a_rule_or_a_lesser_role_that_comes_meanwhile_keeps_back_what_was_not_sent_yet(app: TestApp) {
        app.write("z/big.bin", noise(40_000_000));
        app.write("z/later/secret.txt", "the secret");
        rule(&app, "z/later", "editor", "").await;
        app.state.files.rules.forget();
        let editor = app.signed_in_as(Role::Editor).await;
        for step in ["rule", "role"] {
            let (mut wire, length) = begin(&app, &editor, "/api/zip?folder=z").await;
            wire.take(2_000).await;
            match step {
                "rule" => rule(&app, "z/later", "admin", "").await,
                _ => app.grant(account(Some(Role::Editor)), Role::Reader).await,
            }
            app.state.files.rules.forget();
            let rest = wire.rest().await;
            assert!((rest.len() as u64) < length - 2_000, "{step}: it did not end short");
            assert!(!rest.windows(10).any(|ten| ten == b"the secret"), "{step}: it was sent");
            rule(&app, "z/later", "editor", "").await;
            app.state.files.rules.forget();
        }
    }
}
