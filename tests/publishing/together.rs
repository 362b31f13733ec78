//! Several at the same moment, and people who download meanwhile.

use std::pin::pin;
use std::time::Duration;

use portcullis::audit::Actor;
use portcullis::db::{Conn, DbError, Lock};
use portcullis::roles::Role;
use portcullis::rules::{draft, store};
use tokio::time::timeout;

use super::form::{Form, file};
use super::{assert_on_disk, on_disk, problem, published, row};
use crate::bad_input::raw;
use crate::downloads::noise;
use crate::support::on_both;

on_both! {
    async fn of_two_with_the_same_name_at_the_same_moment_exactly_one_wins(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for number in 0..10 {
            let path = format!("f{number}/same.bin");
            let form = |content: &[u8]| Form::new().text("folder", &format!("f{number}")).file("same.bin", content);
            let (ours, theirs) = (noise(200_000), vec![b'x'; 200_000]);
            let (one, other) = tokio::join!(form(&ours).publish(&editor), form(&theirs).publish(&admin));
            let (won, lost, content) = match one.status {
                201 => (one, other, ours),
                _ => (other, one, theirs),
            };
            let item = won.expect(201).json();
            problem(&lost, 409);
            assert!(std::fs::read(app.files().join(&path)).unwrap() == content, "not the winner's bytes");
            assert_eq!(row(&app, &path).await.unwrap().sha256.as_deref(), item["sha256"].as_str());
        }
        assert_eq!(on_disk(&app).len(), 10, "something was left over");
        assert_eq!(published(&app).await.len(), 10);
    }

    async fn of_two_that_replace_at_the_same_moment_file_and_row_are_the_same_ones(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for _ in 0..10 {
            let form = |content: &[u8]| file("same.bin", content).text("overwrite", "true");
            let (ours, theirs) = (noise(100_000), vec![b'x'; 50_000]);
            let (one, other) = tokio::join!(form(&ours).publish(&editor), form(&theirs).publish(&admin));
            one.expect(201);
            other.expect(201);
            // The checksum is listed only when size and time of the row are those of the file.
            let item = editor.get("/api/items").await.expect(200).json()[0].clone();
            assert!(item["sha256"].is_string(), "the row is not the one of the file: {item}");
            assert_eq!(item["owner"] == crate::support::app::account(Some(Role::Admin)), item["size"] == 50_000);
        }
        assert_on_disk(&app, &["same.bin"], "replaced ten times");
        assert_eq!(published(&app).await.len(), 20);
    }

    async fn a_file_that_is_being_replaced_is_served_whole_or_ends_short_and_is_never_mixed(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let reader = app.signed_in_as(Role::Reader).await;
        let content = |number: u8| vec![b'0' + number; 300_000 + usize::from(number)];
        file("a.bin", content(0)).publish(&editor).await.expect(201);
        let replace = async {
            for number in 1..10 {
                file("a.bin", content(number)).text("overwrite", "true").publish(&editor).await.expect(201);
            }
        };
        let mut seen = 0;
        let watch = async {
            loop {
                let request = raw::request("GET", "/api/files/a.bin", &[("Cookie", &raw::cookie(&reader))]);
                // Replaced at its first byte, it ends before its head is out.
                let Some(answer) = raw::ask(&app, &request).await else {
                    continue;
                };
                let answer = answer.expect(200, "a.bin");
                let length: usize = answer.header("content-length").parse().unwrap();
                let promised = content(u8::try_from(length - 300_000).unwrap());
                let body = &answer.body;
                assert!(*body == promised[..body.len()], "a mixture: {} bytes of {length}", body.len());
                seen += usize::from(body.len() == length);
            }
        };
        tokio::select! {
            () = replace => {}
            () = watch => {}
        }
        assert!(seen > 3, "nobody looked");
        assert!(reader.get("/api/files/a.bin").await.expect(200).body == content(9));
    }
}

on_both! {
    async fn a_rule_that_is_made_while_a_publication_waits_for_its_turn_counts(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("Box/first.txt", "x");
        let rule = draft::rule("Box", "admin", "", "a test").unwrap();
        let actor = Actor::command_line();
        let form = Form::new().text("folder", "Box").file("second.txt", "x");
        let mut publishing = pin!(form.publish(&editor));
        let making = app.db.exclusive::<_, DbError>(Lock::Publish, async |conn: &mut Conn| {
            timeout(Duration::from_secs(1), &mut publishing).await.expect_err("it waits for its turn");
            store::set(conn, &actor, &rule).await
        });
        making.await.unwrap();
        let published = publishing.await;
        problem(&published, 404);
        assert_on_disk(&app, &["Box/first.txt"], "published past a rule");
    }
}
