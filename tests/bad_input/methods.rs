//! Methods that an address does not take: 405 with `Allow` for whoever may be there, and nothing learnt by anybody else.

use portcullis::roles::Role;
use reqwest::Method;

use super::raw;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;

const PUBLIC: [(&str, &str); 7] = [
    ("/login", "GET, HEAD"),
    ("/callback", "GET, HEAD"),
    ("/logout/frontchannel", "GET, HEAD"),
    ("/signed-out", "GET, HEAD"),
    ("/health/live", "GET, HEAD"),
    ("/health/ready", "GET, HEAD"),
    ("/static/app.css", "GET, HEAD"),
];
const CLOSED: [(&str, &str); 11] = [
    ("/", "GET, HEAD"),
    ("/publish", "GET, HEAD, POST"),
    ("/api/me", "GET, HEAD"),
    ("/api/me/sign-out", "POST"),
    ("/api/items", "GET, HEAD, POST"),
    ("/api/uploads", "OPTIONS, POST"),
    ("/api/uploads/absent", "OPTIONS, HEAD, PATCH, DELETE"),
    ("/api/files/there.txt", "GET, HEAD"),
    ("/api/files/not there.txt", "GET, HEAD"),
    ("/api/files/", "GET, HEAD"),
    ("/admin", "GET, HEAD"),
];
const METHODS: [&str; 11] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW", "get",
];

async fn ask(browser: &Browser, method: &str, path: &str) -> crate::support::client::Reply {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    browser
        .send(
            method,
            path,
            &[("sec-fetch-site", "same-origin")],
            Vec::new(),
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_method_is_405_and_the_right_ones_are_named() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    app.write("there.txt", "there");
    let mut wrong = 0;
    for (path, allow) in PUBLIC
        .into_iter()
        .chain(CLOSED)
        .chain([("/logout", "GET, HEAD, POST")])
    {
        for method in METHODS {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let reply = ask(&admin, method, path).await.expect(405);
            let what = format!("{method} {path}");
            assert_eq!(reply.header("allow"), allow, "{what}");
            if method == "HEAD" {
                continue;
            }
            let text = reply.text();
            assert!(
                text.contains("This address does not take that kind of request."),
                "{what}: {text}"
            );
            assert!(super::reference(&text).is_some(), "{what}: {text}");
            wrong += 1;
        }
    }
    assert!(wrong > 100, "{wrong}");
    assert_eq!(
        std::fs::read(app.files().join("there.txt")).unwrap(),
        b"there"
    );
    admin.get("/api/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_gets_401_for_every_method_and_never_learns_which_are_right() {
    let app = TestApp::start(Backend::Sqlite).await;
    let visitor = app.visitor();
    app.write("there.txt", "there");
    for method in METHODS
        .iter()
        .filter(|method| !["GET", "HEAD"].contains(method))
    {
        let unknown = ask(&visitor, method, "/unknown").await.expect(401);
        let unknown_api = ask(&visitor, method, "/api/unknown").await.expect(401);
        for (path, _) in CLOSED {
            let reply = ask(&visitor, method, path).await.expect(401);
            let what = format!("{method} {path}");
            assert_eq!(reply.header("allow"), "", "{what}");
            let (like, asked) = match path.starts_with("/api/") {
                true => (&unknown_api, "/api/unknown"),
                false => (&unknown, "/unknown"),
            };
            // The page's link comes back to the asked-for path; apart from that the answers are the same.
            let encode = |path: &str| {
                url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>()
            };
            let asked_for = encode(&path.replace(' ', "%20"));
            let expected = like.text().replace(&encode(asked), &asked_for);
            assert_eq!(reply.text(), expected, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_without_the_role_get_403_for_every_method_of_the_admins_pages() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (editor, nobody) = (
        app.signed_in_as(Role::Editor).await,
        app.signed_in_as(None).await,
    );
    for method in METHODS.iter().filter(|method| **method != "HEAD") {
        for (browser, path) in [
            (&editor, "/admin"),
            (&editor, "/admin/x"),
            (&nobody, "/admin"),
            (&nobody, "/unknown"),
            (&nobody, "/"),
        ] {
            let reply = ask(browser, method, path).await.expect(403);
            assert_eq!(reply.header("allow"), "", "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_no_requests_for_a_page_are_refused_politely() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    let cookie = raw::cookie(&admin);
    for (line, statuses) in [
        ("OPTIONS * HTTP/1.1", &[400, 401, 404, 405][..]),
        ("CONNECT localhost:443 HTTP/1.1", &[400, 401, 403, 404, 405]),
        ("CONNECT / HTTP/1.1", &[400, 401, 403, 404, 405]),
        ("PRI * HTTP/2.0", &[400, 401, 404, 405, 505]),
        ("GET / HTTP/3.0", &[400, 505]),
        ("GET / HTTP/1.9", &[400, 505]),
        ("GET /", &[400]),
        ("GET  / HTTP/1.1", &[400]),
        ("GET / x HTTP/1.1", &[400]),
        (" GET / HTTP/1.1", &[400]),
        ("GET HTTP/1.1", &[400]),
        ("/ GET HTTP/1.1", &[400]),
        ("G\u{e9}T / HTTP/1.1", &[400]),
        ("G{T / HTTP/1.1", &[400]),
        ("GET api/items HTTP/1.1", &[400, 401, 404]),
        ("GET ?q=x HTTP/1.1", &[400, 401, 404]),
        (
            "GET ftp://localhost/api/items HTTP/1.1",
            &[200, 400, 401, 404],
        ),
        ("nonsense", &[400]),
    ] {
        for cookies in ["", &format!("Cookie: {cookie}\r\n")] {
            let request =
                format!("{line}\r\nHost: localhost\r\nConnection: close\r\n{cookies}\r\n");
            if let Some(answer) = raw::ask(&app, request.as_bytes()).await {
                let signed_in = cookies.is_empty();
                let expected =
                    statuses.contains(&answer.status) || (signed_in && answer.status == 303);
                assert!(expected, "{line}: {} {}", answer.status, answer.text());
                assert_eq!(answer.header("server"), "", "{line}");
            }
        }
        super::assert_serves(&app, &admin, line).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_address_in_the_request_line_is_as_good_as_its_path() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    app.write("there.txt", "there");
    for host in ["localhost", "evil.example", "localhost:1"] {
        let target = format!("http://{host}/api/files/there.txt");
        let answer = raw::get(&app, &admin, &target).await.expect(200, &target);
        assert_eq!(answer.text(), "there");
        // No header and no request line decides where people are sent.
        let request = format!(
            "GET http://{host}/publish?x=1 HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: {host}\r\n\r\n"
        );
        let answer = raw::ask(&app, request.as_bytes())
            .await
            .unwrap()
            .expect(303, host);
        assert_eq!(
            answer.header("location"),
            "/login?redirect_uri=%2Fpublish%3Fx%3D1"
        );
    }
    let old = raw::ask(&app, b"GET /health/live HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(old.expect(200, "HTTP/1.0").text(), "live\n");
}
