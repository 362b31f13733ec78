//! The bytes of what is shown: said to be what the list of kinds says, and allowed to do nothing.

use portcullis::roles::Role;
use reqwest::Method;

use super::{looks, url};
use crate::downloads::noise;
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::on_both;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_kinds_that_hold_no_scripts_are_sent_to_be_shown_and_under_a_policy_without_any() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for (name, kind, disposition) in [
        ("a.png", "image/png", "inline"),
        ("a.JPG", "image/jpeg", "inline"),
        ("a.gif", "image/gif", "inline"),
        ("a.webp", "image/webp", "inline"),
        ("a.avif", "image/avif", "inline"),
        ("a.svg", "image/svg+xml", "attachment"),
        ("a.mp3", "audio/mpeg", "inline"),
        ("a.mp4", "video/mp4", "inline"),
        ("ü \"x\".webm", "video/webm", "inline"),
    ] {
        app.write(name, "<script>alert(1)</script>");
        let reply = reader.get(&url("/api/preview/", name)).await.expect(200);
        assert_eq!(reply.header("content-type"), kind, "{name}");
        let said = reply.header("content-disposition");
        assert!(
            said.starts_with(&format!("{disposition}; filename=")),
            "{said}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(reply.header("x-frame-options"), "DENY", "{name}");
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            "same-origin",
            "{name}"
        );
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; sandbox;") && !policy.contains("allow"),
            "{name}: {policy}"
        );
    }
    for name in [
        "a.html",
        "a.htm",
        "a.xml",
        "a.xhtml",
        "a.js",
        "a.txt",
        "a.pdf",
        "a",
        "a.png.html",
    ] {
        app.write(name, "<script>alert(1)</script>");
        reader
            .navigate(&url("/api/preview/", name))
            .await
            .expect(404);
    }
}

on_both! {
    async fn a_film_is_sent_in_parts_each_is_told_and_none_counts_as_a_download(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let content = noise(500_000);
        app.write("film.mp4", &content);
        app.indexed().await;
        let range = [("range", "bytes=100000-199999")];
        let part = reader.send(Method::GET, "/api/preview/film.mp4", &range, Vec::new()).await.expect(206);
        assert_eq!(part.header("content-range"), "bytes 100000-199999/500000");
        assert!(part.body == content[100_000..200_000], "other bytes arrived");
        let whole = reader.get("/api/preview/film.mp4").await.expect(200);
        assert!(whole.body == content, "other bytes arrived");
        let etag = whole.header("etag").to_owned();
        reader.send(Method::GET, "/api/preview/film.mp4", &[("if-none-match", &etag)], Vec::new()).await.expect(304);
        let rows = looks(&app, 2).await;
        let told: Vec<_> = rows.iter().map(|row| (row.subject.as_str(), row.outcome.as_str(), row.bytes)).collect();
        assert_eq!(told, [("film.mp4", "whole", Some(100_000)), ("film.mp4", "whole", Some(500_000))]);
        assert_eq!(crate::catalogue::row(&app, "film.mp4").await.unwrap().downloads, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_never_left_to_the_front_server() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SENDFILE_HEADER", "X-Accel-Redirect")
        .with("SENDFILE_PREFIX", "/protected/")
        .start()
        .await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    let download = reader.get("/api/files/a.svg").await.expect(200);
    assert_ne!(
        download.header("x-accel-redirect"),
        "",
        "the setting is off"
    );
    let shown = reader.get("/api/preview/a.svg").await.expect(200);
    assert_eq!(shown.header("x-accel-redirect"), "");
    assert!(shown.header("content-security-policy").contains("sandbox"));
}
