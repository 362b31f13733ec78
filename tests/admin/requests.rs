//! Asking for access: the button, the answers, and the webhook.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::roles::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::{hidden, post, read};
use crate::support::app::TestApp;
use crate::support::database::{self, Backend};
use crate::support::emulator::accounts::{ADA, NO_ROLE};
use crate::support::on_both;

const ASK: &str = "/account/access-request";

on_both! {
    async fn somebody_without_a_role_asks_and_is_let_in_until_a_day(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let nobody = app.signed_in_as(None).await;
        let page = nobody.navigate("/").await.expect(403).text();
        assert!(page.contains("<form action=\"/account/access-request\" method=\"post\">") && page.contains("account=other"), "{page}");
        assert_eq!(post(&nobody, ASK, &[]).await.expect(303).location(), ASK);
        assert!(nobody.navigate(ASK).await.expect(200).text().contains("with the administrators"));
        let page = nobody.navigate("/").await.expect(403).text();
        assert!(page.contains("have not answered yet") && !page.contains("<form action=\"/account/access-request\""), "{page}");
        // One open request a person, however often the button is pressed.
        post(&nobody, ASK, &[]).await.expect(303);
        assert_eq!(app.audit().await.iter().filter(|row| row.action == "access_requested").count(), 1);

        let list = read(&ada.navigate("/admin/requests").await.expect(200));
        assert!(list.contains("No Role") && list.contains(NO_ROLE) && list.contains("/admin/request?id=1"), "{list}");
        assert!(list.contains("class=\"badge\">1"), "{list}");
        let form = [("id", "1"), ("role", "reader"), ("until", "2999-12-31"), ("note", "asked nicely")];
        post(&ada, "/admin/request/approve", &form).await.expect(303);
        nobody.navigate("/").await.expect(200);
        let told = app.audited("role_granted").await;
        assert!(told.actor == ADA && told.detail.contains("\"source\":\"request\"") && told.detail.contains("asked nicely"), "{told:?}");
        let mut conn = app.db.conn().await.unwrap();
        let held = portcullis::roles::holdings::holding(&mut conn, NO_ROLE).await.unwrap();
        drop(conn);
        assert_eq!(held.ends_at(), portcullis::clock::end_of_day("2999-12-31"), "the end that was typed is the one that counts");
        // Answered is answered.
        post(&ada, "/admin/request/approve", &form).await.expect(404);
        post(&ada, "/admin/request/decline", &[("id", "1"), ("answer", "no")]).await.expect(404);
        assert!(nobody.navigate(ASK).await.expect(200).text().contains("You have the role reader"));
        assert_eq!(post(&nobody, ASK, &[]).await.expect(303).location(), ASK);
        assert!(read(&ada.navigate("/admin/requests").await.expect(200)).contains("Nobody waits"));
    }

    async fn an_approval_of_a_state_that_was_not_shown_is_asked_about_again(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let nobody = app.signed_in_as(None).await;
        post(&nobody, ASK, &[]).await.expect(303);
        let shown = ada.navigate("/admin/request?id=1").await.expect(200).text();
        let before = hidden(&shown, "before");
        // Somebody else was quicker, and gave more.
        app.grant(NO_ROLE, Role::Editor).await;
        for before in [&before[..], ""] {
            let form = [("id", "1"), ("role", "reader"), ("before", before)];
            let page = read(&post(&ada, "/admin/request/approve", &form).await.expect(422));
            assert!(page.contains("Somebody else changed this in the meantime"), "{page}");
            assert!(page.contains("has a role by now: editor"), "{page}");
        }
        assert_eq!(nobody.get("/api/me").await.expect(200).json()["role"], "editor");
        let shown = ada.navigate("/admin/request?id=1").await.expect(200).text();
        let form = [("id", "1"), ("role", "reader"), ("before", &hidden(&shown, "before"))];
        post(&ada, "/admin/request/approve", &form).await.expect(303);
        assert_eq!(nobody.get("/api/me").await.expect(200).json()["role"], "reader");
    }

    async fn a_declined_person_reads_why_and_may_ask_again_but_not_for_ever(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let nobody = app.signed_in_as(None).await;
        for id in ["1", "2", "3"] {
            post(&nobody, ASK, &[]).await.expect(303);
            let empty = post(&ada, "/admin/request/decline", &[("id", id), ("answer", "  ")]).await.expect(422).text();
            assert!(empty.contains("id=\"answer-problem\""), "{empty}");
            let long = "x".repeat(501);
            let page = post(&ada, "/admin/request/decline", &[("id", id), ("answer", &long)]).await.expect(422).text();
            assert!(page.contains(&long), "what was typed is still there");
            post(&ada, "/admin/request/decline", &[("id", id), ("answer", "Ask <Grace>\r\nfirst.")]).await.expect(303);
            let page = nobody.navigate("/").await.expect(403).text();
            assert!(page.contains("Ask &#60;Grace&#62; first."), "{page}");
            assert!(page.contains("Ask again"), "{page}");
        }
        let page = post(&nobody, ASK, &[]).await.expect(429).text();
        assert!(page.contains("enough for today"), "{page}");
        assert_eq!(app.audited("access_declined").await.actor, ADA);
        nobody.get("/api/items").await.expect(403);
    }

    async fn a_refusal_depends_on_the_person_and_never_on_what_was_asked_for(app: TestApp) {
        app.write("secret.txt", "x");
        let nobody = app.signed_in_as(None).await;
        let without = async |path: &str| {
            let text = nobody.navigate(path).await.expect(403).text();
            let (before, after) = text.split_once("mention reference <code>").unwrap();
            format!("{before}{}", &after[9..])
        };
        for _ in 0..2 {
            let there = without("/api/files/secret.txt").await;
            for path in ["/api/files/absent.txt", "/absent", "/admin", "/admin/people", "/", "/api/items"] {
                assert_eq!(without(path).await, there, "{path}");
            }
            post(&nobody, ASK, &[]).await.expect(303);
        }
    }

    async fn the_list_tells_of_all_who_wait_and_of_what_was_answered_last(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 105)
            INSERT INTO dim.access_requests (email, asked_at, state) SELECT 'p' || i || '@x.example', i, 'open' FROM n").await;
        app.execute("INSERT INTO dim.access_requests (email, asked_at, state, decided_by, decided_at, answer) VALUES
            ('asked-first@x.example', 1, 'declined', 'x', 9, 'no'), ('asked-last@x.example', 8, 'declined', 'x', 8, 'no')").await;
        let page = read(&ada.navigate("/admin/requests").await.expect(200));
        assert!(page.contains("And 5 more, who asked later") && page.contains("class=\"badge\">105"), "{page}");
        assert!(page.contains(">Answer<span class=\"unseen\"> p100@x.example") && !page.contains("p101@x.example"), "{page}");
        let place = |email: &str| page.find(email).unwrap_or_else(|| panic!("{email} in {page}"));
        assert!(place("asked-first@x.example") < place("asked-last@x.example"), "by the answer, the newest first: {page}");
        let id = page.split("/admin/request?id=").nth(1).unwrap().split('"').next().unwrap().to_owned();
        post(&ada, "/admin/request/decline", &[("id", &id), ("answer", "no")]).await.expect(303);
        let page = read(&ada.navigate("/admin/requests").await.expect(200));
        assert!(page.contains("And 4 more") && page.contains("p101@x.example"), "{page}");
    }

    async fn an_approval_that_cannot_be_taken_comes_back(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let nobody = app.signed_in_as(None).await;
        post(&nobody, ASK, &[]).await.expect(303);
        for (role, until, field) in [("owner", "", "role"), ("reader", "2001-01-01", "until"), ("reader", "soon", "until")] {
            let page = post(&ada, "/admin/request/approve", &[("id", "1"), ("role", role), ("until", until), ("note", "kept")]).await.expect(422).text();
            assert!(page.contains(&format!("id=\"{field}-problem\"")) && page.contains("value=\"kept\""), "{page}");
        }
        nobody.get("/api/items").await.expect(403);
    }

    async fn the_account_that_was_approved_owns_the_address(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        let asking = app.signed_in_as(None).await;
        post(&asking, ASK, &[]).await.expect(303);
        // Another account signs in under the same address before anybody answers.
        app.emulator.set_claim("oid", "99999999-0000-4000-8000-000000000009");
        app.emulator.forget_sessions();
        let other = app.visitor();
        app.sign_in(&other, NO_ROLE, "/api/me").await.expect(200);
        post(&ada, "/admin/request/approve", &[("id", "1"), ("role", "reader")]).await.expect(303);
        asking.get("/api/items").await.expect(200);
        other.get("/api/items").await.expect(403);
    }
}

/// What the webhook's receiver got: headers and body of each request.
type Received = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver that answers with these statuses in turn, and 200 from then on.
async fn receiver(statuses: &'static [u16]) -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://127.0.0.1:{}/hook/geheim",
        listener.local_addr().unwrap().port()
    );
    let received = Received::default();
    let kept = received.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            let (head, body) = loop {
                let length = stream.read(&mut part).await.unwrap();
                bytes.extend(&part[..length]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let wanted = head.to_lowercase().lines().find_map(|line| {
                    Some(
                        line.strip_prefix("content-length: ")?
                            .parse::<usize>()
                            .unwrap(),
                    )
                });
                if body.len() >= wanted.unwrap() {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let mut kept = kept.lock().await;
            let status = statuses.get(kept.len()).unwrap_or(&200);
            kept.push((head, body));
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, received)
}

const KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head
        .lines()
        .find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} in {head}"))
        .split_once(": ")
        .unwrap()
        .1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_reaches_the_webhook_signed_and_is_tried_again_until_it_arrives() {
    let (url, received) = receiver(&[500, 302]).await;
    let app = TestApp::builder(Backend::Sqlite)
        .with("ACCESS_REQUEST_WEBHOOK", &url)
        .with("ACCESS_REQUEST_WEBHOOK_SECRET", KEY)
        .start()
        .await;
    let nobody = app.signed_in_as(None).await;
    post(&nobody, ASK, &[]).await.expect(303);
    for tries in 1..=3 {
        app.eventually("the receiver hears of it", async || {
            received.lock().await.len() == tries
        })
        .await;
        // The pause after a failure is long; the test makes the message due.
        app.eventually("the message is put back, or gone", async || {
            app.execute("UPDATE dim.webhook_messages SET due_at = 0 WHERE attempts > 0")
                .await;
            received.lock().await.len() > tries || tries == 3
        })
        .await;
    }
    let received = received.lock().await;
    let (head, body) = &received[2];
    let (id, time) = (
        header(head, "webhook-id"),
        header(head, "webhook-timestamp"),
    );
    assert_eq!(
        id,
        header(&received[0].0, "webhook-id"),
        "the same message again has the same id"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let tag = STANDARD
        .decode(
            header(head, "webhook-signature")
                .strip_prefix("v1,")
                .unwrap(),
        )
        .unwrap();
    hmac::verify(&key, format!("{id}.{time}.{body}").as_bytes(), &tag).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["type"], "access_request.created");
    assert_eq!(body["data"]["email"], NO_ROLE);
    assert_eq!(
        body["data"]["url"],
        format!("{}/admin/request?id=1", app.url)
    );
    assert!(
        body["text"]
            .as_str()
            .unwrap()
            .starts_with("No Role (no.role@contoso.example) asks for access: ")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_survives_a_restart_and_is_delivered_once_by_several_instances() {
    let Some(server) = database::postgres() else {
        return;
    };
    let database = server.database().await;
    let closed = format!("http://127.0.0.1:{}/hook", database::free_port());
    let first = TestApp::builder(Backend::Postgres)
        .on(&database)
        .with("ACCESS_REQUEST_WEBHOOK", &closed)
        .with("ACCESS_REQUEST_WEBHOOK_SECRET", KEY)
        .start()
        .await;
    let nobody = first.signed_in_as(None).await;
    post(&nobody, ASK, &[]).await.expect(303);
    first
        .eventually("the first try has failed", async || {
            let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            let row = client
                .query_one("SELECT attempts FROM dim.webhook_messages", &[])
                .await
                .unwrap();
            row.get::<_, i64>(0) > 0
        })
        .await;
    let (url, received) = receiver(&[]).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        let app = TestApp::builder(Backend::Postgres)
            .on(&database)
            .beside(&first.emulator)
            .with("ACCESS_REQUEST_WEBHOOK", &url)
            .with("ACCESS_REQUEST_WEBHOOK_SECRET", KEY)
            .start()
            .await;
        others.push(app);
    }
    // The first instance would go on trying the closed port.
    first.db.close();
    others[0]
        .execute("UPDATE dim.webhook_messages SET due_at = 0")
        .await;
    others[0]
        .eventually("it arrives", async || !received.lock().await.is_empty())
        .await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(
        received.lock().await.len(),
        1,
        "more than two rounds of three instances later"
    );
}
