//! Who is it really: an address belongs to the account that first used it with a role, until an admin says otherwise.

use portcullis::audit::Actor;
use portcullis::auth::store::Owner;
use portcullis::db::{Conn, DbError};
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{Role, bindings};

use crate::support::app::TestApp;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::on_both;

/// Another account takes over Ada's address, as mail administrators do it.
fn hand_over(app: &TestApp) {
    app.emulator
        .set_claim("oid", "99999999-0000-4000-8000-000000000001");
    app.emulator.set_claim("sub", "another-subject");
}

async fn revoke(app: &TestApp, email: &str) {
    let actor = Actor::command_line();
    app.db
        .transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::revoke(conn, &actor, email).await
        })
        .await
        .unwrap();
    app.state.people.forget(email);
}

on_both! {
    async fn another_account_with_the_same_address_is_refused_until_it_is_rebound(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        hand_over(&app);
        app.emulator.forget_sessions();
        let heir = app.visitor();
        let page = app.sign_in(&heir, ADA, "/").await.expect(401).text();
        assert!(page.contains("another Microsoft account"), "{page}");
        heir.get("/api/me").await.expect(401);
        assert_eq!(app.audited("sign_in_refused").await.outcome, "other_account");
        ada.get("/admin").await.expect(200);

        let actor = Actor::command_line();
        app.db.transaction::<_, DbError>(async |conn: &mut Conn| {
            portcullis::auth::store::end_all(conn, &actor, &Owner::whoever(ADA)).await?;
            bindings::unbind(conn, ADA).await
        }).await.unwrap();
        app.state.people.forget(ADA);
        ada.get("/api/me").await.expect(401);
        app.sign_in(&heir, ADA, "/admin").await.expect(200);
        // And now it is the first account that is the stranger.
        app.emulator.reset();
        app.sign_in(&ada, ADA, "/").await.expect(401);
    }

    async fn nobody_owns_a_future_grant(app: TestApp) {
        // Two accounts sign in under one address before it has a role: neither may have it by waiting.
        let first = app.visitor();
        app.sign_in(&first, ADA, "/api/me").await.expect(200);
        hand_over(&app);
        let second = app.visitor();
        app.sign_in(&second, ADA, "/api/me").await.expect(200);
        app.grant(ADA, Role::Admin).await;
        let page = first.navigate("/").await.expect(403).text();
        assert!(page.contains("belongs to another account"), "{page}");
        second.navigate("/").await.expect(403);
        // Signing in again binds.
        app.emulator.reset();
        app.sign_in(&first, ADA, "/").await.expect(200);
        second.navigate("/").await.expect(403);
    }

    async fn a_grant_reaches_the_only_account_of_an_address_without_a_new_sign_in(app: TestApp) {
        let ada = app.visitor();
        app.sign_in(&ada, ADA, "/").await.expect(403);
        app.grant(ADA, Role::Reader).await;
        ada.get("/api/items").await.expect(200);
        let mut conn = app.db.conn().await.unwrap();
        assert!(bindings::of(&mut conn, ADA).await.unwrap().is_some());
    }

    async fn deleting_the_role_row_unbinds(app: TestApp) {
        app.signed_in_as(Role::Admin).await;
        app.grant(GRACE, Role::Admin).await;
        revoke(&app, ADA).await;
        let mut conn = app.db.conn().await.unwrap();
        assert_eq!(bindings::of(&mut conn, ADA).await.unwrap(), None);
        drop(conn);
        app.grant(ADA, Role::Reader).await;
        hand_over(&app);
        app.sign_in(&app.visitor(), ADA, "/").await.expect(200);
    }

    async fn a_row_that_another_program_deletes_unbinds_and_one_that_it_rewrites_does_not(app: TestApp) {
        app.signed_in_as(Role::Admin).await;
        let bound = async || {
            let mut conn = app.db.conn().await.unwrap();
            bindings::of(&mut conn, ADA).await.unwrap().is_some()
        };
        assert!(bound().await);
        // How a nightly job fills a table: all rows go and come in one transaction.
        app.execute(&format!(
            "BEGIN; DELETE FROM dim.user_roles; INSERT INTO dim.user_roles VALUES ('{ADA}', 'admin'), ('x@y', 'reader'); COMMIT"
        ))
        .await;
        // A second change tells when the first was looked at.
        app.grant("marker@contoso.example", Role::Reader).await;
        let marker = bindings::Account { tid: "t".to_owned(), oid: "o".to_owned() };
        app.db.transaction::<_, DbError>(async |conn: &mut Conn| {
            bindings::bind(conn, &Actor::portal(), "marker@contoso.example", &marker, "test").await
        }).await.unwrap();
        app.execute("DELETE FROM dim.user_roles WHERE email = 'marker@contoso.example'").await;
        app.eventually("the marker is unbound", async || {
            let mut conn = app.db.conn().await.unwrap();
            bindings::of(&mut conn, "marker@contoso.example").await.unwrap().is_none()
        })
        .await;
        assert!(bound().await, "the account that the address belongs to is still known");
        app.execute(&format!("DELETE FROM dim.user_roles WHERE email = '{ADA}'")).await;
        app.eventually("the deleted row unbinds", async || !bound().await).await;
    }

    async fn an_account_that_merely_shares_the_address_sees_and_ends_no_session_of_its_owner(app: TestApp) {
        let owner = app.signed_in_as(None).await;
        hand_over(&app);
        let other = app.visitor();
        app.sign_in(&other, crate::support::app::account(None), "/account").await.expect(200);
        let list = other.get("/account").await.expect(200).text();
        assert_eq!(list.matches("action=\"/account/sign-out\"").count(), 1, "{list}");
        other.post("/account/sign-out-everywhere", "application/x-www-form-urlencoded", "").await.expect(303);
        other.get("/api/me").await.expect(401);
        owner.get("/api/me").await.expect(200);
    }

    async fn a_binding_is_written_down_however_it_came_about(app: TestApp) {
        app.signed_in_as(Role::Reader).await;
        let told = app.audited("bound").await;
        assert_eq!((told.subject.as_str(), told.outcome.as_str()), ("karl.weber@contoso.example", "sign_in"));
        let waiting = app.signed_in_as(None).await;
        app.grant(crate::support::app::account(None), Role::Reader).await;
        waiting.get("/api/items").await.expect(200);
        let told = app.audited("bound").await;
        assert_eq!((told.actor.as_str(), told.outcome.as_str()), ("portal", "grant"));
    }

    async fn a_person_with_a_new_address_keeps_no_rights_and_is_shown_to_admins(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.emulator.set_claim("email", "ada.lovelace@contoso.example");
        let renamed = app.visitor();
        app.sign_in(&renamed, ADA, "/").await.expect(403);
        let mut conn = app.db.conn().await.unwrap();
        let pairs = bindings::renamed(&mut conn, 10).await.unwrap();
        drop(conn);
        assert_eq!(pairs, [(ADA.to_owned(), "ada.lovelace@contoso.example".to_owned())]);
        let page = ada.navigate("/admin").await.expect(200).text().replace("<wbr>", "");
        assert!(page.contains("ada.lovelace@contoso.example"), "{page}");
    }

    async fn ones_own_sessions_are_listed_and_ended_one_by_one(app: TestApp) {
        let here = app.signed_in_as(Role::Reader).await;
        let there = app.visitor();
        app.sign_in(&there, "karl.weber@contoso.example", "/").await.expect(200);
        let stranger = app.signed_in_as(Role::Admin).await;
        let page = here.navigate("/account").await.expect(200).text();
        let ids: Vec<&str> = page.split("name=\"id\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(ids.len(), 2, "{page}");
        assert!(page.contains("This browser"));
        let form = "application/x-www-form-urlencoded";
        // Newest first: the other browser's.
        stranger.post("/account/sign-out", form, format!("id={}", ids[0])).await.expect(404);
        there.get("/api/items").await.expect(200);
        let done = here.post("/account/sign-out", form, format!("id={}", ids[0])).await.expect(303);
        assert_eq!(done.location(), "/account");
        there.get("/api/items").await.expect(401);
        here.get("/api/items").await.expect(200);
        here.post("/account/sign-out-everywhere", form, "").await.expect(303);
        here.get("/api/items").await.expect(401);
        stranger.get("/api/items").await.expect(200);
    }

    async fn a_form_is_not_lost_when_the_session_ended(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        editor.set_cookie("session", None);
        let body = "--b\r\nContent-Disposition: form-data; name=\"folder\"\r\n\r\nReports <1>\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nÜber \"alles\"\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ncontent\r\n--b--\r\n";
        let kind = "multipart/form-data; boundary=b";
        let page = editor.post("/publish", kind, body).await.expect(401);
        assert!(page.header("content-type").starts_with("text/html"));
        let text = page.text();
        assert!(text.contains("name=\"folder\" value=\"Reports &#60;1&#62;\""), "{text}");
        assert!(text.contains("target=\"_blank\"") && !text.contains("content\r\n"));

        app.sign_in(&editor, "grace.hopper@contoso.example", "/account").await.expect(200);
        let typed = "folder=Reports+%3C1%3E&title=%C3%9Cber+%22alles%22";
        let form = editor.post("/publish", "application/x-www-form-urlencoded", typed).await.expect(200).text();
        assert!(form.contains("value=\"Reports &#60;1&#62;\"") && form.contains("value=\"Über &#34;alles&#34;\""), "{form}");
        assert_eq!(std::fs::read_dir(app.files()).unwrap().count(), 0, "nothing was published");

        let foreign = [("sec-fetch-site", "cross-site"), ("content-type", "application/x-www-form-urlencoded")];
        let page = app.visitor().send(reqwest::Method::POST, "/publish", &foreign, typed.into()).await.expect(401);
        assert!(!page.text().contains("type=\"hidden\""), "another site's form is not carried");
        let many = "=&".repeat(101);
        let page = app.visitor().post("/publish", "application/x-www-form-urlencoded", many).await.expect(401);
        assert!(!page.text().contains("type=\"hidden\""), "no form of ours has a hundred fields");
        let long = format!("title={}", "x".repeat(40_000));
        let page = app.visitor().post("/publish", "application/x-www-form-urlencoded", long).await.expect(401);
        assert!(!page.text().contains("xxxx"));
    }
}
