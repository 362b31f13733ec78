//! Who may publish, and from where.

use portcullis::roles::Role;
use reqwest::Method;

use super::form::{Form, file};
use super::{assert_on_disk, problem, published};
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_editors_and_admins_publish() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (nobody, visitor) = (app.signed_in_as(None).await, app.visitor());
    let sentence = problem(&file("a.txt", "x").publish(&reader).await, 403);
    assert!(sentence.contains("editor"), "{sentence}");
    problem(&file("a.txt", "x").publish(&nobody).await, 403);
    problem(&file("a.txt", "x").publish(&visitor).await, 401);
    for (browser, status) in [(&reader, 403), (&nobody, 403), (&visitor, 401)] {
        let reply = file("a.txt", "x").submit(browser, "/publish").await;
        assert!(
            reply
                .expect(status)
                .header("content-type")
                .starts_with("text/html")
        );
    }
    assert_on_disk(&app, &[], "refused");
    assert!(published(&app).await.is_empty());
    for (role, name) in [(Role::Editor, "e.txt"), (Role::Admin, "f.txt")] {
        let browser = app.signed_in_as(role).await;
        file(name, "x").publish(&browser).await.expect(201);
    }
    assert_on_disk(&app, &["e.txt", "f.txt"], "published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_publishes_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let kind = Form::kind();
    let send = async |browser: &Browser, path, headers: &[(&str, &str)]| -> Reply {
        let headers = [headers, &[("content-type", kind.as_str())]].concat();
        browser
            .send(Method::POST, path, &headers, file("a.txt", "x").body())
            .await
    };
    for path in ["/api/items", "/publish"] {
        for headers in [
            &[][..],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://localhost:1")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", app.url.as_str()),
            ],
        ] {
            let reply = send(&editor, path, headers).await.expect(403);
            assert!(
                reply.text().contains("came from elsewhere"),
                "{path} {headers:?}"
            );
        }
    }
    assert_on_disk(&app, &[], "from elsewhere");
    let refused = app.audited("access_refused").await;
    assert_eq!(refused.outcome, "cross_site");

    send(&editor, "/api/items", &[("origin", app.url.as_str())])
        .await
        .expect(201);
    // Nobody is told apart by it: who is not signed in gets 401 wherever it comes from.
    send(
        &app.visitor(),
        "/api/items",
        &[("origin", "https://evil.example")],
    )
    .await
    .expect(401);
}
