//! Renaming, deleting and bringing back in a real browser, by keyboard alone and without JavaScript.

use fantoccini::key::Key;
use portcullis::roles::Role;

use super::visible;
use crate::publishing::form::file;
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::GRACE;

async fn enter(browser: &Chromium, css: &str) {
    browser.tab_to(css).await;
    browser.press(Key::Enter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_editor_renames_deletes_and_brings_back_by_keyboard_without_javascript() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    file("draft.txt", "hello")
        .publish(&editor)
        .await
        .expect(201);
    let Some(browser) = Chromium::start(false).await else {
        return;
    };
    app.emulator.forget_sessions();
    browser.open(&format!("{}/", app.url)).await;
    enter(&browser, &format!("button[value=\"{GRACE}\"]")).await;
    browser.heading("All files").await;

    enter(&browser, "a[href=\"/item?path=draft.txt\"]").await;
    browser.heading("draft.txt").await;
    enter(&browser, "a[href=\"/item/move?path=draft.txt\"]").await;
    browser.heading("Rename or move").await;
    browser.tab_to("#name").await;
    // Tabbing into a field selects what is in it.
    browser.keys("CON").await;
    browser.press(Key::Enter).await;
    browser.heading("Rename or move").await;
    let source = browser.window.source().await.unwrap();
    assert!(source.contains("Windows keeps it for a device"), "{source}");
    enter(&browser, ".refused a").await;
    browser.tab_to("#name").await;
    browser.keys("final.txt").await;
    browser.press(Key::Enter).await;
    browser.heading("Is this right?").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("final.txt").await;
    assert_eq!(visible(&app), ["final.txt"]);

    enter(&browser, "a[href=\"/item/delete?path=final.txt\"]").await;
    browser.heading("Delete this?").await;
    enter(&browser, "button.danger").await;
    browser.heading("All files").await;
    assert!(visible(&app).is_empty());
    enter(&browser, "a[href=\"/trash\"]").await;
    browser.heading("Trash").await;
    enter(&browser, "a[href$=\"/restore\"]").await;
    browser.heading("Bring back").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("Bring this back?").await;
    enter(&browser, "button[type=submit]").await;
    browser.heading("final.txt").await;
    assert_eq!(visible(&app), ["final.txt"]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_finds_a_file_by_searching_for_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(GRACE, Role::Reader).await;
    app.write("Finance/2026/Übersicht.txt", "found");
    app.write("Finance/2026/other.txt", "other");
    let Some(browser) = Chromium::start(false).await else {
        return;
    };
    browser.open(&format!("{}/", app.url)).await;
    browser.click(&format!("button[value=\"{GRACE}\"]")).await;
    browser.heading("All files").await;
    browser.tab_to("#q").await;
    browser.keys("ubersicht").await;
    browser.press(Key::Enter).await;
    browser.heading("Search results").await;
    let source = browser.window.source().await.unwrap();
    assert!(
        source.contains("1 match") && source.contains("in Finance/2026"),
        "{source}"
    );
    assert!(!source.contains("other.txt"), "{source}");
    browser.click("tbody a.name").await;
    assert_eq!(browser.downloaded("Übersicht.txt").await, b"found");
    browser.close().await;
}
