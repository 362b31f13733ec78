//! Why can, or can't, somebody see something: the first thing in the way, whatever it is.

use portcullis::clock;
use portcullis::roles::{Role, Wanted};

use super::{post, read};
use crate::support::client::Browser;
use crate::support::emulator::accounts::{ADA, KARL};
use crate::support::on_both;

async fn why(admin: &Browser, email: &str, path: &str) -> String {
    let (email, path) = (
        portcullis::files::path::encode(email),
        portcullis::files::path::encode(path),
    );
    read(
        &admin
            .navigate(&format!("/admin/why?email={email}&path={path}"))
            .await
            .expect(200),
    )
}

on_both! {
    async fn the_page_names_what_is_in_the_way(app: TestApp) {
        app.write("Reports/Übersicht 1.pdf", "x");
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.signed_in_as(Role::Reader).await;
        karl.get("/api/items").await.expect(200);
        for path in ["Reports/Übersicht 1.pdf", "/api/files/Reports/%C3%9Cbersicht%201.pdf"] {
            let page = why(&ada, "KARL.weber@contoso.example", path).await;
            assert!(page.contains("Yes: nothing is in the way.") && page.contains("karl.weber@contoso.example = reader"), "{page}");
            // On SQLite every change makes an instance read anew, and the seals of the audit are changes.
            app.eventually("what this instance remembers", async || {
                karl.get("/api/items").await.expect(200);
                why(&ada, KARL, path).await.contains("seconds ago, and uses that")
            })
            .await;
        }
        let page = why(&ada, KARL, "Reports/absent.pdf").await;
        assert!(page.contains("No. There is no file Reports/absent.pdf"), "{page}");
        let page = why(&ada, KARL, "Reports/Übersicht 1.pdf").await;
        assert!(page.contains("so every role opens it"), "{page}");
        post(&ada, "/admin/folders", &[("folder", "Reports"), ("role", "editor")]).await.expect(303);
        let page = why(&ada, KARL, "Reports/Übersicht 1.pdf").await;
        assert!(page.contains("No. The rule of Reports admits people from the role editor on"), "{page}");
        karl.get("/api/files/Reports/%C3%9Cbersicht%201.pdf").await.expect(404);
        post(&ada, "/admin/folders", &[("folder", "Reports"), ("role", "admin"), ("people", KARL)]).await.expect(303);
        let page = why(&ada, KARL, "Reports/Übersicht 1.pdf").await;
        assert!(page.contains("Yes: nothing is in the way.") && page.contains("The rule of Reports names"), "{page}");
        karl.get("/api/files/Reports/%C3%9Cbersicht%201.pdf").await.expect(200);
        assert!(why(&ada, KARL, "../etc/passwd").await.contains("No. That is no path"));
        assert!(why(&ada, KARL, ".portcullis/x").await.contains("No. "));

        karl.get("/admin").await.expect(403);
        app.audited("access_refused").await;
        let reference = app.audited("access_refused").await.reference.unwrap();
        assert!(why(&ada, KARL, "").await.contains(&reference));

        assert!(why(&ada, "nobody@x.example", "").await.contains("No. The address has no role."));
        assert!(why(&ada, "no address", "").await.contains("is no plain e-mail address"));
        app.execute("INSERT INTO dim.user_roles (email, role) VALUES ('robot@x.example', 'owner'), ('A@x.example', 'reader'), ('a@X.example', 'admin')").await;
        assert!(why(&ada, "robot@x.example", "").await.contains("which admits to nothing"));
        assert!(why(&ada, "a@x.example", "").await.contains("several times with different roles"));

        // Another account takes over the address.
        app.emulator.set_claim("oid", "99999999-0000-4000-8000-000000000001");
        app.emulator.forget_sessions();
        app.execute("DELETE FROM dim.bindings WHERE email = 'karl.weber@contoso.example'; INSERT INTO dim.bindings VALUES ('karl.weber@contoso.example', 't', 'somebody-else', 1)").await;
        let page = why(&ada, KARL, "").await;
        assert!(page.contains("No. The address belongs to the account somebody-else"), "{page}");

        let ended = Wanted { role: Role::Reader, ends_at: Some(clock::now() + clock::SECOND), note: None };
        app.grant(ADA, Role::Admin).await;
        app.grant("ending@x.example", ended).await;
        app.eventually("the role ends", async || {
            let page = why(&ada, "ending@x.example", "").await;
            page.contains("No. The role ended") || page.contains("No. The address has no role")
        }).await;
    }

    async fn a_sign_in_that_was_refused_under_the_address_is_in_the_way_until_it_is_freed(app: TestApp) {
        const HEIR: &str = "99999999-0000-4000-8000-000000000001";
        let ada = app.signed_in_as(Role::Admin).await;
        let karl = app.signed_in_as(Role::Reader).await;
        assert!(why(&ada, KARL, "").await.contains("may come in"));
        // The address goes to a new employee.
        app.emulator.set_claim("oid", HEIR);
        app.emulator.set_claim("sub", "another-subject");
        app.emulator.forget_sessions();
        let heir = app.visitor();
        let page = app.sign_in(&heir, KARL, "/").await.expect(401).text();
        assert!(page.contains("another Microsoft account") && !page.contains(HEIR), "{page}");
        let told = app.audited("sign_in_refused").await;
        assert_eq!((told.actor.as_str(), told.subject.as_str(), told.outcome.as_str()), ("", KARL, "other_account"));
        assert!(told.detail.contains(HEIR), "{}", told.detail);
        let reference = told.reference.unwrap();
        let page = why(&ada, KARL, "").await;
        assert!(page.contains("No. The address belongs to the account") && page.contains(HEIR), "{page}");
        assert!(page.matches(&reference).count() > 1, "in the verdict and among the refusals: {page}");
        let person = read(&ada.navigate("/admin/person?email=karl.weber%40contoso.example").await.expect(200));
        assert!(person.contains("free it on the person") && person.contains(&reference), "{person}");
        assert!(person.contains("was refused at the sign-in under"), "{person}");
        let mut conn = app.db.conn().await.unwrap();
        assert!(!portcullis::admin::why::explain(&mut conn, None, KARL).await.unwrap().may, "at the command line as well");
        drop(conn);

        // The old account signing in again settles it the other way.
        app.emulator.reset();
        app.sign_in(&karl, KARL, "/").await.expect(200);
        assert!(why(&ada, KARL, "").await.contains("may come in"));
        app.emulator.set_claim("oid", HEIR);
        app.emulator.set_claim("sub", "another-subject");
        app.emulator.forget_sessions();
        app.sign_in(&heir, KARL, "/").await.expect(401);
        app.eventually("the second refusal is told", async || why(&ada, KARL, "").await.contains("No. ")).await;

        post(&ada, "/admin/person/rebind", &[("email", KARL)]).await.expect(303);
        assert!(why(&ada, KARL, "").await.contains("may come in"));
        app.sign_in(&heir, KARL, "/").await.expect(200);
        assert!(why(&ada, KARL, "").await.contains("may come in"));
    }
}
