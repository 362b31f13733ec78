//! The form at `/publish`: for editors, without JavaScript, and with what was typed still in it when it cannot be taken.

use portcullis::roles::Role;

use super::form::{Form, file};
use super::{assert_on_disk, published};
use crate::support::app::TestApp;
use crate::support::client::Reply;
use crate::support::database::Backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_is_for_editors() {
    let app = TestApp::start(Backend::Sqlite).await;
    for role in [Role::Editor, Role::Admin] {
        let browser = app.signed_in_as(role).await;
        let html = browser
            .navigate("/publish?folder=Finance%2F%22Q3%22")
            .await
            .expect(200)
            .text();
        for part in [
            "action=\"/publish\"",
            "method=\"post\"",
            "enctype=\"multipart/form-data\"",
            "name=\"folder\"",
            "name=\"title\"",
            "name=\"overwrite\"",
            "name=\"file\"",
        ] {
            assert!(html.contains(part), "no {part}: {html}");
        }
        assert!(html.contains("value=\"Finance/&#34;Q3&#34;\""), "{html}");
        // Scripts only add, and come from the static folder.
        let scripts: Vec<&str> = html.split("<script").skip(1).collect();
        assert_eq!(scripts.len(), 2, "{html}");
        for script in scripts {
            assert!(script.starts_with(" src=\"/static/"), "{script}");
        }
        let files = browser.navigate("/").await.expect(200).text();
        assert!(files.contains("href=\"/publish\""), "{files}");
    }
    let reader = app.signed_in_as(Role::Reader).await;
    let refused = reader.navigate("/publish").await.expect(403).text();
    assert!(refused.contains("role editor"), "{refused}");
    assert!(
        !reader
            .navigate("/")
            .await
            .expect(200)
            .text()
            .contains("/publish")
    );
    app.signed_in_as(None)
        .await
        .navigate("/publish")
        .await
        .expect(403);
    let visitor = app
        .visitor()
        .navigate("/publish?folder=x")
        .await
        .expect(303);
    assert_eq!(
        visitor.location(),
        "/login?redirect_uri=%2Fpublish%3Ffolder%3Dx"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_taken_leads_to_the_folder_with_the_file() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for (folder, led_to) in [
        ("", "/"),
        ("Finance/2026", "/?folder=Finance%2F2026"),
        ("/Über uns & mehr/", "/?folder=%C3%9Cber%20uns%20%26%20mehr"),
    ] {
        let form = Form::new()
            .text("folder", folder)
            .text("title", "")
            .file("a b.txt", "hello");
        let reply = form.submit(&editor, "/publish").await.expect(303);
        assert_eq!(reply.location(), led_to);
        assert_eq!(reply.header("cache-control"), "no-store");
        let page = editor.follow(reply.location()).await.expect(200).text();
        assert!(page.contains("a%20b.txt\""), "{page}");
    }
    let form = Form::new()
        .text("overwrite", "true")
        .file("a b.txt", "second");
    form.submit(&editor, "/publish").await.expect(303);
    assert_eq!(
        editor.get("/api/files/a%20b.txt").await.expect(200).text(),
        "second"
    );
    assert_eq!(published(&app).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_files_of_one_form_are_published_and_the_page_says_what_became_of_each() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("UPLOAD_LIMIT", "100kB")
        .with("UPLOAD_KINDS", "txt")
        .start()
        .await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("in/taken.txt", "old");
    let form = Form::new()
        .text("folder", "in")
        .text("title", "Both")
        .file("a.txt", "first")
        .file("taken.txt", "new")
        .file("big.txt", vec![b'x'; 150_000])
        .file("bad.exe", "x")
        .file("<b>.txt", "x")
        .file("z.txt", "last");
    let html = form.submit(&editor, "/publish").await.expect(200).text();
    assert_on_disk(
        &app,
        &["in/a.txt", "in/taken.txt", "in/z.txt"],
        "two were taken",
    );
    assert_eq!(
        std::fs::read(app.files().join("in/taken.txt")).unwrap(),
        b"old"
    );
    assert_eq!(published(&app).await.len(), 2);
    for part in [
        "2 of 6 files were published",
        "href=\"/api/files/in/a.txt\"",
        "href=\"/api/files/in/z.txt\"",
        "There is a file “taken.txt” already.",
        "Files of up to 100.0 kB are taken.",
        "has to end in .txt",
        "&#60;b&#62;.txt",
        "href=\"/?folder=in\"",
    ] {
        assert!(html.contains(part), "no {part}: {html}");
    }
    assert!(!html.contains("href=\"/api/files/in/taken.txt\""), "{html}");
    let none = Form::new().file("b.exe", "x").file("c.exe", "x");
    let html = none.submit(&editor, "/publish").await.expect(422).text();
    assert!(html.contains("0 of 2 files were published"), "{html}");
}

/// The form as it came back: a page with that status, the sentence in it, and what was typed.
fn assert_form_again(reply: Reply, status: u16, sentence: &str) -> String {
    let reply = reply.expect(status);
    let html = reply.text();
    assert!(
        reply.header("content-type").starts_with("text/html"),
        "{html}"
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    for part in [
        "role=\"alert\"",
        "<title>Error: ",
        "value=\"in &#60;b&#62;/here\"",
        "value=\"A &#34;title&#34; &#38; more\"",
        sentence,
    ] {
        assert!(html.contains(part), "no {part}: {html}");
    }
    html
}

fn typed() -> Form {
    Form::new()
        .text("folder", "in <b>/here")
        .text("title", "A \"title\" & more")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_cannot_be_taken_comes_back_with_what_was_typed() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("UPLOAD_LIMIT", "100kB")
        .start()
        .await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("in <b>/here/a.txt", "old");
    let there = ["in <b>/here/a.txt"];
    let submit = async |form: Form| form.submit(&editor, "/publish").await;

    let reply = submit(typed().file("a.txt", "new")).await;
    let html = assert_form_again(reply, 409, "There is a file “a.txt” already.");
    assert!(
        !html.contains(" checked"),
        "overwrite was not ticked: {html}"
    );

    let reply = submit(typed().file("big.bin", vec![b'x'; 100_001])).await;
    assert_form_again(reply, 413, "Files of up to 100.0 kB are taken.");
    let reply = submit(typed().file("big.bin", vec![b'x'; 1_000_000])).await;
    assert_form_again(reply, 413, "Files of up to 100.0 kB are taken.");

    let reply = submit(typed().text("overwrite", "true").file(".hidden", "x")).await;
    let html = assert_form_again(reply, 422, "name cannot be used");
    assert!(html.contains(" checked"), "overwrite was ticked: {html}");
    let reply = submit(typed().file("", "")).await;
    assert_form_again(reply, 422, "There is no file in the form.");
    assert_on_disk(&app, &there, "nothing was taken");

    let html = file("a.txt", "x")
        .text("folder", "../out")
        .submit(&editor, "/publish")
        .await
        .expect(422)
        .text();
    assert!(html.contains("value=\"../out\""), "{html}");
    assert!(
        html.contains("href=\"#folder\""),
        "the sentence leads to the field: {html}"
    );
    let long = "x".repeat(300);
    let html = file("a.txt", "x")
        .text("title", &long)
        .submit(&editor, "/publish")
        .await
        .expect(422)
        .text();
    assert!(html.contains(&format!("value=\"{long}\"")), "{html}");
    assert!(html.contains("href=\"#title\""), "{html}");
    assert_on_disk(&app, &there, "nothing was taken");
    assert_eq!(std::fs::read(app.files().join(there[0])).unwrap(), b"old");

    // What is no form at all comes back as an empty one.
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/form-data; boundary=x", "garbage"),
    ] {
        let html = editor.post("/publish", kind, body).await.expect(422).text();
        assert!(
            html.contains("role=\"alert\"") && html.contains("action=\"/publish\""),
            "{html}"
        );
    }
}
