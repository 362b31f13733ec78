//! Who may do what: one table of every route, for a visitor and for each role. A route that is missing here fails the suite.

use std::collections::BTreeSet;

use portcullis::roles::Role;
use reqwest::Method;

use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::on_both;

/// Method, address, and the expected status for: visitor, no role, reader, editor, admin.
const TABLE: &[(&str, &str, [u16; 5])] = &[
    // public
    ("GET", "/login", [303, 303, 303, 303, 303]),
    ("POST", "/login", [405, 405, 405, 405, 405]),
    ("GET", "/callback", [400, 303, 303, 303, 303]),
    ("GET", "/signed-out", [200, 200, 200, 200, 200]),
    ("GET", "/logout/frontchannel", [200, 200, 200, 200, 200]),
    ("GET", "/openapi.json", [200, 200, 200, 200, 200]),
    ("POST", "/openapi.json", [405, 405, 405, 405, 405]),
    ("GET", "/docs", [200, 200, 200, 200, 200]),
    ("GET", "/redoc", [303, 303, 303, 303, 303]),
    ("GET", "/health/live", [200, 200, 200, 200, 200]),
    ("GET", "/health/ready", [200, 200, 200, 200, 200]),
    ("GET", "/static/app.css", [404, 404, 404, 404, 404]),
    // signed in
    ("GET", "/api/me", [401, 200, 200, 200, 200]),
    ("POST", "/api/me", [401, 405, 405, 405, 405]),
    ("GET", "/api/me/sign-out", [401, 405, 405, 405, 405]),
    ("GET", "/account", [303, 200, 200, 200, 200]),
    ("POST", "/account", [401, 405, 405, 405, 405]),
    ("GET", "/account/access-request", [303, 200, 200, 200, 200]),
    ("POST", "/account/access-request", [401, 303, 303, 303, 303]),
    ("PUT", "/account/access-request", [401, 405, 405, 405, 405]),
    ("GET", "/account/sign-out", [303, 405, 405, 405, 405]),
    ("POST", "/account/sign-out", [401, 404, 404, 404, 404]),
    (
        "GET",
        "/account/sign-out-everywhere",
        [303, 405, 405, 405, 405],
    ),
    // any role
    ("GET", "/", [303, 403, 200, 200, 200]),
    ("POST", "/", [401, 403, 405, 405, 405]),
    ("GET", "/api/items", [401, 403, 200, 200, 200]),
    ("PUT", "/api/items", [401, 403, 405, 405, 405]),
    ("GET", "/api/items/a.txt", [401, 403, 200, 200, 200]),
    ("GET", "/api/items/absent.txt", [401, 403, 404, 404, 404]),
    ("POST", "/api/items/a.txt", [401, 403, 405, 405, 405]),
    ("GET", "/api/folders/f", [401, 403, 200, 200, 200]),
    ("GET", "/api/folders", [401, 403, 200, 200, 200]),
    (
        "GET",
        "/api/folders?folder=absent",
        [401, 403, 404, 404, 404],
    ),
    ("PUT", "/api/folders", [401, 403, 405, 405, 405]),
    ("PUT", "/api/folders/f", [401, 403, 405, 405, 405]),
    ("GET", "/item?path=a.txt", [303, 403, 200, 200, 200]),
    ("GET", "/item", [303, 403, 404, 404, 404]),
    ("POST", "/item", [401, 403, 405, 405, 405]),
    ("GET", "/api/files/a.txt", [401, 403, 200, 200, 200]),
    ("GET", "/api/zip?folder=", [401, 403, 200, 200, 200]),
    ("GET", "/api/zip", [401, 403, 422, 422, 422]),
    ("POST", "/api/zip", [401, 403, 422, 422, 422]),
    ("PUT", "/api/zip", [401, 403, 405, 405, 405]),
    ("GET", "/preview/a.txt", [303, 403, 200, 200, 200]),
    ("GET", "/preview/absent.txt", [303, 403, 404, 404, 404]),
    ("POST", "/preview/a.txt", [401, 403, 405, 405, 405]),
    ("GET", "/api/preview/a.png", [401, 403, 200, 200, 200]),
    ("GET", "/api/preview/a.txt", [401, 403, 404, 404, 404]),
    ("PUT", "/api/preview/a.png", [401, 403, 405, 405, 405]),
    ("GET", "/api/files/absent.txt", [401, 403, 404, 404, 404]),
    ("DELETE", "/api/files/a.txt", [401, 403, 405, 405, 405]),
    // editors
    ("POST", "/api/items", [401, 403, 403, 400, 400]),
    ("OPTIONS", "/api/uploads", [401, 403, 403, 204, 204]),
    ("POST", "/api/uploads", [401, 403, 403, 412, 412]),
    ("GET", "/api/uploads", [401, 403, 403, 405, 405]),
    ("HEAD", "/api/uploads/absent", [401, 403, 403, 412, 412]),
    ("PATCH", "/api/uploads/absent", [401, 403, 403, 412, 412]),
    ("DELETE", "/api/uploads/absent", [401, 403, 403, 412, 412]),
    ("GET", "/api/uploads/absent", [401, 403, 403, 405, 405]),
    ("GET", "/publish", [303, 403, 403, 200, 200]),
    ("POST", "/publish", [401, 403, 403, 422, 422]),
    ("PATCH", "/api/items/a.txt", [401, 403, 403, 400, 400]),
    ("DELETE", "/api/items/absent.txt", [401, 403, 403, 404, 404]),
    ("POST", "/api/folders", [401, 403, 403, 400, 400]),
    ("PATCH", "/api/folders/f", [401, 403, 403, 400, 400]),
    ("DELETE", "/api/folders/absent", [401, 403, 403, 404, 404]),
    ("GET", "/api/trash", [401, 403, 403, 200, 200]),
    ("POST", "/api/trash", [401, 403, 405, 405, 405]),
    ("POST", "/api/trash/0/restore", [401, 403, 403, 404, 404]),
    ("GET", "/api/trash/0/restore", [401, 403, 405, 405, 405]),
    ("DELETE", "/api/trash/0", [401, 403, 403, 403, 404]),
    ("GET", "/api/trash/0", [401, 403, 405, 405, 405]),
    ("GET", "/item/move?path=a.txt", [303, 403, 403, 200, 200]),
    ("POST", "/item/move?path=a.txt", [401, 403, 403, 422, 422]),
    ("PUT", "/item/move", [401, 403, 405, 405, 405]),
    ("GET", "/item/title?path=a.txt", [303, 403, 403, 200, 200]),
    (
        "POST",
        "/item/title?path=absent.txt",
        [401, 403, 403, 404, 404],
    ),
    ("PUT", "/item/title", [401, 403, 405, 405, 405]),
    ("GET", "/item/replace?path=a.txt", [303, 403, 403, 200, 200]),
    ("GET", "/item/replace?path=f", [303, 403, 403, 404, 404]),
    (
        "POST",
        "/item/replace?path=a.txt",
        [401, 403, 403, 400, 400],
    ),
    ("PUT", "/item/replace", [401, 403, 405, 405, 405]),
    ("GET", "/item/folder?path=f", [303, 403, 403, 200, 200]),
    ("POST", "/item/folder?path=f", [401, 403, 403, 422, 422]),
    ("PUT", "/item/folder", [401, 403, 405, 405, 405]),
    ("GET", "/item/delete?path=a.txt", [303, 403, 403, 200, 200]),
    (
        "POST",
        "/item/delete?path=absent.txt",
        [401, 403, 403, 404, 404],
    ),
    ("PUT", "/item/delete", [401, 403, 405, 405, 405]),
    ("GET", "/trash", [303, 403, 403, 200, 200]),
    ("POST", "/trash", [401, 403, 405, 405, 405]),
    ("GET", "/trash/0/restore", [303, 403, 403, 404, 404]),
    ("POST", "/trash/0/restore", [401, 403, 403, 404, 404]),
    ("PUT", "/trash/0/restore", [401, 403, 405, 405, 405]),
    ("GET", "/trash/0/remove", [303, 403, 403, 403, 404]),
    ("POST", "/trash/0/remove", [401, 403, 403, 403, 404]),
    ("PUT", "/trash/0/remove", [401, 403, 405, 405, 405]),
    // admins
    ("GET", "/admin", [303, 403, 403, 403, 200]),
    ("POST", "/admin", [401, 403, 403, 403, 405]),
    ("GET", "/admin/diagnostics", [303, 403, 403, 403, 200]),
    ("POST", "/admin/diagnostics", [401, 403, 403, 403, 405]),
    ("GET", "/admin/folders", [303, 403, 403, 403, 200]),
    ("POST", "/admin/folders", [401, 403, 403, 403, 400]),
    ("PUT", "/admin/folders", [401, 403, 403, 403, 405]),
    ("POST", "/admin/folders/clear", [401, 403, 403, 403, 400]),
    ("GET", "/admin/folders/clear", [303, 403, 403, 403, 405]),
    ("GET", "/admin/", [303, 403, 403, 403, 404]),
    ("GET", "/admin/absent", [303, 403, 403, 403, 404]),
    ("GET", "/admin/people", [303, 403, 403, 403, 200]),
    ("GET", "/admin/people/export", [303, 403, 403, 403, 200]),
    ("GET", "/admin/people/import", [303, 403, 403, 403, 200]),
    ("GET", "/admin/person/grant", [303, 403, 403, 403, 200]),
    ("GET", "/admin/requests", [303, 403, 403, 403, 200]),
    ("GET", "/admin/audit", [303, 403, 403, 403, 200]),
    ("GET", "/admin/audit/export", [303, 403, 403, 403, 200]),
    ("GET", "/admin/why", [303, 403, 403, 403, 200]),
    ("GET", "/admin?days=90", [303, 403, 403, 403, 200]),
    ("GET", "/admin/person", [303, 403, 403, 403, 404]),
    ("GET", "/admin/person/remove", [303, 403, 403, 403, 404]),
    ("GET", "/admin/person/tidy", [303, 403, 403, 403, 404]),
    ("POST", "/admin/person/tidy", [401, 403, 403, 403, 404]),
    ("PUT", "/admin/person/tidy", [401, 403, 403, 403, 405]),
    ("GET", "/admin/request", [303, 403, 403, 403, 404]),
    ("GET", "/admin/audit/undo", [303, 403, 403, 403, 404]),
    ("POST", "/admin/people", [401, 403, 403, 403, 405]),
    ("POST", "/admin/people/export", [401, 403, 403, 403, 405]),
    ("POST", "/admin/person", [401, 403, 403, 403, 405]),
    ("POST", "/admin/requests", [401, 403, 403, 403, 405]),
    ("POST", "/admin/request", [401, 403, 403, 403, 405]),
    ("POST", "/admin/audit", [401, 403, 403, 403, 405]),
    ("POST", "/admin/audit/export", [401, 403, 403, 403, 405]),
    ("POST", "/admin/why", [401, 403, 403, 403, 405]),
    ("POST", "/admin/people/import", [401, 403, 403, 403, 422]),
    ("POST", "/admin/person/grant", [401, 403, 403, 403, 422]),
    ("POST", "/admin/request/approve", [401, 403, 403, 403, 404]),
    ("POST", "/admin/request/decline", [401, 403, 403, 403, 404]),
    ("POST", "/admin/person/remove", [401, 403, 403, 403, 404]),
    ("POST", "/admin/person/sign-out", [401, 403, 403, 403, 404]),
    ("POST", "/admin/person/rebind", [401, 403, 403, 403, 404]),
    ("POST", "/admin/audit/undo", [401, 403, 403, 403, 404]),
    ("GET", "/admin/person/sign-out", [303, 403, 403, 403, 405]),
    ("GET", "/admin/person/rebind", [303, 403, 403, 403, 405]),
    ("GET", "/admin/request/approve", [303, 403, 403, 403, 405]),
    ("GET", "/admin/request/decline", [303, 403, 403, 403, 405]),
    ("PUT", "/admin/people/import", [401, 403, 403, 403, 405]),
    ("PUT", "/admin/person/grant", [401, 403, 403, 403, 405]),
    ("PUT", "/admin/person/remove", [401, 403, 403, 403, 405]),
    ("PUT", "/admin/audit/undo", [401, 403, 403, 403, 405]),
    // not listed, so closed
    ("GET", "/absent", [303, 403, 404, 404, 404]),
    ("POST", "/absent", [401, 403, 404, 404, 404]),
    ("GET", "/api/absent", [401, 403, 404, 404, 404]),
    ("DELETE", "/api/absent", [401, 403, 404, 404, 404]),
    ("GET", "/login/absent", [303, 403, 404, 404, 404]),
    ("GET", "/loginx", [303, 403, 404, 404, 404]),
    ("GET", "/static", [303, 403, 404, 404, 404]),
    ("GET", "/static/../api/items", [401, 403, 200, 200, 200]),
    ("GET", "/health", [303, 403, 404, 404, 404]),
    ("GET", "/metrics", [303, 403, 404, 404, 404]),
    ("GET", "/favicon.ico", [303, 403, 404, 404, 404]),
    // these end sessions, so they stand last
    ("POST", "/api/me/sign-out", [401, 204, 204, 204, 204]),
    ("POST", "/logout", [303, 303, 303, 303, 303]),
    ("GET", "/logout", [303, 303, 303, 303, 303]),
];

on_both! {
    async fn every_route_answers_each_kind_of_person_as_the_table_says(app: TestApp) {
        app.write("a.txt", "a");
        app.write("a.png", "a");
        app.write("f/b.txt", "b");
        let people: [(&str, Browser); 5] = [
            ("visitor", app.visitor()),
            ("no role", app.signed_in_as(None).await),
            ("reader", app.signed_in_as(Role::Reader).await),
            ("editor", app.signed_in_as(Role::Editor).await),
            ("admin", app.signed_in_as(Role::Admin).await),
        ];
        let mut wrong = Vec::new();
        for (method, path, expected) in TABLE {
            for ((who, browser), expected) in people.iter().zip(expected) {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let headers = [("sec-fetch-site", "same-origin")];
                let reply = browser.send(method.clone(), path, &headers, Vec::new()).await;
                if reply.status != *expected {
                    wrong.push(format!("{method} {path} as {who}: {} instead of {expected}", reply.status));
                }
                if *expected != 405 && method == Method::GET && !path.contains("log") && *path != "/callback" {
                    let head = browser.send(Method::HEAD, path, &headers, Vec::new()).await;
                    if head.status != *expected || !head.body.is_empty() {
                        wrong.push(format!("HEAD {path} as {who}: {} with {} bytes", head.status, head.body.len()));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn no_route_is_missing_from_the_table() {
    let source = include_str!("../src/routes.rs");
    let mut named = BTreeSet::new();
    for line in source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (opening, prefix) in [
            ("page(\"", ""),
            ("closed(\"", ""),
            ("resource(\"", ""),
            ("form(\"", ""),
            ("scope(\"", ""),
            ("shown(\"", "/admin"),
            ("asked(\"", "/admin"),
            ("done(\"", "/admin"),
        ] {
            if let Some((_, rest)) = line.split_once(opening)
                && let Some((path, _)) = rest.split_once('"')
            {
                named.insert(format!("{prefix}{path}"));
            }
        }
    }
    assert!(
        named.len() >= 12,
        "the routes are not found any more: {named:?}"
    );
    for route in named.iter().filter(|route| !route.is_empty()) {
        let fixed = route.split('{').next().unwrap();
        assert!(
            TABLE.iter().any(|(_, path, _)| {
                let below = path.strip_prefix("/admin").unwrap_or("");
                let named = path.starts_with(fixed) || below.starts_with(fixed);
                named && (fixed != "/" || *path == "/")
            }),
            "{route} is not in the table"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_are_led_to_the_sign_in_only_when_they_open_a_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    let visitor = app.visitor();
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        visitor.send(method, path, headers, Vec::new()).await
    };
    let page = ask(Method::GET, "/?folder=a&q=b%20c", &[])
        .await
        .expect(303);
    assert_eq!(
        page.location(),
        "/login?redirect_uri=%2F%3Ffolder%3Da%26q%3Db%2520c"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    for (headers, status) in [
        (&[("accept", "*/*")][..], 303),
        (&[("accept", "text/html")][..], 303),
        (&[("sec-fetch-dest", "document")][..], 303),
        (&[("sec-fetch-dest", "image")][..], 401),
        (&[("sec-fetch-dest", "empty")][..], 401),
        (&[("sec-fetch-dest", "iframe")][..], 401),
        (&[("accept", "application/json")][..], 401),
        (&[("accept", "image/avif,image/webp")][..], 401),
    ] {
        assert_eq!(
            ask(Method::GET, "/favicon.ico", headers).await.status,
            status,
            "{headers:?}"
        );
    }
    let json = ask(Method::GET, "/api/files/a.txt", &[]).await.expect(401);
    assert_eq!(json.header("content-type"), "application/problem+json");
    let link = visitor
        .navigate("/api/files/a%20b.txt?x=1&y=2")
        .await
        .expect(401);
    assert!(link.header("content-type").starts_with("text/html"));
    let page = link.text();
    let way_back = "/login?redirect_uri=%2Fapi%2Ffiles%2Fa%2520b.txt%3Fx%3D1%26y%3D2";
    assert!(page.contains(way_back), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_path_is_closed_as_well() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for (cookie, status) in [
        (String::new(), 401),
        (
            format!(
                "session={}",
                app.signed_in_as(None).await.cookie("session").unwrap()
            ),
            403,
        ),
        (
            format!("session={}", reader.cookie("session").unwrap()),
            404,
        ),
    ] {
        let request = raw::request("OPTIONS", "*", &[("Cookie", &cookie)]);
        raw::ask(&app, &request)
            .await
            .unwrap()
            .expect(status, &cookie);
    }
    let disguised = app.visitor().get("/%61pi/items").await;
    assert_eq!(disguised.status, 401, "the API under another spelling");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_again_and_again_does_not_fill_the_audit() {
    let app = TestApp::start(Backend::Sqlite).await;
    let stranger = app.signed_in_as(None).await;
    let long = format!("/{}", "x".repeat(20_000));
    for _ in 0..50 {
        stranger.get(&long).await.expect(403);
    }
    app.audited("access_refused").await;
    app.eventually("the queue is written", async || {
        let rows = app.audit().await;
        let refused = rows.iter().filter(|row| row.action == "access_refused");
        refused.count() == 30
    })
    .await;
    let row = app.audited("access_refused").await;
    assert!(row.subject.len() <= 4_096, "{} bytes", row.subject.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_do_not_tell_what_exists() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.write("secret.txt", "x");
    let visitor = app.visitor();
    let there = visitor.get("/api/files/secret.txt").await.expect(401);
    let absent = visitor.get("/api/files/absent.txt").await.expect(401);
    assert_eq!(there.body, absent.body);
    assert!(!there.text().contains("reference") && !there.text().contains("instance"));
    let there = visitor
        .navigate("/api/files/secret.txt")
        .await
        .expect(401)
        .text();
    let absent = visitor
        .navigate("/api/files/absent.txt")
        .await
        .expect(401)
        .text();
    assert_eq!(there.replace("secret.txt", "absent.txt"), absent);

    let stranger = app.signed_in_as(None).await;
    let without_reference = |text: String| match text.split_once("\"reference\"") {
        Some((before, _)) => before.to_owned(),
        None => panic!("a 403 carries a reference: {text}"),
    };
    let there = stranger
        .get("/api/files/secret.txt")
        .await
        .expect(403)
        .text();
    let absent = stranger.get("/api/nothing").await.expect(403).text();
    assert_eq!(without_reference(there), without_reference(absent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_asked_for_by_other_sites_are_refused_after_the_session_was_looked_at() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let form = "application/x-www-form-urlencoded";
    let cases: [(&[(&str, &str)], u16); 7] = [
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("content-type", form)], 403),
        (&[("origin", &app.url)], 204),
        (&[("content-type", "application/json")], 401),
    ];
    for (headers, expected) in cases {
        let body = if headers[0].0 == "content-type" {
            b"{}".to_vec()
        } else {
            Vec::new()
        };
        let reply = editor
            .send(Method::POST, "/api/me/sign-out", headers, body)
            .await;
        assert_eq!(reply.status, expected, "{headers:?}");
    }
    let foreign = [("sec-fetch-site", "cross-site")];
    let visitor = app
        .visitor()
        .send(Method::POST, "/api/items", &foreign, Vec::new())
        .await;
    assert_eq!(
        visitor.status, 401,
        "without a session the origin does not matter"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_another_site_opens_gets_no_further_than_the_gate() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let ask = async |browser: &Browser, origin: &str| {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "WebSocket"),
            ("origin", origin),
        ];
        let sent = browser.send(Method::GET, "/api/me", &headers, Vec::new());
        sent.await.status
    };
    assert_eq!(ask(&reader, "https://evil.example").await, 403);
    assert_eq!(
        ask(&reader, &app.url).await,
        200,
        "there is none, so it is a GET"
    );
    assert_eq!(ask(&app.visitor(), "https://evil.example").await, 401);
}

on_both! {
    async fn somebody_without_a_role_is_told_who_they_are_and_how_to_change_that(app: TestApp) {
        let stranger = app.signed_in_as(None).await;
        let page = stranger.navigate("/").await.expect(403).text();
        assert!(page.contains("no.role@contoso.example"));
        assert!(page.contains("/login?redirect_uri=%2F&amp;account=other") || page.contains("/login?redirect_uri=%2F&#38;account=other"), "{page}");
        let refusal = app.audited("access_refused").await;
        assert_eq!(refusal.actor, "no.role@contoso.example");
        assert_eq!(refusal.outcome, "no_role");
        assert!(page.contains(&refusal.reference.unwrap()), "the page shows the reference of the audit row");
    }
}
