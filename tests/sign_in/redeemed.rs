//! 54005: Entra says that the code was redeemed before. One new try, then a page, and never a loop.

use portcullis::roles::Role;
use reqwest::Method;

use super::{callback, is_signed_in, newest, refusal_after, set_cookie};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, KARL};
use crate::support::on_both;

on_both! {
    async fn whoever_is_not_signed_in_gets_one_new_try_straight_at_entra(app: TestApp) {
        let browser = app.visitor();
        app.emulator.fail_next_token("invalid_grant", &[54005]);
        let back = callback(&app, &browser, ADA, "/api/me?x=1").await;
        let reply = browser.navigate(&back).await.expect(303);
        let authorize = format!("{}/{}/oauth2/v2.0/authorize?", app.emulator.url(), app.emulator.tenant());
        assert!(reply.location().starts_with(&authorize), "{reply:?}");
        assert!(set_cookie(&reply, "flow").is_some());
        let me = browser.follow(reply.location()).await.expect(200);
        assert_eq!((me.url.path(), me.url.query()), ("/api/me", Some("x=1")));
        assert_eq!(me.json()["email"], ADA);
    }

    async fn a_second_time_is_a_page_and_not_a_loop(app: TestApp) {
        let browser = app.visitor();
        let id = newest(&app).await;
        app.emulator.fail_next_token("invalid_grant", &[54005]);
        app.emulator.fail_next_token("invalid_grant", &[54005]);
        let page = app.sign_in(&browser, ADA, "/api/me").await.expect(401);
        assert_eq!(page.url.path(), "/callback");
        assert!(page.text().contains("href=\"/login?redirect_uri=%2Fapi%2Fme\""), "{}", page.text());
        assert_eq!(app.emulator.counts().token, 2);
        assert_eq!(app.emulator.counts().authorize, 2);
        assert!(!is_signed_in(&browser).await);
        assert_eq!(refusal_after(&app, id).await.outcome, "already_redeemed");
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    }

    async fn whoever_is_signed_in_goes_on_to_the_target(app: TestApp) {
        let browser = app.visitor();
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let session = browser.cookie("session");
        let back = callback(&app, &browser, ADA, "/?q=%26&sort=name").await;
        app.emulator.fail_next_token("invalid_grant", &[54005]);
        let reply = browser.navigate(&back).await.expect(303);
        assert_eq!(reply.location(), "/?q=%26&sort=name");
        assert_eq!(browser.cookie("session"), session);
        assert!(is_signed_in(&browser).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_counts_and_not_the_word_for_the_error() {
    let app = TestApp::start(Backend::Sqlite).await;
    for (error, codes) in [
        ("invalid_request", &[54005][..]),
        ("server_error", &[70000, 54005][..]),
        ("invalid_client", &[54005][..]),
        ("", &[54005][..]),
    ] {
        let browser = app.visitor();
        app.emulator.fail_next_token(error, codes);
        let back = callback(&app, &browser, ADA, "/").await;
        let reply = browser.navigate(&back).await.expect(303);
        assert!(
            reply.location().starts_with(&app.emulator.url()),
            "{error}: {reply:?}"
        );

        let signed_in = app.signed_in_as(Role::Reader).await;
        let back = callback(&app, &signed_in, KARL, "/target").await;
        app.emulator.fail_next_token(error, codes);
        assert_eq!(
            signed_in.navigate(&back).await.expect(303).location(),
            "/target",
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_code_is_a_page_at_once() {
    let app = TestApp::start(Backend::Sqlite).await;
    for codes in [&[70008][..], &[540][..], &[5400, 5][..], &[]] {
        let browser = app.visitor();
        app.emulator.fail_next_token("invalid_grant", codes);
        app.sign_in(&browser, ADA, "/").await.expect(401);
        assert!(!is_signed_in(&browser).await, "{codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_session_is_cleared_before_the_new_try() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    let elsewhere = browser.copy();
    let headers = [("sec-fetch-site", "same-origin")];
    let ended = elsewhere
        .send(Method::POST, "/api/me/sign-out", &headers, Vec::new())
        .await;
    ended.expect(204);
    assert!(browser.cookie("session").is_some());

    let back = callback(&app, &browser, ADA, "/").await;
    app.emulator.fail_next_token("invalid_grant", &[54005]);
    let reply = browser.navigate(&back).await.expect(303);
    assert!(
        reply.location().starts_with(&app.emulator.url()),
        "{reply:?}"
    );
    assert_eq!(browser.cookie("session"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_arrives_twice_at_once_signs_in_without_an_error_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    let back = callback(&app, &browser, ADA, "/target").await;
    let twin = browser.copy();
    let (one, other) = tokio::join!(browser.navigate(&back), twin.navigate(&back));
    let landed = |location: &str| location == "/target";
    let restarted = |location: &str| location.starts_with(&app.emulator.url());
    let both = [one.expect(303), other.expect(303)];
    assert!(
        both.iter().any(|reply| landed(reply.location())),
        "{both:?}"
    );
    let fine = |location: &str| landed(location) || restarted(location);
    assert!(both.iter().all(|reply| fine(reply.location())), "{both:?}");
}
