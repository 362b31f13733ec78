//! An admin's work in a real browser, by keyboard alone, with JavaScript and without it.

use std::time::{Duration, Instant};

use fantoccini::key::Key;
use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, KARL, NO_ROLE};

/// Tabs to something and presses Enter on it.
async fn enter(browser: &Chromium, css: &str) {
    browser.tab_to(css).await;
    browser.press(Key::Enter).await;
}

/// Tabs to a field and types.
async fn fill(browser: &Chromium, css: &str, text: &str) {
    browser.tab_to(css).await;
    browser.keys(text).await;
}

async fn sign_in(app: &TestApp, browser: &Chromium, email: &str, path: &str) {
    browser.window.delete_all_cookies().await.unwrap();
    app.emulator.forget_sessions();
    browser.open(&format!("{}{path}", app.url)).await;
    enter(browser, &format!("button[value=\"{email}\"]")).await;
}

/// Waits for a text: the page before it may have the same heading.
async fn reads(browser: &Chromium, text: &str) {
    let began = Instant::now();
    loop {
        let source = browser.window.source().await.unwrap();
        if source.replace("<wbr>", "").contains(text) {
            return;
        }
        let waited = began.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "{text} is not in {source}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn an_admins_day(javascript: bool) {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(ADA, Role::Admin).await;
    app.write("a.txt", "a");
    let Some(browser) = Chromium::start(javascript).await else {
        return;
    };

    // Somebody asks for access, with the one button of the page that refuses them.
    sign_in(&app, &browser, NO_ROLE, "/").await;
    browser.heading("have no access yet").await;
    enter(&browser, "form[action=\"/account/access-request\"] button").await;
    browser
        .heading("Your request is with the administrators")
        .await;

    // An admin adds a person, after having been shown what changes.
    sign_in(&app, &browser, ADA, "/admin").await;
    browser.heading("Overview").await;
    enter(&browser, ".sections a[href=\"/admin/people\"]").await;
    browser.heading("People").await;
    enter(&browser, ".tools a[href=\"/admin/person/grant\"]").await;
    browser.heading("Add a person").await;
    // Too little at first: the sentence leads to its field.
    fill(&browser, "#email", KARL).await;
    browser.press(Key::Enter).await;
    browser.heading("Add a person").await;
    reads(&browser, "Choose a role: reader, editor or admin.").await;
    enter(&browser, ".refused a").await;
    fill(&browser, "#role", "r").await;
    fill(&browser, "#note", "for the archive").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("Is this right?").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading(KARL).await;
    reads(&browser, "The role was given.").await;
    reads(&browser, "for the archive").await;

    // And takes the role away again.
    enter(&browser, ".tools a[href*=\"/remove\"]").await;
    browser.heading("Take the role away?").await;
    enter(&browser, "button.danger").await;
    browser.heading("People").await;
    reads(&browser, "The role was taken away.").await;

    // Imports a list, and takes the import back.
    enter(&browser, ".tools a[href=\"/admin/people/import\"]").await;
    browser.heading("Import a list").await;
    fill(&browser, "#list", "karl.weber@contoso.example,editor").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("What the list changes").await;
    reads(&browser, "1 added.").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("People").await;
    reads(&browser, "The list was applied").await;
    enter(&browser, ".sections a[href=\"/admin/audit\"]").await;
    browser.heading("Activity").await;
    fill(&browser, "#person", KARL).await;
    browser.press(Key::Enter).await;
    browser.heading("Activity").await;
    enter(&browser, "tbody tr:first-child summary").await;
    enter(&browser, "tbody tr:first-child details a").await;
    browser.heading("Take this back?").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("Activity").await;
    reads(&browser, "It was taken back.").await;

    // Answers the request, and looks why somebody may.
    enter(&browser, ".sections a[href=\"/admin/requests\"]").await;
    browser.heading("Requests").await;
    enter(&browser, "a[href=\"/admin/request?id=1\"]").await;
    browser.heading("No Role asks for access").await;
    enter(&browser, "form[action=\"/admin/request/approve\"] button").await;
    browser.heading("Requests").await;
    reads(&browser, "The request was approved").await;
    enter(&browser, ".sections a[href=\"/admin/why\"]").await;
    browser.heading("Access check").await;
    fill(&browser, "#email", NO_ROLE).await;
    fill(&browser, "#path", "a.txt").await;
    browser.press(Key::Enter).await;
    browser.heading("Access check").await;
    reads(&browser, "Yes: nothing is in the way.").await;

    // Whoever asked is in.
    sign_in(&app, &browser, NO_ROLE, "/").await;
    browser.heading("All files").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_works_by_keyboard_alone() {
    an_admins_day(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_works_without_javascript() {
    an_admins_day(false).await;
}
