//! Where people land: the page that they asked for, unchanged, and never another site.

use portcullis::roles::Role;

use super::{callback, is_signed_in};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;

/// Where the trip ends for that value of `redirect_uri`.
async fn landing(app: &TestApp, target: &str) -> String {
    let browser = app.visitor();
    let back = callback(app, &browser, ADA, target).await;
    let reply = browser.navigate(&back).await.expect(303);
    assert!(is_signed_in(&browser).await);
    reply.location().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_and_whole_query_survive_the_trip_unchanged() {
    let app = TestApp::start(Backend::Sqlite).await;
    for target in [
        "/",
        "/?folder=reports&sort=-name&page=2",
        "/api/files/a%20b%2Fc%26d.pdf?x=1&y=%2526&z=a+b",
        "/api/files/%C3%9Cbersicht%20%F0%9F%9A%80.pdf",
        "/?q=%22quoted%22&q=twice&empty=&bare",
        "/?next=https://evil.example/%2F&redirect_uri=//evil.example",
        "/a//b/;v=1?code=1&state=2",
        "/?q=100%",
    ] {
        assert_eq!(landing(&app, target).await, target);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_outside_ascii_arrive_percent_encoded() {
    let app = TestApp::start(Backend::Sqlite).await;
    let there = landing(&app, "/Übersicht 1?q=日本&r=é").await;
    assert_eq!(there, "/%C3%9Cbersicht%201?q=%E6%97%A5%E6%9C%AC&r=%C3%A9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_link_opened_signed_out_comes_back_to_itself() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(ADA, Role::Reader).await;
    app.write("reports/a & b.txt", "hello");
    let deep = "/?folder=reports&q=a%20%26%20b&sort=name";
    let browser = app.visitor();
    let login = browser.navigate(deep).await.expect(303);
    assert!(
        login.location().starts_with("/login?redirect_uri="),
        "{login:?}"
    );
    let entra = browser.navigate(login.location()).await.expect(303);
    let page = browser
        .follow(&app.picked(entra.location(), ADA))
        .await
        .expect(200);
    assert_eq!(page.url.as_str(), format!("{}{deep}", app.url));
    assert!(page.text().contains("a &#38; b.txt") || page.text().contains("a &amp; b.txt"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_local_path_becomes_the_start_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    for target in [
        "",
        "//evil.example",
        "///evil.example/x",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "https://evil.example/",
        "HTTPS:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "/\0",
        " //evil.example",
    ] {
        assert_eq!(landing(&app, target).await, "/", "{target:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sign_in_itself_is_never_a_target() {
    let app = TestApp::start(Backend::Sqlite).await;
    for target in [
        "/login",
        "/callback?code=1",
        "/logout",
        "/x/../logout",
        "/signed-out",
    ] {
        assert_eq!(landing(&app, target).await, "/", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_of_1500_bytes_is_kept_and_a_longer_one_is_not() {
    let app = TestApp::start(Backend::Sqlite).await;
    let longest = format!("/?q={}", "a".repeat(1_496));
    assert_eq!(landing(&app, &longest).await, longest);
    assert_eq!(landing(&app, &format!("{longest}a")).await, "/");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_link_that_makes_no_sense_leads_to_the_start_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    for query in [
        "?redirect_uri=/a&redirect_uri=/b",
        "?redirect_uri",
        "?redirect_uri=%ff",
        "?&&=%",
    ] {
        let browser = app.visitor();
        let login = browser
            .navigate(&format!("/login{query}"))
            .await
            .expect(303);
        let answer = browser
            .navigate(&app.picked(login.location(), ADA))
            .await
            .expect(302);
        let reply = browser.navigate(answer.location()).await.expect(303);
        assert_eq!(reply.location(), "/", "{query}");
    }
}
