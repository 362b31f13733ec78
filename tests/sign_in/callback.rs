//! `/callback`: the state is looked at first, and what comes back with it is believed only then.

use portcullis::roles::Role;

use super::{begun, callback, is_signed_in, newest, parameter, refusal_after};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::on_both;

const CORRELATION: &str = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Opens the callback, and checks that it ends on a page that offers to start again.
async fn leads_nowhere(app: &TestApp, browser: &Browser, path: &str) {
    let before = app.emulator.counts().token;
    let page = browser.navigate(path).await.expect(400);
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{path}"
    );
    assert!(
        page.text().contains("href=\"/login"),
        "{path}: {}",
        page.text()
    );
    assert_eq!(
        app.emulator.counts().token,
        before,
        "{path}: no code is redeemed"
    );
    assert!(!is_signed_in(browser).await, "{path}");
    assert_eq!(browser.cookie("session"), None, "{path}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_state_leads_to_a_page_that_starts_again() {
    let app = TestApp::start(Backend::Sqlite).await;
    for path in [
        "/callback?code=1&state=unknown",
        "/callback?code=1&state=",
        "/callback?code=1",
        "/callback",
        "/callback?state=a&state=b&code=1",
        "/callback?state=%ff&code=%00",
        "/callback?error=access_denied&state=unknown",
        "/callback?error=server_error",
    ] {
        leads_nowhere(&app, &app.visitor(), path).await;
        let under_way = app.visitor();
        begun(&under_way, "/").await;
        leads_nowhere(&app, &under_way, path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_state_leads_on_whoever_is_signed_in() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    let before = app.emulator.counts().token;
    for path in [
        "/callback?code=1&state=unknown",
        "/callback",
        "/callback?error=x&state=y",
    ] {
        assert_eq!(
            browser.navigate(path).await.expect(303).location(),
            "/",
            "{path}"
        );
    }
    assert!(is_signed_in(&browser).await);
    assert_eq!(app.emulator.counts().token, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_another_browser_signs_nobody_in() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (attacker, victim) = (app.visitor(), app.visitor());
    let theirs = callback(&app, &attacker, GRACE, "/").await;
    leads_nowhere(&app, &victim, &theirs).await;
    begun(&victim, "/").await;
    leads_nowhere(&app, &victim, &theirs).await;
    attacker.navigate(&theirs).await.expect(303);
    assert!(is_signed_in(&attacker).await, "the address itself was good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_that_is_sent_over_and_over_makes_no_more_than_two_requests() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let state = begun(&browser, "/").await;
    let before = newest(&app).await;
    for attempt in 0..10 {
        let path = format!("/callback?state={state}&code=junk{attempt}");
        let status = browser.copy().navigate(&path).await.status;
        assert_eq!(status, if attempt < 2 { 401 } else { 400 }, "{attempt}");
    }
    assert_eq!(app.emulator.counts().token, 2);
    refusal_after(&app, before).await;
    let rows = app.audit().await;
    let refused = rows.iter().filter(|row| row.action == "sign_in_refused");
    assert!(refused.count() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_only_for_the_sign_in_that_asked_for_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (attacker, victim) = (app.visitor(), app.visitor());
    let theirs = callback(&app, &attacker, GRACE, "/").await;
    let state = begun(&victim, "/").await;
    let code = encoded(&parameter(&theirs, "code").unwrap());
    // PKCE: the verifier is another.
    let injected = format!("/callback?code={code}&state={state}");
    victim.navigate(&injected).await.expect(401);
    assert!(!is_signed_in(&victim).await);
}

on_both! {
    async fn a_repeated_callback_redeems_nothing_and_leads_on(app: TestApp) {
        let browser = app.visitor();
        let back = callback(&app, &browser, ADA, "/?q=1").await;
        assert_eq!(browser.navigate(&back).await.expect(303).location(), "/?q=1");
        let session = browser.cookie("session");
        let again = browser.navigate(&back).await.expect(303);
        assert_eq!(again.location(), "/?q=1", "the Back button leads on to the target");
        assert_eq!(app.emulator.counts().token, 1);
        assert_eq!(browser.cookie("session"), session);
        assert!(is_signed_in(&browser).await);

        let signed_out = app.visitor();
        leads_nowhere(&app, &signed_out, &back).await;
    }

    async fn a_sign_in_that_took_too_long_keeps_its_target(app: TestApp) {
        let browser = app.visitor();
        let late = callback(&app, &browser, ADA, "/?folder=a&q=b").await;
        // What a browser does after three minutes.
        browser.set_cookie("flow", None);
        let page = browser.navigate(&late).await.expect(400);
        let start_again = format!("href=\"/login?redirect_uri={}\"", encoded("/?folder=a&q=b"));
        assert!(page.text().contains(&start_again), "{}", page.text());
        assert_eq!(page.text().matches("class=\"button").count(), 1, "one button");

        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let redeemed = app.emulator.counts().token;
        let continued = browser.navigate(&late).await.expect(303);
        assert_eq!(continued.location(), "/?folder=a&q=b");
        assert_eq!(app.emulator.counts().token, redeemed);
    }

    async fn cancelling_at_entra_is_a_page_with_a_way_back(app: TestApp) {
        let browser = app.visitor();
        let id = newest(&app).await;
        let page = app.sign_in(&browser, "cancel", "/?folder=a&q=b").await.expect(401);
        let way_back = format!("href=\"/login?redirect_uri={}", encoded("/?folder=a&q=b"));
        assert!(page.text().contains(&way_back), "{}", page.text());
        assert!(!is_signed_in(&browser).await);
        assert_eq!(app.emulator.counts().token, 0);
        let row = refusal_after(&app, id).await;
        assert!(!row.outcome.is_empty(), "{row:?}");
        assert_eq!(browser.cookie("flow"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_entras_is_shown_with_its_correlation_id_and_without_its_markup() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    for (error, description) in [
        ("access_denied", "<script>alert(1)</script>".to_owned()),
        (
            "access_denied",
            format!("AADSTS50105: <b>no</b> Correlation ID: {CORRELATION} x"),
        ),
        (
            "server_error",
            format!("\"><img src=x> Correlation ID: {CORRELATION}"),
        ),
        (
            "<i>error</i>",
            format!("Correlation ID: <u>{CORRELATION}</u>"),
        ),
        ("invalid_request", "x".repeat(5_000)),
    ] {
        let state = begun(&browser, "/").await;
        let id = newest(&app).await;
        let query = format!(
            "error={}&error_description={}",
            encoded(error),
            encoded(&description)
        );
        let path = format!("/callback?state={state}&{query}");
        let page = browser.navigate(&path).await.expect(401);
        let text = page.text();
        for markup in ["<script>", "<b>no", "<img src=x", "<i>error", "<u>"] {
            assert!(!text.contains(markup), "{markup} in {text}");
        }
        let shown = description.contains(&format!("ID: {CORRELATION}"));
        assert_eq!(text.contains(CORRELATION), shown, "{text}");
        assert!(text.contains("href=\"/login?redirect_uri=%2F"), "{text}");
        assert!(
            !text.contains("mention reference"),
            "a 401 has no reference number"
        );
        assert!(!refusal_after(&app, id).await.outcome.is_empty());
        leads_nowhere(&app, &browser, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_code_or_from_another_issuer_is_refused_unredeemed() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    for rest in [
        "",
        "&code=",
        "&code=1&iss=https%3A%2F%2Fevil.example",
        "&code=1&iss=",
    ] {
        let state = begun(&browser, "/").await;
        browser
            .navigate(&format!("/callback?state={state}{rest}"))
            .await
            .expect(401);
        assert!(!is_signed_in(&browser).await, "{rest}");
    }
    assert_eq!(app.emulator.counts().token, 0);
    let back = callback(&app, &browser, ADA, "/").await;
    let issuer = encoded(&app.emulator.issuer());
    browser
        .navigate(&format!("{back}&iss={issuer}"))
        .await
        .expect(303);
    assert!(is_signed_in(&browser).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_of_others_do_not_lose_a_sign_in_under_way() {
    let app = TestApp::start(Backend::Sqlite).await;
    for other in [
        "flow=foreign",
        "flow=%ff",
        "flow=",
        "bare",
        "umlaut=é",
        "latin=%E9",
    ] {
        let browser = app.visitor();
        let back = callback(&app, &browser, ADA, "/there").await;
        let ours = format!("{other}; flow={}", browser.cookie("flow").unwrap());
        let headers = [("cookie", ours.as_str()), ("accept", "text/html")];
        let reply = app
            .visitor()
            .send(reqwest::Method::GET, &back, &headers, Vec::new())
            .await;
        assert_eq!((reply.status, reply.location()), (303, "/there"), "{other}");
    }
}
