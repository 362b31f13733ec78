//! What an error looks like: a page for whoever opens one in a browser, problem+json (RFC 9457) for programs.

use portcullis::roles::Role;
use reqwest::Method;
use serde_json::Value;

use super::{raw, reference};
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::database::Backend;

const BROWSER: &[(&str, &str)] = &[
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

fn assert_page(reply: &Reply, what: &str) {
    let html = reply.text();
    assert_eq!(
        reply.header("content-type"),
        "text/html; charset=utf-8",
        "{what}"
    );
    for part in [
        "<!DOCTYPE html>",
        "<html lang=\"en\">",
        "<h1>",
        "<main",
        "<title>",
    ] {
        assert!(html.contains(part), "{what}: no {part}: {html}");
    }
    assert!(
        !html.contains("<script") && !html.contains("style=\""),
        "{what}: {html}"
    );
    assert_eq!(
        reference(&html).is_some(),
        reply.status != 401,
        "{what}: {html}"
    );
    assert!(
        html.contains("class=\"button\""),
        "{what}: no way on: {html}"
    );
}

fn assert_problem(reply: &Reply, what: &str) {
    assert_eq!(
        reply.header("content-type"),
        "application/problem+json",
        "{what}"
    );
    let problem = reply.json();
    let mut names: Vec<_> = problem
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    let expected: &[&str] = match reply.status {
        401 => &["detail", "status", "title", "type"],
        _ => &["detail", "reference", "status", "title", "type"],
    };
    assert_eq!(names, expected, "{what}");
    assert_eq!(problem["type"], "about:blank", "{what}");
    assert_eq!(problem["status"], reply.status, "{what}");
    for name in ["title", "detail"] {
        assert!(
            problem[name].as_str().unwrap().len() > 10,
            "{what}: {problem}"
        );
    }
    assert_eq!(
        reference(&reply.text()).map(Value::from),
        problem.get("reference").cloned(),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_gets_a_page_and_a_program_gets_a_problem() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (nobody, visitor) = (app.signed_in_as(None).await, app.visitor());
    for (headers, page_elsewhere, page_in_the_api) in [
        (BROWSER, true, true),
        // A link with the attribute download, as browsers fetch it.
        (
            &[("accept", "*/*"), ("sec-fetch-mode", "navigate")][..],
            true,
            true,
        ),
        (&[("accept", "text/html")][..], true, true),
        (&[("accept", "text/html, application/json")], true, true),
        // curl, and programs that say nothing.
        (&[("accept", "*/*")], true, false),
        (&[], true, false),
        (&[("accept", "application/json")], false, false),
        (&[("accept", "application/problem+json")], false, false),
        (&[("accept", "application/json, */*")], false, false),
        (&[("accept", "image/avif,image/webp,*/*")], true, false),
        (&[("accept", "")], true, false),
        (&[("accept", ";;;")], true, false),
        (&[("accept", "nonsense")], true, false),
        (
            &[("accept", "application/json"), ("sec-fetch-mode", "cors")],
            false,
            false,
        ),
    ] {
        for (browser, method, path, status) in [
            (&reader, Method::GET, "/nothing", 404),
            (&reader, Method::GET, "/?folder=nothing", 404),
            (&reader, Method::GET, "/api/nothing", 404),
            (&reader, Method::GET, "/api/files/nothing", 404),
            (&reader, Method::DELETE, "/api/items", 405),
            (&reader, Method::DELETE, "/login", 405),
            (&reader, Method::GET, "/api/items?page=x", 400),
            (&reader, Method::GET, "/admin", 403),
            (&nobody, Method::GET, "/", 403),
            (&nobody, Method::GET, "/api/files/nothing", 403),
            (&visitor, Method::GET, "/api/files/nothing", 401),
            (&visitor, Method::GET, "/callback?state=x", 400),
            (&visitor, Method::DELETE, "/nothing", 401),
            (&visitor, Method::GET, "/static/nothing", 404),
        ] {
            let what = format!("{method} {path} {headers:?}");
            let page = if path.starts_with("/api/") {
                page_in_the_api
            } else {
                page_elsewhere
            };
            let reply = browser
                .send(method, path, headers, Vec::new())
                .await
                .expect(status);
            match page {
                true => assert_page(&reply, &what),
                false => assert_problem(&reply, &what),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_to_head_has_the_headers_and_no_body() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let cookie = raw::cookie(&reader);
    for (path, cookies, status) in [
        ("/api/files/nothing", cookie.as_str(), 404),
        ("/nothing", &cookie, 404),
        ("/admin", &cookie, 403),
        ("/api/me/sign-out", &cookie, 405),
        ("/api/items", "a=b", 401),
    ] {
        let answer = raw::ask(&app, &raw::request("HEAD", path, &[("Cookie", cookies)]))
            .await
            .unwrap();
        let answer = answer.expect(status, path);
        assert_eq!(answer.body, b"", "{path}");
        let length: usize = answer.header("content-length").parse().unwrap();
        assert!(length > 50, "{path}: {length}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_a_reference_of_its_own() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let problem = reader.get("/api/nothing").await.expect(404).text();
        assert!(seen.insert(reference(&problem).unwrap()), "one came twice");
        let page = reader.navigate("/nothing").await.expect(404).text();
        assert!(seen.insert(reference(&page).unwrap()), "one came twice");
    }
}
