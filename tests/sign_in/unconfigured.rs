//! Without a client id nothing opens; with a low rate not much does.

use reqwest::Method;

use super::set_cookie;
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;

async fn from(browser: &Browser, address: &str) -> Reply {
    let headers = [("x-forwarded-for", address), ("accept", "text/html")];
    browser
        .send(Method::GET, "/login", &headers, Vec::new())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_client_id_login_names_the_variable_and_everything_stays_closed() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_ID", "")
        .start()
        .await;
    app.write("report.txt", "protected");
    let browser = app.visitor();
    let page = browser.navigate("/login?redirect_uri=/").await.expect(503);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text().contains("APP_REG_CLIENT_ID"), "{}", page.text());
    assert_eq!(set_cookie(&page, "flow"), None);

    for path in [
        "/api/me",
        "/api/items",
        "/api/files/report.txt",
        "/api/nothing",
    ] {
        browser.get(path).await.expect(401);
    }
    for path in ["/", "/admin", "/nothing"] {
        let reply = browser.navigate(path).await.expect(303);
        assert!(
            reply.location().starts_with("/login?redirect_uri="),
            "{reply:?}"
        );
    }
    browser
        .navigate("/callback?code=1&state=2")
        .await
        .expect(400);
    browser.navigate("/signed-out").await.expect(200);
    browser
        .get("/logout/frontchannel?sid=1&iss=2")
        .await
        .expect(200);
    assert_eq!(
        browser.navigate("/logout").await.expect(303).location(),
        "/signed-out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fourth_sign_in_of_a_minute_waits_where_three_are_allowed() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SIGN_IN_RATE", "3/min")
        .start()
        .await;
    for _ in 0..2 {
        app.visitor().navigate("/login").await.expect(303);
    }
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    let reply = app.visitor().navigate("/login").await.expect(429);
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(reply.header("content-type").starts_with("text/html"));
    assert_eq!(set_cookie(&reply, "flow"), None);
    browser.get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_forwarding_header_does_not_get_round_the_rate() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SIGN_IN_RATE", "1/h")
        .start()
        .await;
    let browser = app.visitor();
    from(&browser, "203.0.113.1").await.expect(303);
    from(&browser, "203.0.113.2").await.expect(429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_each_client_has_a_rate_of_its_own() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SIGN_IN_RATE", "1/h")
        .with("TRUSTED_PROXIES", "127.0.0.0/8, ::1")
        .start()
        .await;
    let browser = app.visitor();
    from(&browser, "203.0.113.1").await.expect(303);
    from(&browser, "203.0.113.2").await.expect(303);
    from(&browser, "203.0.113.1").await.expect(429);
}
