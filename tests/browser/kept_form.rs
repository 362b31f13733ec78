//! A form that was sent after the session ended comes back as it was filled in.

use std::path::{Path, PathBuf};

use fantoccini::Locator;
use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::GRACE;

const TITLE: &str = "The “plan” <1>";

async fn fill(browser: &Chromium, css: &str, text: &str) {
    let field = browser.window.find(Locator::Css(css)).await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// Fills the form in while the session lives, and sends it when that has ended.
async fn send_too_late(browser: &Chromium, app: &TestApp, file: &Path) {
    browser.open(&format!("{}/publish", app.url)).await;
    browser.click(&format!("button[value=\"{GRACE}\"]")).await;
    browser.arrive(&format!("{}/publish", app.url)).await;
    fill(browser, "#folder", "Plans/2026").await;
    fill(browser, "#title", TITLE).await;
    fill(browser, "#file", &file.display().to_string()).await;
    browser.window.delete_cookie("session").await.unwrap();
    browser.click("form button[type=submit]").await;
}

/// Signs in by the link on the page, which opens a tab of its own; Microsoft still knows who it is.
async fn sign_in_beside(browser: &Chromium, app: &TestApp, target: &str) {
    let here = browser.window.window().await.unwrap();
    browser.click_link("Sign in").await;
    app.eventually("the sign-in opens in a new tab", async || {
        browser.window.windows().await.unwrap().len() == 2
    })
    .await;
    let tabs = browser.window.windows().await.unwrap();
    let there = tabs.into_iter().find(|tab| *tab != here).unwrap();
    browser.window.switch_to_window(there).await.unwrap();
    browser.arrive(&format!("{}{target}", app.url)).await;
    browser.window.switch_to_window(here).await.unwrap();
}

async fn prepared(javascript: bool) -> Option<(TestApp, Chromium, PathBuf)> {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(GRACE, Role::Editor).await;
    let browser = Chromium::start(javascript).await?;
    let file = app.folder().join("plan.txt");
    std::fs::write(&file, "the plan").unwrap();
    Some((app, browser, file))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_of_the_form_sends_it_once_its_sender_is_signed_in_again() {
    let Some((app, browser, file)) = prepared(true).await else {
        return;
    };
    send_too_late(&browser, &app, &file).await;
    sign_in_beside(&browser, &app, "/publish").await;
    let published = app.files().join("Plans/2026/plan.txt");
    app.eventually("the file is published", async || published.exists())
        .await;
    let listed = app.signed_in_as(Role::Editor).await;
    let items = listed.get("/api/items").await.expect(200).json();
    assert_eq!(items[0]["title"], TITLE, "{items}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_survives_the_end_of_the_session_without_javascript() {
    let Some((app, browser, file)) = prepared(false).await else {
        return;
    };
    send_too_late(&browser, &app, &file).await;
    sign_in_beside(&browser, &app, "/account").await;
    browser.click("form button").await;
    for (css, text) in [("#folder", "Plans/2026"), ("#title", TITLE)] {
        let field = browser.window.wait().for_element(Locator::Css(css)).await;
        let value = field.unwrap().prop("value").await.unwrap();
        assert_eq!(value.as_deref(), Some(text), "{css}");
    }
    assert!(
        !app.files().join("Plans").exists(),
        "nothing was sent by itself"
    );
    fill(&browser, "#file", &file.display().to_string()).await;
    browser.click("form button[type=submit]").await;
    browser
        .arrive(&format!("{}/?folder=Plans%2F2026", app.url))
        .await;
    let published = app.files().join("Plans/2026/plan.txt");
    assert_eq!(std::fs::read(published).unwrap(), b"the plan");
    browser.close().await;
}
