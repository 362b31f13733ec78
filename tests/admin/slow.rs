//! Forms that arrive slowly: what counts is what their sender may do when they are there.

use portcullis::audit::Actor;
use portcullis::db::Conn;
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{Holding, Role, holdings};

use super::{form, post};
use crate::bad_input::raw::{Wire, cookie};
use crate::catalogue::rules::rule;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::emulator::accounts::{ADA, GRACE, KARL, NO_ROLE};
use crate::support::on_both;

/// Sends a form except for its last byte, which comes back.
async fn nearly(
    app: &TestApp,
    browser: &Browser,
    path: &str,
    fields: &[(&str, &str)],
) -> (Wire, Vec<u8>) {
    let body = form(fields).into_bytes();
    let (most, last) = body.split_at(body.len() - 1);
    let mut wire = Wire::open(app).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {}\r\nCookie: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        app.url,
        cookie(browser),
        body.len()
    );
    assert!(wire.send(head.as_bytes()).await && wire.send(most).await);
    (wire, last.to_vec())
}

async fn revoke(app: &TestApp, email: &str) {
    let actor = Actor::command_line();
    let work = async |conn: &mut Conn| change::revoke(conn, &actor, email).await;
    app.db.transaction::<_, ChangeError>(work).await.unwrap();
}

async fn held(app: &TestApp, email: &str) -> Holding {
    let mut conn = app.db.conn().await.unwrap();
    holdings::holding(&mut conn, email).await.unwrap()
}

on_both! {
    async fn whoever_is_no_admin_any_more_when_their_form_has_arrived_changes_nothing(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(GRACE, Role::Admin).await;
        app.grant(KARL, Role::Reader).await;
        let nobody = app.signed_in_as(None).await;
        post(&nobody, "/account/access-request", &[]).await.expect(303);
        app.write("Box/a.txt", "x");
        rule(&app, "Box", "editor", "").await;
        let karl = held(&app, KARL).await.fingerprint();
        // What there will be to begin from once nothing is left to ADA.
        let nothing = Holding::default().fingerprint();
        let forms: [(&str, &[(&str, &str)]); 8] = [
            ("/admin/person/grant", &[("email", ADA), ("role", "admin"), ("before", &nothing)]),
            ("/admin/person/remove", &[("email", KARL), ("before", &karl)]),
            ("/admin/request/approve", &[("id", "1"), ("role", "admin"), ("before", &nothing)]),
            ("/admin/request/decline", &[("id", "1"), ("answer", "No.")]),
            ("/admin/person/sign-out", &[("email", NO_ROLE)]),
            ("/admin/person/rebind", &[("email", KARL)]),
            ("/admin/folders", &[("folder", "Box"), ("role", "admin"), ("people", "")]),
            ("/admin/folders/clear", &[("folder", "Box")]),
        ];
        let mut waiting = Vec::new();
        for (path, fields) in forms {
            waiting.push((path, nearly(&app, &ada, path, fields).await));
        }
        revoke(&app, ADA).await;
        // Nobody has told the portal: it finds out at the next look by itself, or here by the form.
        for (path, (mut wire, last)) in waiting.drain(..3) {
            assert!(wire.send(&last).await, "{path}");
            wire.answer().await.unwrap().expect(403, path);
        }
        app.state.people.forget(ADA);
        for (path, (mut wire, last)) in waiting {
            assert!(wire.send(&last).await, "{path}");
            wire.answer().await.unwrap().expect(403, path);
        }
        assert!(held(&app, ADA).await.rows.is_empty() && held(&app, NO_ROLE).await.rows.is_empty());
        assert_eq!(held(&app, KARL).await.fingerprint(), karl);
        nobody.get("/api/me").await.expect(200);
        let told: Vec<String> = app.audit().await.into_iter().map(|row| row.action).collect();
        let made = ["access_declined", "signed_out", "rebound", "folder_rule_cleared"];
        assert!(!told.iter().any(|action| made.contains(&action.as_str())), "{told:?}");
        assert_eq!(told.iter().filter(|action| *action == "folder_rule_set").count(), 1, "that of this test: {told:?}");
    }
}
