//! A form that was sent after the session ended comes back as it was filled in.

use fantoccini::Locator;
use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::GRACE;

async fn fill(browser: &Chromium, css: &str, text: &str) {
    let field = browser.window.find(Locator::Css(css)).await.unwrap();
    field.send_keys(text).await.unwrap();
}

async fn walk(javascript: bool) {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(GRACE, Role::Editor).await;
    let Some(browser) = Chromium::start(javascript).await else {
        return;
    };
    let file = app.folder().join("plan.txt");
    std::fs::write(&file, "the plan").unwrap();
    browser.open(&format!("{}/publish", app.url)).await;
    browser.click(&format!("button[value=\"{GRACE}\"]")).await;
    browser.arrive(&format!("{}/publish", app.url)).await;
    let here = browser.window.window().await.unwrap();

    fill(&browser, "#folder", "Plans/2026").await;
    fill(&browser, "#title", "The “plan” <1>").await;
    fill(&browser, "#file", &file.display().to_string()).await;
    browser.window.delete_cookie("session").await.unwrap();
    browser.click("form button[type=submit]").await;

    browser.click_link("Sign in").await;
    app.eventually("the sign-in opens in a new tab", async || {
        browser.window.windows().await.unwrap().len() == 2
    })
    .await;
    let tabs = browser.window.windows().await.unwrap();
    let there = tabs.into_iter().find(|tab| *tab != here).unwrap();
    browser.window.switch_to_window(there).await.unwrap();
    // Microsoft still knows who it is.
    browser.arrive(&format!("{}/account", app.url)).await;
    browser.window.switch_to_window(here).await.unwrap();
    browser.click("form button").await;
    for (css, text) in [("#folder", "Plans/2026"), ("#title", "The “plan” <1>")] {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_survives_the_end_of_the_session() {
    walk(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_without_javascript_too() {
    walk(false).await;
}
