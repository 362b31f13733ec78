//! Signing out: here, at Entra, in a frame of Entra's, and everywhere at once.

use portcullis::roles::Role;
use reqwest::Method;

use super::{is_signed_in, parameter};
use crate::support::app::{TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::emulator::{Endpoint, Fault};
use crate::support::on_both;

async fn sent(browser: &Browser, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    browser.send(method, path, headers, Vec::new()).await
}

/// A browser in which `email` is signed in, and the `sid` that Entra gave to it.
async fn with_sid(app: &TestApp, email: &str) -> (Browser, String) {
    let browser = app.visitor();
    app.sign_in(&browser, email, "/api/me").await.expect(200);
    let sid = app.emulator.last_claim("sid").unwrap();
    (browser, sid.as_str().unwrap().to_owned())
}

async fn frontchannel(app: &TestApp, sid: &str, issuer: &str) -> Reply {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("sid", sid), ("iss", issuer)])
        .finish();
    app.visitor()
        .get(&format!("/logout/frontchannel?{query}"))
        .await
}

on_both! {
    async fn signing_out_ends_the_session_here_and_at_entra(app: TestApp) {
        let browser = app.visitor();
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let stolen = browser.copy();
        let hint = app.emulator.last_claim("login_hint").unwrap();

        let reply = browser.navigate("/logout").await.expect(303);
        assert_eq!(browser.cookie("session"), None);
        assert!(!is_signed_in(&stolen).await, "a copied cookie is dead at once");
        let end = format!("{}/{}/oauth2/v2.0/logout?", app.emulator.url(), app.emulator.tenant());
        assert!(reply.location().starts_with(&end), "{reply:?}");
        let back = parameter(reply.location(), "post_logout_redirect_uri").unwrap();
        assert_eq!(back, format!("{}/signed-out", app.url));
        assert_eq!(parameter(reply.location(), "logout_hint").as_deref(), hint.as_str());
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("clear-site-data"), "\"storage\"", "the cookies of other sign-ins stay");

        let page = browser.follow(reply.location()).await.expect(200);
        assert_eq!(page.url.path(), "/signed-out");
        assert!(!is_signed_in(&browser).await);
        let row = app.audited("signed_out").await;
        assert_eq!((row.actor.as_str(), row.subject.as_str()), (ADA, ADA));
    }

    async fn signing_out_ends_one_session_and_no_other(app: TestApp) {
        let (here, there) = (app.visitor(), app.visitor());
        app.sign_in(&here, ADA, "/api/me").await.expect(200);
        app.sign_in(&there, ADA, "/api/me").await.expect(200);
        here.navigate("/logout").await.expect(303);
        assert!(is_signed_in(&there).await);
    }

    async fn frontchannel_logout_ends_the_session_that_entra_names_and_no_other(app: TestApp) {
        let (ada, sid) = with_sid(&app, ADA).await;
        let (elsewhere, _) = with_sid(&app, ADA).await;
        let (grace, _) = with_sid(&app, GRACE).await;
        frontchannel(&app, &sid, &app.emulator.issuer()).await.expect(200);
        assert!(!is_signed_in(&ada).await);
        assert!(is_signed_in(&elsewhere).await && is_signed_in(&grace).await);
        assert_eq!(app.audited("signed_out").await.subject, ADA);
    }

    async fn signing_out_everywhere_ends_all_sessions_of_one_person(app: TestApp) {
        let (here, there, grace) = (app.visitor(), app.visitor(), app.visitor());
        app.sign_in(&here, ADA, "/api/me").await.expect(200);
        app.sign_in(&there, ADA, "/api/me").await.expect(200);
        app.sign_in(&grace, GRACE, "/api/me").await.expect(200);
        let stolen = here.copy();
        let cross = [("sec-fetch-site", "cross-site")];
        sent(&here, Method::POST, "/api/me/sign-out", &cross).await.expect(403);
        assert!(is_signed_in(&there).await, "another site cannot do it");

        let same = [("sec-fetch-site", "same-origin")];
        sent(&here, Method::POST, "/api/me/sign-out", &same).await.expect(204);
        assert_eq!(here.cookie("session"), None);
        assert!(!is_signed_in(&stolen).await && !is_signed_in(&there).await);
        assert!(is_signed_in(&grace).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signed_out_page_signs_nobody_in_again() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    browser.follow("/logout").await.expect(200);
    app.emulator.reset_counts();
    let page = browser.navigate("/signed-out").await.expect(200);
    assert!(page.location().is_empty() && page.header("refresh").is_empty());
    let text = page.text().to_ascii_lowercase();
    assert!(
        !text.contains("http-equiv") && !text.contains("<script"),
        "{text}"
    );
    assert!(text.contains("href=\"/login\""), "{text}");
    assert_eq!(app.emulator.counts().authorize, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_without_a_session_leads_to_the_signed_out_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    assert_eq!(
        app.visitor()
            .navigate("/logout")
            .await
            .expect(303)
            .location(),
        "/signed-out"
    );
    let garbage = app.visitor();
    garbage.set_cookie("session", Some("garbage"));
    assert_eq!(
        garbage.navigate("/logout").await.expect(303).location(),
        "/signed-out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_site_can_only_ask_whether_to_sign_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    for site in ["cross-site", "same-site"] {
        let headers = [("sec-fetch-site", site), ("accept", "text/html")];
        let page = sent(&browser, Method::GET, "/logout", &headers)
            .await
            .expect(200);
        let text = page.text();
        assert!(
            text.contains("action=\"/logout\"") && text.contains("method=\"post\""),
            "{text}"
        );
        assert!(is_signed_in(&browser).await, "{site}");
        sent(&browser, Method::HEAD, "/logout", &headers)
            .await
            .expect(200);
        assert!(is_signed_in(&browser).await, "{site}, HEAD");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_our_own_signs_out_and_a_foreign_one_does_not() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        form,
    ] {
        sent(&browser, Method::POST, "/logout", &[foreign, form])
            .await
            .expect(403);
        assert!(is_signed_in(&browser).await, "{foreign:?}");
    }
    let stolen = browser.copy();
    let reply = browser.post("/logout", form.1, "").await.expect(303);
    assert!(
        reply.location().starts_with(&app.emulator.url()),
        "{reply:?}"
    );
    assert!(!is_signed_in(&browser).await && !is_signed_in(&stolen).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefetch_signs_nobody_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    for purpose in ["prefetch", "prefetch;prerender"] {
        let headers = [("sec-purpose", purpose), ("sec-fetch-site", "same-origin")];
        let reply = sent(&browser, Method::GET, "/logout", &headers).await;
        assert!(reply.status >= 400, "{purpose}: {reply:?}");
        assert!(is_signed_in(&browser).await, "{purpose}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frontchannel_logout_from_another_issuer_ends_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (browser, sid) = with_sid(&app, ADA).await;
    let issuer = app.emulator.issuer();
    for wrong in [
        "https://evil.example/v2.0",
        "",
        &format!("{issuer}/"),
        &issuer.to_uppercase(),
    ] {
        frontchannel(&app, &sid, wrong).await.expect(200);
        assert!(is_signed_in(&browser).await, "{wrong}");
    }
    for unknown in ["", "another", "%", &format!("{sid}x")] {
        frontchannel(&app, unknown, &issuer).await.expect(200);
        assert!(is_signed_in(&browser).await, "{unknown}");
    }
    app.visitor().get("/logout/frontchannel").await.expect(200);
    assert!(is_signed_in(&browser).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frontchannel_logout_may_be_framed_by_entra_alone() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reply = frontchannel(&app, "x", &app.emulator.issuer())
        .await
        .expect(200);
    let policy = reply.header("content-security-policy");
    assert!(
        policy.contains(&format!("frame-ancestors {}", app.emulator.url())),
        "{policy}"
    );
    assert_eq!(reply.header("x-frame-options"), "");
    assert_eq!(reply.header("cache-control"), "no-store");
    let page = app.visitor().navigate("/signed-out").await.expect(200);
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_works_while_entra_is_away() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    let cookie = browser.cookie("session").unwrap();
    let emulator = crate::support::emulator::Emulator::start(0).await.unwrap();
    emulator.disturb(
        Endpoint::Discovery,
        Fault::answer(500, "text/plain", "down"),
    );
    let cut_off = TestApp::builder(Backend::Sqlite)
        .on(&app.database_url)
        .beside(&emulator)
        .start()
        .await;
    let browser = cut_off.visitor();
    browser.set_cookie("session", Some(&cookie));
    let me = browser.get("/api/me").await.expect(200).json();
    assert_eq!(me["email"], account(Some(Role::Reader)));
    assert_eq!(
        browser.navigate("/logout").await.expect(303).location(),
        "/signed-out"
    );
    browser.set_cookie("session", Some(&cookie));
    assert!(!is_signed_in(&browser).await);
}
