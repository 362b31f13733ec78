//! What people do with tabs, the Back button and bookmarks while they sign in.

use super::portal;
use crate::support::chromium::Chromium;
use crate::support::emulator::accounts::ADA;

fn pick() -> String {
    format!("button[value=\"{ADA}\"]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_finish_their_sign_in_in_either_order() {
    let app = portal().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    let (first, second) = (
        format!("{}/?q=first", app.url),
        format!("{}/?q=second", app.url),
    );
    for finished_first in [0, 1] {
        app.emulator.forget_sessions();
        browser.window.delete_all_cookies().await.unwrap();
        let mut tabs = vec![browser.window.window().await.unwrap()];
        browser.open(&first).await;
        tabs.push(browser.window.new_window(true).await.unwrap().handle);
        browser
            .window
            .switch_to_window(tabs[1].clone())
            .await
            .unwrap();
        browser.open(&second).await;
        for tab in [finished_first, 1 - finished_first] {
            browser
                .window
                .switch_to_window(tabs[tab].clone())
                .await
                .unwrap();
            browser.click(&pick()).await;
            browser.arrive([&first, &second][tab]).await;
        }
        browser
            .window
            .switch_to_window(tabs[1].clone())
            .await
            .unwrap();
        browser.window.close_window().await.unwrap();
        browser
            .window
            .switch_to_window(tabs[0].clone())
            .await
            .unwrap();
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_and_a_bookmarked_sign_in_page_lead_on_instead_of_into_an_error() {
    let app = portal().await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    let target = format!("{}/?folder=Reports%2F2026", app.url);
    browser.open(&target).await;
    let bookmark = browser.window.current_url().await.unwrap();
    browser.click(&pick()).await;
    browser.arrive(&target).await;

    // Back asks Entra once more, which answers by itself to a state that was used: on to where they wanted.
    let asked = app.emulator.counts().authorize;
    browser.window.back().await.unwrap();
    app.eventually("Entra is asked again", async || {
        app.emulator.counts().authorize > asked
    })
    .await;
    browser.arrive(&target).await;

    // The bookmark holds a state that was used.
    app.emulator.forget_sessions();
    browser.open(bookmark.as_str()).await;
    browser.click(&pick()).await;
    browser.arrive(&target).await;

    // Signed out, the same bookmark is a page with one button, and that leads to the target.
    browser.window.delete_cookie("session").await.unwrap();
    app.emulator.forget_sessions();
    browser.open(bookmark.as_str()).await;
    browser.click(&pick()).await;
    browser.click_link("Start again").await;
    browser.arrive(&target).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_page_left_open_over_a_meeting_starts_again_with_its_target() {
    let app = portal().await;
    let Some(browser) = Chromium::start(false).await else {
        return;
    };
    let target = format!("{}/?folder=Reports%2F2026&sort=-size", app.url);
    browser.open(&target).await;
    // Cookies of the portal are those of its host, whatever the port.
    browser.window.delete_cookie("flow").await.unwrap();
    browser.click(&pick()).await;
    browser.click_link("Start again").await;
    browser.arrive(&target).await;
    browser.close().await;
}
