//! What is no form, or a strange one: a 4xx answer with a sentence, and nothing left behind.

use portcullis::roles::Role;

use super::form::{Form, file};
use super::{assert_on_disk, problem, published};
use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::database::Backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_multipart_form_is_a_clear_4xx() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let whole = file("a.txt", "x").body();
    let huge = "x".repeat(100_000);
    for (kind, body) in [
        ("application/json", &b"{\"file\": \"a.txt\"}"[..]),
        ("application/x-www-form-urlencoded", b"file=a.txt"),
        ("text/plain", b"file=a.txt"),
        ("application/octet-stream", b"\0\xff"),
        ("multipart/form-data", &whole),
        ("multipart/form-data; boundary=", &whole),
        ("multipart/form-data; boundary=\"\"", &whole),
        ("multipart/form-data; boundary=other", &whole),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"\0\xff\xfe\r\n\r\n--\r\n"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno head\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: attachment; name=\"file\"\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\xff\"\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\0: \0\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Length: 99\r\n\r\na\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n--y--\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", huge.as_bytes()),
        ("multipart/form-data; boundary=\u{fc}", &whole),
        ("multipart/mixed; boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n"),
        ("nonsense", &whole),
        (";;;", &whole),
        ("", &whole),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\x7f\"\r\n\r\na\r\n--x--\r\n",
        ),
    ] {
        let reply = editor.post("/api/items", kind, body).await;
        let what = format!("{kind} {:?}: {}", String::from_utf8_lossy(&body[..body.len().min(200)]), reply.text());
        assert!([400, 413, 415, 422].contains(&reply.status), "{what}");
        problem(&reply, reply.status);
        assert_on_disk(&app, &[], &what);
    }
    assert!(published(&app).await.is_empty());
    file("a.txt", "x").publish(&editor).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_says_neither_yes_nor_no_to_overwriting_is_asked_again() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    file("a.txt", "old").publish(&editor).await.expect(201);
    for word in ["maybe", "TRUE!", "{}", "null", "2"] {
        let form = file("a.txt", "new").text("overwrite", word);
        let reply = form.publish(&editor).await.expect(422);
        assert!(reply.text().contains("overwrite"), "{}", reply.text());
    }
    for (word, status) in [("", 409), ("false", 409), ("yes", 201)] {
        let form = file("a.txt", "new").text("overwrite", word);
        form.publish(&editor).await.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_a_file_says_so() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for (what, form) in [
        ("no file", Form::new().text("title", "T")),
        ("none chosen", Form::new().text("title", "T").file("", "")),
        (
            "misspelt",
            Form::new().part("form-data; name=\"File\"; filename=\"a.txt\"", b"x"),
        ),
    ] {
        let sentence = problem(&form.publish(&editor).await, 422);
        assert!(
            sentence.contains("no file in the form"),
            "{what}: {sentence}"
        );
        assert_on_disk(&app, &[], what);
    }
    // Bytes without a name are no file either.
    let nameless = Form::new().part("form-data; name=\"file\"", b"x");
    problem(&nameless.publish(&editor).await, 422);
    assert_on_disk(&app, &[], "nameless");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_files_in_one_form_nothing_is_left_lying_about() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let reply = file("a.txt", "first")
        .file("b.txt", "second")
        .publish(&editor)
        .await;
    match reply.status {
        201 => {
            let name = reply.json()["name"].as_str().unwrap().to_owned();
            assert_on_disk(&app, &[&name], "two files");
        }
        status => {
            problem(&reply, status);
            assert!((400..500).contains(&status));
            assert_on_disk(&app, &[], "two files");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_is_a_lie_harms_nobody() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let body = file("a.txt", "hello").body();
    let (cookie, kind) = (raw::cookie(&editor), Form::kind());
    for length in [
        "Content-Length: 5",
        "Content-Length: 0",
        "Content-Length: -1",
        "Content-Length: x",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 10\r\nContent-Length: 20",
        "Content-Length: 10\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked",
    ] {
        let headers = [
            ("Cookie", cookie.as_str()),
            ("Content-Type", kind.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let mut request = raw::request("POST", "/api/items", &headers);
        request.truncate(request.len() - 2);
        request.extend_from_slice(format!("{length}\r\n\r\n").as_bytes());
        request.extend_from_slice(&body);
        if let Some(answer) = raw::ask(&app, &request).await {
            assert!(
                (400..500).contains(&answer.status),
                "{length}: {} {}",
                answer.status,
                answer.text()
            );
        }
        app.eventually("nothing is left", async || super::on_disk(&app).is_empty())
            .await;
    }
    assert!(published(&app).await.is_empty());
    file("a.txt", "hello").publish(&editor).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_form_at_all_is_told_what_to_send() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for kind in ["application/json", "nonsense", "multipart/form-data"] {
        let sentence = problem(&editor.post("/api/items", kind, "{}").await, 400);
        let helps = sentence.contains("multipart/form-data") && sentence.contains("“file”");
        assert!(helps, "{kind}: {sentence}");
    }
    let ours = [("sec-fetch-site", "same-origin")];
    let reply = editor
        .send(reqwest::Method::POST, "/api/items", &ours, Vec::new())
        .await;
    let sentence = problem(&reply, 400);
    assert!(sentence.contains("multipart/form-data"), "{sentence}");
}
