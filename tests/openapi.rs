//! The description of the API against the API: every route is in it with every method, and `schemathesis` (PyPI) finds no
//! answer that it does not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use portcullis::roles::Role;
use reqwest::Method;
use serde_json::Value;

use crate::object_storage::Stored;
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::left_out;
use crate::support::object_storage::Kind;

async fn document(app: &TestApp) -> Value {
    app.visitor().get("/openapi.json").await.expect(200).json()
}

/// Path → methods, upper case.
fn described(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            (path.clone(), methods.map(|m| m.to_uppercase()).collect())
        })
        .collect()
}

/// The addresses of `/api/` and `/health/` in `routes.rs`, as the description spells them.
fn routed() -> BTreeSet<String> {
    let source = include_str!("../src/routes.rs");
    let quoted = source.split('"').skip(1).step_by(2);
    quoted
        .filter(|text| text.starts_with("/api/") || text.starts_with("/health/"))
        .map(|text| text.replace(":.*}", "}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_of_the_api_is_described_with_every_method() {
    let app = TestApp::start(Backend::Sqlite).await;
    let described = described(&document(&app).await);
    let paths: BTreeSet<String> = described.keys().cloned().collect();
    assert!(paths.len() >= 6, "{paths:?}");
    assert_eq!(paths, routed());
    let admin = app.signed_in_as(Role::Admin).await;
    for (path, methods) in described {
        // A method that nobody knows is answered with those that the address takes.
        let brew = Method::from_bytes(b"BREW").unwrap();
        let headers = [("sec-fetch-site", "same-origin")];
        let asked = path.replace(['{', '}'], "x");
        let reply = admin
            .send(brew, &asked, &headers, Vec::new())
            .await
            .expect(405);
        let allowed = reply.header("allow").split(", ");
        let allowed = allowed.filter(|method| !matches!(*method, "HEAD" | "OPTIONS"));
        let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_names_this_portal_and_is_open_to_everybody() {
    let app = TestApp::start(Backend::Sqlite).await;
    let document = document(&app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(!document.to_string().contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(document["servers"][0]["url"], app.url.as_str());
    let cookie = &document["components"]["securitySchemes"]["session"];
    assert_eq!(
        (&cookie["in"], &cookie["name"]),
        (&"cookie".into(), &"session".into())
    );
    let page = app.visitor().navigate("/docs").await.expect(200);
    for path in described(&document).keys() {
        assert!(page.text().contains(path.as_str()), "{path}");
    }
    assert!(!page.text().contains("<script"));
    let old = app.visitor().navigate("/redoc").await.expect(303);
    assert_eq!(old.location(), "/docs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_once_for_everybody_names_nobody() {
    let app = TestApp::start(Backend::Sqlite).await;
    // Nobody who stands in an example.
    let reader = app.signed_in_as(Role::Reader).await;
    for path in ["/docs", "/openapi.json"] {
        let first = reader.navigate(path).await.expect(200);
        let again = app.visitor().navigate(path).await.expect(200);
        assert!(
            first.body == again.body,
            "{path} is not the same for everybody"
        );
        let email = account(Some(Role::Reader));
        assert!(!first.text().contains(email), "{path} names {email}");
        assert_eq!(again.header("cache-control"), "no-store");
    }
}

/// Where `.ci/run` put it, or wherever the shell finds it.
fn schemathesis() -> Option<String> {
    let program = std::env::var("PORTCULLIS_SCHEMATHESIS").unwrap_or("schemathesis".to_owned());
    match Command::new(&program).arg("--version").output() {
        Ok(output) if output.status.success() => Some(program),
        _ => {
            left_out("schemathesis", "`pip install schemathesis` brings it");
            None
        }
    }
}

/// Runs it as the person in that browser, if anybody is signed in there; panics with what it found.
async fn examine(program: &str, app: &TestApp, browser: &Browser, more: &[&str]) {
    // Without a session, what it sends is none.
    let session = browser.cookie("session").unwrap_or("none".to_owned());
    // A precondition is looked at before the rest (RFC 9110, section 13.2.2), so 412 refuses as well.
    // Over object storage 501 is how what needs a folder is refused.
    let faults = match app.state.files.storage() {
        Some(_) => {
            "[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", \"501\"]\n"
        }
        None => "",
    };
    let settings = format!(
        "{faults}[auth.openapi.session]\napi_key = \"{session}\"\n[checks.negative_data_rejection]\n\
         expected-statuses = [\"400\", \"401\", \"403\", \"404\", \"405\", \"406\", \"409\", \"412\", \"415\", \"422\", \"428\", \"429\", \"5xx\"]\n"
    );
    std::fs::write(app.folder().join("schemathesis.toml"), settings).unwrap();
    let origin = format!("Origin: {}", app.url);
    let mut command = tokio::process::Command::new(program);
    command
        .args(["run", &format!("{}/openapi.json", app.url)])
        .args(["--header", &origin])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args([
            "--max-examples",
            "30",
            "--seed",
            "1",
            "--continue-on-failure",
        ])
        .args([
            "--generation-database",
            "none",
            "--no-color",
            "--request-timeout",
            "20",
        ])
        .args(["--checks", CHECKS])
        // It has no words for the protocol's own kind of content; `uploads::protocol` has.
        .args(["--exclude-operation-id", "continue_upload"])
        .args(more)
        .current_dir(app.folder());
    let output = tokio::time::timeout(std::time::Duration::from_secs(180), command.output())
        .await
        .expect("schemathesis takes more than three minutes")
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{errors}");
}

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,unsupported_method";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_schemathesis_thinks_of_gets_an_answer_that_is_not_described() {
    let Some(program) = schemathesis() else {
        return;
    };
    let app = TestApp::start(Backend::Sqlite).await;
    app.write("Reports/Revenue.pdf", vec![7; 100_000]);
    app.write("Welcome.txt", "hello");
    let admin = app.signed_in_as(Role::Admin).await;
    // It would end the session that everything else is asked with; the second run has it.
    let not_out = ["--exclude-path", "/api/me/sign-out"];
    examine(&program, &app, &admin, &not_out).await;
    admin.get("/api/me").await.expect(200);
    let nobody = app.signed_in_as(None).await;
    examine(&program, &app, &nobody, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_schemathesis_thinks_of_without_a_session_gets_an_answer_that_is_not_described()
 {
    let Some(program) = schemathesis() else {
        return;
    };
    let app = TestApp::start(Backend::Sqlite).await;
    // All of it is refused alike, so a few tries for each will do.
    let few = ["--max-examples", "5"];
    examine(&program, &app, &app.visitor(), &few).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_schemathesis_thinks_of_over_object_storage_gets_an_answer_that_is_not_described()
 {
    let Some(program) = schemathesis() else {
        return;
    };
    let Some(stored) = Stored::start(Kind::S3, &[]).await else {
        return;
    };
    // At the top: s3s-fs takes a folder on its own disk for a fault when somebody asks for it as for an object.
    stored.bucket.put("Revenue.pdf", vec![7; 100_000]).await;
    stored.app.indexed().await;
    let admin = stored.signed_in_as(Role::Admin).await;
    let few = ["--exclude-path", "/api/me/sign-out", "--max-examples", "10"];
    examine(&program, &stored.app, &admin, &few).await;
}

/// What the storage answers otherwise than a folder is described as well.
async fn over_storage_every_answer_is_described(downloads: &str) {
    let more = [("FILES_DOWNLOADS", downloads)];
    let Some(stored) = Stored::start(Kind::Azure, &more).await else {
        return;
    };
    stored.bucket.put("a.txt", "content").await;
    let editor = stored.signed_in_as(Role::Admin).await;
    let document = document(&stored.app).await;
    let status_of_download = match downloads {
        "redirect" => 302,
        _ => 200,
    };
    for (method, asked, path, status) in [
        (
            "GET",
            "/api/files/a.txt",
            "/api/files/{path}",
            status_of_download,
        ),
        ("GET", "/api/items/a.txt", "/api/items/{path}", 501),
        ("GET", "/api/trash", "/api/trash", 501),
        ("DELETE", "/api/trash/1", "/api/trash/{id}", 501),
        ("GET", "/api/zip?path=a.txt", "/api/zip", 501),
        ("DELETE", "/api/items/a.txt", "/api/items/{path}", 204),
    ] {
        let headers = [("sec-fetch-site", "same-origin")];
        let sent = Method::from_bytes(method.as_bytes()).unwrap();
        editor
            .send(sent, asked, &headers, Vec::new())
            .await
            .expect(status);
        let answers = &document["paths"][path][method.to_lowercase()]["responses"];
        assert!(
            answers[status.to_string()].is_object(),
            "{method} {path} {status}"
        );
    }
    let begun = crate::uploads::create(&editor, 5, &[("filename", "b.txt")]).await;
    begun.expect(501);
    assert!(document["paths"]["/api/uploads"]["post"]["responses"]["501"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_storage_that_is_streamed_from_every_answer_is_described() {
    over_storage_every_answer_is_described("stream").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_storage_that_is_led_to_every_answer_is_described() {
    over_storage_every_answer_is_described("redirect").await;
}
