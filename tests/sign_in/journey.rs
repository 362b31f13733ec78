//! The trip to Entra and back as it goes well.

use portcullis::roles::Role;

use super::{begun, callback, is_signed_in, parameter, set_cookie};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::on_both;

on_both! {
    async fn a_person_signs_in_and_is_who_entra_says(app: TestApp) {
        app.grant(ADA, Role::Reader).await;
        let browser = app.visitor();
        assert!(!is_signed_in(&browser).await);
        let me = app.sign_in(&browser, ADA, "/api/me").await.expect(200).json();
        assert_eq!(me["email"], ADA);
        assert_eq!(me["name"], "Ada Byron");
        assert_eq!(me["role"], "reader");
        assert!(me["expires_at"].is_string());
    }

    async fn a_sign_in_is_written_into_the_audit(app: TestApp) {
        app.sign_in(&app.visitor(), ADA, "/api/me").await.expect(200);
        let row = app.audited("signed_in").await;
        assert_eq!((row.actor.as_str(), row.subject.as_str()), (ADA, ADA));
        assert!(row.address.is_some() && row.reference.is_some(), "{row:?}");
        let oid = app.emulator.last_claim("oid").unwrap();
        assert!(row.detail.contains(oid.as_str().unwrap()), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_sends_to_entra_with_everything_that_the_code_flow_needs() {
    let app = TestApp::start(Backend::Sqlite).await;
    let login = app.visitor().navigate("/login").await.expect(303);
    let tenant = app.emulator.tenant();
    let authorize = format!("{}/{tenant}/oauth2/v2.0/authorize?", app.emulator.url());
    assert!(login.location().starts_with(&authorize), "{login:?}");
    assert_eq!(login.header("cache-control"), "no-store");
    let sent = |name: &str| parameter(login.location(), name).unwrap_or_default();
    assert_eq!(sent("client_id"), app.emulator.client_id());
    assert_eq!(sent("response_type"), "code");
    assert_eq!(sent("response_mode"), "query");
    assert_eq!(sent("scope"), "openid profile email");
    assert_eq!(sent("code_challenge_method"), "S256");
    assert_eq!(sent("code_challenge").len(), 43);
    assert_eq!(sent("redirect_uri"), format!("{}/callback", app.url));
    assert!(sent("state").len() >= 22 && sent("nonce").len() >= 22);
    assert_ne!(sent("state"), sent("nonce"));
    assert_eq!(parameter(login.location(), "prompt"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sign_in_has_a_state_a_nonce_and_a_challenge_of_its_own() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let first = browser.navigate("/login").await.expect(303);
    let second = browser.navigate("/login").await.expect(303);
    for name in ["state", "nonce", "code_challenge"] {
        let (one, other) = (first.location(), second.location());
        assert_ne!(parameter(one, name), parameter(other, name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flow_cookie_is_short_lived_and_out_of_reach_of_scripts() {
    let app = TestApp::start(Backend::Sqlite).await;
    let login = app
        .visitor()
        .navigate("/login?redirect_uri=/secret-target")
        .await
        .expect(303);
    let line = set_cookie(&login, "flow").unwrap();
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=180"] {
        assert!(line.contains(attribute), "{attribute} in {line}");
    }
    let state = parameter(login.location(), "state").unwrap();
    assert!(
        !line.contains(&state) && !line.contains("secret-target"),
        "{line}"
    );
    assert!(!line.contains("Domain"), "{line}");
    assert_eq!(set_cookie(&login, "session"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flow_cookie_is_gone_after_the_trip() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let back = callback(&app, &browser, ADA, "/api/me").await;
    assert!(browser.cookie("flow").is_some());
    let reply = browser.navigate(&back).await.expect(303);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(browser.cookie("flow"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_account_is_asked_for_with_a_prompt() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let login = browser
        .navigate("/login?redirect_uri=/&account=other")
        .await
        .expect(303);
    assert_eq!(
        parameter(login.location(), "prompt").as_deref(),
        Some("select_account")
    );
    let login = browser.navigate("/login?account=same").await.expect(303);
    assert_eq!(parameter(login.location(), "prompt"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_begins_a_sign_in_even_for_somebody_who_is_signed_in() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    let login = browser
        .navigate("/login?redirect_uri=/api/me")
        .await
        .expect(303);
    assert!(
        login.location().starts_with(&app.emulator.url()),
        "{login:?}"
    );
    assert!(
        is_signed_in(&browser).await,
        "until the new one is finished the old one lives"
    );
    let me = browser
        .follow(&app.picked(login.location(), ADA))
        .await
        .expect(200)
        .json();
    assert_eq!(me["email"], ADA);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_sign_in_at_once_and_each_lands_where_it_wanted() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let first = callback(&app, &browser, ADA, "/first?a=1").await;
    let second = callback(&app, &browser, ADA, "/second?b=2").await;
    assert_eq!(
        browser.navigate(&second).await.expect(303).location(),
        "/second?b=2"
    );
    assert_eq!(
        browser.navigate(&first).await.expect(303).location(),
        "/first?a=1"
    );
    assert!(is_signed_in(&browser).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_goes_to_the_token_endpoint_once_with_its_verifier() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let back = callback(&app, &browser, GRACE, "/").await;
    browser.navigate(&back).await.expect(303);
    let form = app.emulator.last_token_request().unwrap().form;
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["redirect_uri"], format!("{}/callback", app.url));
    assert_eq!(Some(form["code"].clone()), parameter(&back, "code"));
    assert!(form["code_verifier"].len() >= 43);
    assert_eq!(app.emulator.counts().token, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefetch_begins_no_sign_in() {
    let app = TestApp::start(Backend::Sqlite).await;
    for purpose in [
        "prefetch",
        "prefetch;prerender",
        "prefetch;anonymous-client-ip",
    ] {
        let browser = app.visitor();
        let headers = [("sec-purpose", purpose), ("accept", "text/html")];
        let reply = browser
            .send(reqwest::Method::GET, "/login", &headers, Vec::new())
            .await;
        assert!(
            reply.status >= 400 && reply.location().is_empty(),
            "{purpose}: {reply:?}"
        );
        assert_eq!(set_cookie(&reply, "flow"), None, "{purpose}");
    }
    begun(&app.visitor(), "/").await;
}
