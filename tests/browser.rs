//! The story that the portal exists for, in a real browser: a deep link, the account picker, a plain link, the file.

mod kept_form;
mod tabs;

use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;

const NAME: &str = "Übersicht „Q3“ 100%.pdf";

/// Three megabytes without a pattern.
fn content() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    (0..3_000_000).map(|_| next()).collect()
}

/// A portal with one reader and one large file.
pub async fn portal() -> TestApp {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(ADA, Role::Reader).await;
    app.write(&format!("Reports/2026/{NAME}"), content());
    app
}

async fn walk(javascript: bool) {
    let app = portal().await;
    let Some(browser) = Chromium::start(javascript).await else {
        return;
    };
    let deep_link = format!("{}/?folder=Reports%2F2026&sort=-size", app.url);
    browser.open(&deep_link).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&deep_link).await;
    browser.click_link("Übersicht").await;
    assert!(
        browser.downloaded(NAME).await == content(),
        "the file differs"
    );
    let told = app.audited("downloaded").await;
    assert_eq!(
        (told.actor.as_str(), told.outcome.as_str(), told.bytes),
        (ADA, "whole", Some(3_000_000))
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_link_leads_through_the_sign_in_to_the_file() {
    walk(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_works_without_javascript() {
    walk(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_clicked_after_the_session_ended_leads_through_the_sign_in_to_the_file() {
    let app = portal().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    let folder = format!("{}/?folder=Reports%2F2026", app.url);
    browser.open(&folder).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&folder).await;
    browser.window.delete_cookie("session").await.unwrap();

    browser.click_link("Übersicht").await;
    browser.click_link("Sign in").await;
    // Microsoft still knows the person, so the file comes without another question.
    assert!(
        browser.downloaded(NAME).await == content(),
        "the file differs"
    );

    // A link with `download`, as other pages may have it: Chromium saves nothing for a 401, least of all the page.
    browser.open(&folder).await;
    let mark = "document.querySelectorAll('a[href^=\"/api/files\"]').forEach(a => a.setAttribute('download', ''))";
    browser.window.execute(mark, Vec::new()).await.unwrap();
    browser.click_link("Übersicht").await;
    assert!(
        browser.downloaded(NAME).await == content(),
        "signed in, it is as good as a plain link"
    );
    browser.window.delete_cookie("session").await.unwrap();
    browser.click_link("Übersicht").await;
    app.eventually("the refused download reaches the portal", async || {
        !browser
            .files()
            .iter()
            .any(|name| name.ends_with(".crdownload"))
    })
    .await;
    assert_eq!(
        browser.files(),
        Vec::<String>::new(),
        "no sign-in page is saved as a file"
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_here_and_at_microsoft() {
    let app = portal().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    browser.open(&app.url).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{}/", app.url)).await;
    browser.click_link("Sign out").await;
    browser.arrive(&format!("{}/signed-out", app.url)).await;
    assert_eq!(app.emulator.counts().logout, 1);
    // The picker again: nobody is signed in silently.
    browser.click_link("Sign in").await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{}/", app.url)).await;

    // By a form from the page that asks first: the policy must let the redirect to Microsoft pass.
    browser.window.execute(
        "const f = document.createElement('form'); f.method = 'post'; f.action = '/logout'; document.body.append(f); f.submit()",
        Vec::new(),
    ).await.unwrap();
    browser.arrive(&format!("{}/signed-out", app.url)).await;
    assert_eq!(app.emulator.counts().logout, 2);
    browser.close().await;
}
