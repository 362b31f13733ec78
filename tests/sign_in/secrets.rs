//! `API_COOKIE_SECRET`: another secret opens nothing, and a new one takes over without signing anybody out.

use super::{callback, is_signed_in, set_cookie};
use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;
use crate::support::on_both;

const NEW: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

/// The portal once more, on the same database and beside the same Entra, with these secrets.
async fn with_secrets(app: &TestApp, secrets: &str) -> TestApp {
    TestApp::builder(Backend::Sqlite)
        .on(&app.database_url)
        .beside(&app.emulator)
        .with("API_COOKIE_SECRET", secrets)
        .start()
        .await
}

/// A browser at `app` with that session cookie.
fn holding(app: &TestApp, cookie: &str) -> Browser {
    let browser = app.visitor();
    browser.set_cookie("session", Some(cookie));
    browser
}

on_both! {
    async fn a_cookie_sealed_under_another_secret_is_like_none(app: TestApp) {
        let browser = app.visitor();
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let cookie = browser.cookie("session").unwrap();

        let same = with_secrets(&app, &COOKIE_SECRET[..64]).await;
        assert!(is_signed_in(&holding(&same, &cookie)).await, "two instances share sessions");
        let other = with_secrets(&app, NEW).await;
        assert!(!is_signed_in(&holding(&other, &cookie)).await);
    }

    async fn an_older_secret_goes_on_opening_and_the_cookie_is_sealed_anew(app: TestApp) {
        let browser = app.visitor();
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let old_cookie = browser.cookie("session").unwrap();
        let old = &COOKIE_SECRET[..64];

        let both = with_secrets(&app, &format!("{NEW},{old}")).await;
        let browser = holding(&both, &old_cookie);
        let reply = browser.get("/api/me").await.expect(200);
        assert_eq!(reply.json()["email"], ADA);
        assert!(set_cookie(&reply, "session").is_some_and(|line| line.contains("; HttpOnly")));
        let new_cookie = browser.cookie("session").unwrap();
        assert_ne!(new_cookie, old_cookie);
        let again = browser.get("/api/me").await.expect(200);
        assert_eq!(set_cookie(&again, "session"), None, "once is enough");

        let only_new = with_secrets(&app, NEW).await;
        assert!(is_signed_in(&holding(&only_new, &new_cookie)).await);
        assert!(!is_signed_in(&holding(&only_new, &old_cookie)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_under_way_survives_a_new_secret() {
    let app = TestApp::start(Backend::Sqlite).await;
    let both = with_secrets(&app, &format!("{NEW},{}", &COOKIE_SECRET[..64])).await;
    let browser = app.visitor();
    // Begun under the old secret at one instance; its code was made for that instance's address, so only the
    // reading of the flow cookie is looked at: a known state is refused with 401, an unknown one with 400.
    let back = callback(&app, &browser, ADA, "/").await;
    let state = super::parameter(&back, "state").unwrap();
    let moved = both.visitor();
    moved.set_cookie("flow", browser.cookie("flow").as_deref());
    moved
        .navigate(&format!("/callback?state={state}&error=access_denied"))
        .await
        .expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_works_with_a_cookie_sealed_under_an_older_secret() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    let both = with_secrets(&app, &format!("{NEW},{}", &COOKIE_SECRET[..64])).await;
    let moved = holding(&both, &browser.cookie("session").unwrap());
    moved.navigate("/logout").await.expect(303);
    assert_eq!(moved.cookie("session"), None);
    assert!(!is_signed_in(&holding(&both, &browser.cookie("session").unwrap())).await);
}
