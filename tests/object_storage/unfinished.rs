//! Changes whose end nobody sees: an answer that is lost, a storage that hangs in the midst, a commit that fails, a process
//! that is killed. Nothing waits for the storage in a transaction, and afterwards storage, row and audit say the same.

use std::time::{Duration, Instant};

use portcullis::db::Db;
use portcullis::roles::Role;
use reqwest::Method;

use super::{Stored, portal};
use crate::downloads::noise;
use crate::publishing::form::{Form, file};
use crate::publishing::{published, row};
use crate::support::app::{COOKIE_SECRET, TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::gateway::{Fault, Gateway, Order, order};
use crate::support::object_storage::{Kind, Server};
use crate::support::process::Running;

/// A portal that reaches its storage through a gateway.
async fn behind(kind: Kind) -> Option<(Stored, Gateway)> {
    let server = Server::shared(kind)?;
    let bucket = server.bucket().await;
    let gateway = Gateway::before(server).await;
    let app = portal(&gateway.view(&bucket), &[]).await?;
    Some((Stored { app, bucket }, gateway))
}

macro_rules! behind_a_gateway {
    ($(async fn $name:ident($stored:ident: Stored, $gateway:ident: Gateway) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn run($stored: Stored, $gateway: Gateway) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn azure() {
                if let Some((stored, gateway)) = behind(Kind::Azure).await {
                    run(stored, gateway).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn s3() {
                if let Some((stored, gateway)) = behind(Kind::S3).await {
                    run(stored, gateway).await;
                }
            }
        }
    )+};
}

async fn delete(browser: &Browser, path: &str) -> Reply {
    let origin = [("sec-fetch-site", "same-origin")];
    let path = format!("/api/items/{path}");
    browser
        .send(Method::DELETE, &path, &origin, Vec::new())
        .await
}

async fn settled(app: &TestApp) {
    app.tended().await.unwrap();
}

async fn deletions(app: &TestApp) -> usize {
    let rows = app.audit().await;
    rows.iter().filter(|row| row.action == "deleted").count()
}

/// The request that makes one object of the parts.
fn last_step(kind: Kind, fault: Fault) -> Order {
    match kind {
        Kind::Azure => Order {
            begins: "PUT ",
            holds: "comp=blocklist",
            fault,
        },
        Kind::S3 => Order {
            begins: "POST ",
            holds: "uploadId=",
            fault,
        },
    }
}

/// The request that deletes; of Azure's several are one.
fn deletion(kind: Kind, fault: Fault) -> Order {
    match kind {
        Kind::Azure => Order {
            begins: "POST ",
            holds: "comp=batch",
            fault,
        },
        Kind::S3 => order("DELETE ", fault),
    }
}

async fn refuse_rows(app: &TestApp, table: &str) {
    app.execute(&match app.db {
        Db::Postgres(..) => format!("ALTER TABLE dim.{table} ADD CONSTRAINT refused CHECK (id < 0) NOT VALID"),
        Db::Sqlite(..) => format!("CREATE TRIGGER dim.refused BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'no'); END"),
    }).await;
}

async fn take_rows(app: &TestApp, table: &str) {
    app.execute(&match app.db {
        Db::Postgres(..) => format!("ALTER TABLE dim.{table} DROP CONSTRAINT refused"),
        Db::Sqlite(..) => "DROP TRIGGER dim.refused".to_owned(),
    })
    .await;
}

behind_a_gateway! {
    async fn nobody_waits_for_a_deletion_that_hangs(stored: Stored, gateway: Gateway) {
        let kind = stored.bucket.kind;
        let editor = stored.signed_in_as(Role::Editor).await;
        file("a.txt", "content").publish(&editor).await.expect(201);
        gateway.when(deletion(kind, Fault::Hold));
        let deleting = tokio::spawn({
            let editor = editor.copy();
            async move { delete(&editor, "a.txt").await }
        });
        gateway.met().await;
        let began = Instant::now();
        let reader = stored.signed_in_as(Role::Reader).await;
        stored.app.grant("new.person@contoso.example", Role::Reader).await;
        file("b.txt", "content").publish(&editor).await.expect(201);
        reader.get("/api/files/b.txt").await.expect(200);
        assert!(!deleting.is_finished(), "it waited for the end of the deletion");
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
        let reply = deleting.await.unwrap().expect(503);
        assert!(reply.text().contains("storage"), "{}", reply.text());
        // It did not happen, so nothing tells of it, and it can be done again.
        gateway.mend();
        settled(&stored.app).await;
        assert_eq!(deletions(&stored.app).await, 0);
        reader.get("/api/files/a.txt").await.expect(200);
        delete(&editor, "a.txt").await.expect(204);
        settled(&stored.app).await;
        assert_eq!(deletions(&stored.app).await, 1);
    }

    async fn a_publication_whose_answer_is_lost_is_written_down_when_the_storage_is_back(stored: Stored, gateway: Gateway) {
        let editor = stored.signed_in_as(Role::Editor).await;
        let kind = stored.bucket.kind;
        let not_seen = || Fault::Then(Box::new(order("HEAD ", Fault::Cut)));
        for (name, length, fault) in [
            ("small lost.bin", 1_000, order("PUT ", Fault::Lose)),
            ("small not seen.bin", 1_000, order("PUT ", not_seen())),
            ("large lost.bin", 9_000_000, last_step(kind, Fault::Lose)),
            ("large not seen.bin", 9_000_000, last_step(kind, not_seen())),
        ] {
            let content = noise(length);
            let form = || Form::new().text("folder", "F").text("title", "Mine").file(name, &content);
            gateway.when(fault);
            let reply = form().publish(&editor).await.expect(503);
            assert!(reply.text().contains("storage"), "{}", reply.text());
            let path = format!("F/{name}");
            assert!(stored.bucket.get(&path).await.is_some(), "{name} did not arrive, so this tests nothing");
            gateway.mend();
            // A listing in between finds an object of nobody's.
            stored.app.indexed().await;
            settled(&stored.app).await;
            let known = row(&stored.app, &path).await.unwrap();
            assert_eq!((known.title.as_deref(), known.owner.as_deref()), (Some("Mine"), Some(account(Some(Role::Editor)))), "{name}");
            let told = published(&stored.app).await.pop().unwrap();
            assert_eq!((told.subject.as_str(), told.actor.as_str()), (path.as_str(), account(Some(Role::Editor))));
            assert!(told.reference.is_some() && told.address.is_some(), "{told:?}");
            form().publish(&editor).await.expect(409);
            settled(&stored.app).await;
            assert_eq!(published(&stored.app).await.iter().filter(|row| row.subject == path).count(), 1, "{name}");
        }
    }

    // The listing has found out that there is another content, and knows no more of it.
    async fn a_file_that_was_replaced_without_an_answer_is_whose_it_is(stored: Stored, gateway: Gateway) {
        let (editor, admin) = (stored.signed_in_as(Role::Editor).await, stored.signed_in_as(Role::Admin).await);
        file("a.txt", "the admin's").publish(&admin).await.expect(201);
        gateway.when(order("PUT ", Fault::Lose));
        Form::new().text("overwrite", "true").file("a.txt", "the editor's own").publish(&editor).await.expect(503);
        gateway.mend();
        stored.app.indexed().await;
        settled(&stored.app).await;
        let known = row(&stored.app, "a.txt").await.unwrap();
        assert_eq!((known.owner.as_deref(), known.size), (Some(account(Some(Role::Editor))), 16));
        assert!(known.sha256.is_some());
        assert_eq!(notes(&stored).await, 0);
    }

    async fn a_publication_that_never_arrived_leaves_nothing_and_can_be_repeated(stored: Stored, gateway: Gateway) {
        let editor = stored.signed_in_as(Role::Editor).await;
        gateway.when(order("PUT ", Fault::Cut));
        file("a.txt", "mine").publish(&editor).await.expect(503);
        gateway.mend();
        settled(&stored.app).await;
        assert!(row(&stored.app, "a.txt").await.is_none());
        // Somebody else's file of the same content is not taken for it.
        let admin = stored.signed_in_as(Role::Admin).await;
        file("a.txt", "mine").publish(&admin).await.expect(201);
        settled(&stored.app).await;
        assert_eq!(row(&stored.app, "a.txt").await.unwrap().owner.as_deref(), Some(account(Some(Role::Admin))));
        assert_eq!(published(&stored.app).await.len(), 1);
        stored.app.execute("UPDATE dim.stored_begun SET begun_at = 1").await;
        settled(&stored.app).await;
        assert_eq!(notes(&stored).await, 0, "it is given up after a while");
        assert_eq!(published(&stored.app).await.len(), 1);
    }

    async fn a_deletion_whose_answer_is_lost_is_in_the_audit_when_the_storage_is_back(stored: Stored, gateway: Gateway) {
        let kind = stored.bucket.kind;
        let editor = stored.signed_in_as(Role::Editor).await;
        for again in [false, true] {
            file("a.txt", "content").publish(&editor).await.expect(201);
            gateway.when(deletion(kind, Fault::Lose));
            delete(&editor, "a.txt").await.expect(503);
            assert_eq!(stored.bucket.keys().await, Vec::<String>::new(), "it did not happen, so this tests nothing");
            gateway.mend();
            let before = deletions(&stored.app).await;
            match again {
                // Whoever puts another file there would hide what happened.
                true => drop(file("a.txt", "another").publish(&editor).await.expect(201)),
                false => settled(&stored.app).await,
            }
            assert_eq!(deletions(&stored.app).await, before + 1);
            assert_eq!(row(&stored.app, "a.txt").await.is_some(), again);
            assert_eq!(notes(&stored).await, 0);
        }
        let told = stored.app.audited("deleted").await;
        assert_eq!((told.subject.as_str(), told.actor.as_str(), told.bytes), ("a.txt", account(Some(Role::Editor)), Some(7)));
    }

    async fn a_deletion_that_cannot_be_written_down_is_once_it_can(stored: Stored, _gateway: Gateway) {
        let editor = stored.signed_in_as(Role::Editor).await;
        file("a.txt", "content").publish(&editor).await.expect(201);
        refuse_rows(&stored.app, "audit").await;
        assert!(delete(&editor, "a.txt").await.status >= 500);
        assert_eq!(deletions(&stored.app).await, 0);
        take_rows(&stored.app, "audit").await;
        settled(&stored.app).await;
        assert_eq!(deletions(&stored.app).await, 1);
        assert!(row(&stored.app, "a.txt").await.is_none());
    }

    async fn what_cannot_be_taken_back_is_written_down_once_it_can(stored: Stored, gateway: Gateway) {
        let kind = stored.bucket.kind;
        let editor = stored.signed_in_as(Role::Editor).await;
        refuse_rows(&stored.app, "items").await;
        gateway.when(deletion(kind, Fault::Cut));
        assert!(file("a.txt", "content").publish(&editor).await.status >= 500);
        assert_eq!(stored.bucket.keys().await, ["a.txt"]);
        gateway.mend();
        take_rows(&stored.app, "items").await;
        settled(&stored.app).await;
        assert_eq!(row(&stored.app, "a.txt").await.unwrap().owner.as_deref(), Some(account(Some(Role::Editor))));
        assert_eq!(published(&stored.app).await.len(), 1);
    }

    async fn of_two_who_replace_one_file_the_row_tells_of_the_one_that_stayed(stored: Stored, _gateway: Gateway) {
        // s3s-fs writes an object and its entity tag one after the other, so that two at once may end with one of each.
        if stored.bucket.kind == Kind::S3 {
            return;
        }
        let editor = stored.signed_in_as(Role::Editor).await;
        for _ in 0..5 {
            let contents: Vec<String> = (0..6).map(|n| format!("content {n}")).collect();
            let forms = contents.iter().map(|content| {
                let form = Form::new().text("overwrite", "true").file("same.txt", content);
                let editor = &editor;
                async move { form.publish(editor).await.status }
            });
            let statuses = futures_util::future::join_all(forms).await;
            assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
            settled(&stored.app).await;
            let there = stored.bucket.get("same.txt").await.unwrap();
            let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &there);
            let sum = portcullis::settings::certificate::hex(sum.as_ref());
            assert_eq!(row(&stored.app, "same.txt").await.unwrap().sha256, Some(sum), "{statuses:?}");
        }
    }
}

async fn notes(stored: &Stored) -> i64 {
    crate::catalogue::count(
        &stored.app,
        "SELECT count(*) AS count FROM dim.stored_begun",
    )
    .await
}

/// Killed after the object is in its place, and before anything tells of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_in_between_is_made_up_for_at_the_next_start() {
    let Some(server) = Server::shared(Kind::Azure) else {
        return;
    };
    let bucket = server.bucket().await;
    let gateway = Gateway::before(server).await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("portal.db").display());
    let mut owned = gateway.view(&bucket).variables();
    owned.retain(|(_, value)| !value.is_empty());
    owned.extend([
        ("TEST_MODE", "true".to_owned()),
        ("API_COOKIE_SECRET", COOKIE_SECRET[..64].to_owned()),
        ("DATABASE_URL", database),
    ]);
    let variables: Vec<(&str, &str)> = owned
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let granted = ["roles", "grant", "test.user@example.com", "editor"];
    let granted = crate::support::process::run(folder.path(), &variables, &granted);
    assert_eq!(granted.0, 0, "{}", granted.1);

    let running = Running::start(folder.path(), &variables).await;
    gateway.when(order(
        "PUT ",
        Fault::Then(Box::new(order("HEAD ", Fault::Hold))),
    ));
    let publishing = tokio::spawn({
        let browser = running.browser.copy();
        async move {
            Form::new()
                .text("title", "Mine")
                .file("a.txt", "content")
                .try_publish(&browser)
                .await
        }
    });
    gateway.met().await;
    while bucket.get("a.txt").await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.signal("KILL");
    assert_eq!(publishing.await.unwrap(), None, "it was over already");
    drop(running);
    gateway.mend();

    let running = Running::start(folder.path(), &variables).await;
    let began = Instant::now();
    loop {
        let listed = running.browser.get("/api/items").await.expect(200).json();
        if listed[0]["owner"] == "test.user@example.com" {
            assert_eq!(listed[0]["title"], "Mine");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{listed}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
