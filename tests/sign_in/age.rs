//! A session's age counts on the server, whatever the browser goes on sending.

use std::time::{Duration, Instant};

use super::is_signed_in;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;

/// Signs in and returns when that began, and the cookie.
async fn signed_in(app: &TestApp) -> (Instant, String) {
    let began = Instant::now();
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    (began, browser.cookie("session").unwrap())
}

/// Asks with this very cookie, never with one handed out since.
async fn lives(app: &TestApp, cookie: &str) -> bool {
    let browser = app.visitor();
    browser.set_cookie("session", Some(cookie));
    is_signed_in(&browser).await
}

/// Asks until the cookie is refused, and returns how long that took since `began`.
async fn life(app: &TestApp, cookie: &str, began: Instant) -> Duration {
    app.eventually("the session ends", async || !lives(app, cookie).await)
        .await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_at_its_age_although_it_is_in_use() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SESSION_TTL", "3s")
        .start()
        .await;
    let (began, cookie) = signed_in(&app).await;
    assert!(lives(&app, &cookie).await);
    let life = life(&app, &cookie, began).await;
    assert!(
        life >= Duration::from_secs(3),
        "it was refused after {life:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_after_a_pause() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SESSION_IDLE", "2s")
        .start()
        .await;
    let (began, cookie) = signed_in(&app).await;
    // The same cookie each time: to the server, nobody has used the session since it was sealed.
    let life = life(&app, &cookie, began).await;
    assert!(
        life >= Duration::from_secs(2),
        "it was refused after {life:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_keeps_a_session_from_ending_by_its_pause() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SESSION_IDLE", "2s")
        .start()
        .await;
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    let first = browser.cookie("session").unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert!(is_signed_in(&browser).await, "after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(
        browser.cookie("session").unwrap(),
        first,
        "its use was noted"
    );
    assert!(!lives(&app, &first).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_does_not_lengthen_the_whole_life_of_a_session() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SESSION_TTL", "3s")
        .with("SESSION_IDLE", "2s")
        .start()
        .await;
    let browser = app.visitor();
    let began = Instant::now();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    app.eventually("the session ends", async || !is_signed_in(&browser).await)
        .await;
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "after {:?}",
        began.elapsed()
    );
}
