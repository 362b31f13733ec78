//! Signing in and out, against the emulator, for both credentials, and each way of being refused.

mod age;
mod callback;
mod conformance;
mod cookie;
pub mod credentials;
mod credentials_change;
mod entra_down;
mod journey;
mod managed_identity;
mod redeemed;
mod refused;
mod secrets;
mod sign_out;
mod target;
mod unconfigured;
mod wording;

use std::time::{Duration, Instant};

use portcullis::audit::store::Entry;
use url::Url;

use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};

/// The claim's or parameter's value in an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// The `Set-Cookie` line that sets `name`, if there is one.
fn set_cookie(reply: &Reply, name: &str) -> Option<String> {
    let lines = reply.headers.get_all("set-cookie").iter();
    let mut lines = lines.map(|line| line.to_str().unwrap().to_owned());
    lines.find(|line| line.starts_with(&format!("{name}=")))
}

/// Whether the portal knows who uses that browser.
async fn is_signed_in(browser: &Browser) -> bool {
    match browser.get("/api/me").await.status {
        200 => true,
        401 => false,
        other => panic!("/api/me answers {other}"),
    }
}

/// Goes to Entra for `target`, picks somebody, and returns the callback's address without opening it.
async fn callback(app: &TestApp, browser: &Browser, email: &str, target: &str) -> String {
    let login = browser
        .navigate(&portcullis::auth::return_to::login_url(target))
        .await
        .expect(303);
    let picked = app.picked(login.location(), email);
    let answer = browser.navigate(&picked).await.expect(302);
    assert!(answer.location().starts_with(&app.url), "{answer:?}");
    answer.location().to_owned()
}

/// The state of a sign-in that was just begun.
async fn begun(browser: &Browser, target: &str) -> String {
    let login = browser
        .navigate(&portcullis::auth::return_to::login_url(target))
        .await
        .expect(303);
    parameter(login.location(), "state").unwrap()
}

/// The first refused sign-in written down after the row `id`.
async fn refusal_after(app: &TestApp, id: i64) -> Entry {
    let mut found = None;
    app.eventually("the refusal is written down", async || {
        let mut rows = app.audit().await.into_iter();
        found = rows.rfind(|row| row.action == "sign_in_refused" && row.id > id);
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The newest audit row's number.
async fn newest(app: &TestApp) -> i64 {
    app.audit().await.first().map_or(0, |row| row.id)
}

/// Asks four times a second until the answer is yes, for 15 seconds at most.
async fn recovers(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(15), "{what}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
