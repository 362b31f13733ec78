//! One person's page: everything that the portal knows of them, section by section.

use portcullis::roles::Role;

use super::{give, post, read};
use crate::support::client::Browser;
use crate::support::emulator::accounts::KARL;
use crate::support::on_both;

async fn page(admin: &Browser) -> String {
    read(
        &admin
            .navigate("/admin/person?email=karl.weber%40contoso.example")
            .await
            .expect(200),
    )
}

/// What stands under a heading, up to the next.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("<h2 id=\"{heading}\">"))
        .unwrap_or_else(|| panic!("{heading} in {page}"));
    rest.split("<h2 ").next().unwrap()
}

on_both! {
    async fn the_page_shows_account_sessions_downloads_refusals_and_changes(app: TestApp) {
        app.write("Reports/a.txt", "abc");
        let ada = app.signed_in_as(Role::Admin).await;
        app.grant(KARL, Role::Reader).await;
        let before = page(&ada).await;
        assert!(before.contains("None: the next account that signs in") && before.contains("<dd>never</dd>") && before.contains("Nowhere."), "{before}");
        assert!(!before.contains("id=\"downloads\"") && !before.contains("id=\"refusals\""), "{before}");

        let karl = app.signed_in_as(Role::Reader).await;
        let other = app.visitor();
        app.sign_in(&other, KARL, "/api/me").await.expect(200);
        karl.get("/api/files/Reports/a.txt").await.expect(200);
        karl.get("/admin").await.expect(403);
        app.audited("downloaded").await;
        let refused = app.audited("access_refused").await.reference.unwrap();
        app.execute("UPDATE dim.sessions SET agent = 'Lynx/2.9' WHERE email = 'karl.weber@contoso.example'").await;
        let mut conn = app.db.conn().await.unwrap();
        let (account, _) = portcullis::roles::bindings::bound(&mut conn, KARL).await.unwrap().unwrap();
        drop(conn);

        let page = page(&ada).await;
        assert!(page.contains(&format!("<code>{}</code> <small>in tenant <code>{}</code>", account.oid, account.tid)), "{page}");
        assert!(page.contains(&format!("by account <code>{}</code>", account.oid)) && page.contains("Free the address"), "{page}");
        assert!(page.contains("Given at the command line"), "{page}");
        let sessions = part(&page, "sessions");
        assert!(sessions.matches("Lynx/2.9").count() == 2 && sessions.contains("127.0.0.1") && sessions.contains("Sign out everywhere"), "{sessions}");
        assert!(part(&page, "downloads").contains("downloaded <b>Reports/a.txt</b>"), "{page}");
        assert!(part(&page, "refusals").contains(&refused), "{page}");
        assert!(part(&page, "changes").contains("gave a role to"), "{page}");
    }

    async fn whoever_is_only_known_from_the_audit_has_a_page_too(app: TestApp) {
        app.write("a.txt", "abc");
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.signed_in_as(Role::Reader).await;
        karl.get("/api/files/a.txt").await.expect(200);
        app.audited("downloaded").await;
        // Another program removes the row, and the account goes on under another address.
        app.execute("DELETE FROM dim.user_roles WHERE email = 'karl.weber@contoso.example'; DELETE FROM dim.audit WHERE action LIKE 'role_%';
                     DELETE FROM dim.bindings; DELETE FROM dim.identities WHERE email = 'karl.weber@contoso.example'").await;
        let page = page(&ada).await;
        assert!(page.contains("no role") && page.contains("Give a role"), "{page}");
        assert!(part(&page, "downloads").contains("downloaded <b>a.txt</b>"), "{page}");
        ada.navigate("/admin/person?email=nobody%40x.example").await.expect(404);
    }

    async fn a_role_written_in_two_ways_is_said_so_and_a_change_is_written_to_both(app: TestApp) {
        let ada = app.signed_in_as(Role::Admin).await;
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('Karl.Weber@contoso.example', 'reader'), ('karl.weber@contoso.example', 'owner')").await;
        let shown = page(&ada).await;
        assert!(shown.contains("The address is listed in several spellings. A change here is written to all of them."), "{shown}");
        assert!(shown.contains("which admits to nothing") && shown.matches("<dt>Row in the table</dt>").count() == 2, "{shown}");
        give(&ada, KARL, "reader", "", "").await.expect(303);
        assert_eq!(page(&ada).await.matches("is <code>reader</code>").count(), 2);
        post(&ada, "/admin/person/sign-out", &[("email", KARL)]).await.expect(303);
    }
}
