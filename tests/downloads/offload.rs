//! The portal decides and nginx sends (`SENDFILE_HEADER=X-Accel-Redirect`), with the configuration of the README.

use std::os::unix::fs::symlink;

use portcullis::roles::Role;
use reqwest::Method;

use super::names::nasty;
use super::{noise, url_of};
use crate::bad_input::raw;
use crate::support::app::{TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::database::{Backend, free_port};
use crate::support::nginx::Nginx;

/// A portal behind nginx; people know nginx's address only.
struct Behind {
    app: TestApp,
    url: String,
    _nginx: Nginx,
}

impl Behind {
    async fn start() -> Option<Self> {
        let port = free_port();
        let url = format!("http://localhost:{port}");
        let callback = format!("{url}/callback");
        let app = TestApp::builder(Backend::Sqlite)
            .with("APP_REG_REDIRECT_URI", &callback)
            .with("SENDFILE_HEADER", "X-Accel-Redirect")
            .start()
            .await;
        app.emulator.register_redirect_uri(&callback);
        let nginx = Nginx::start(port, "", &readme(&app))?;
        app.eventually("nginx listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        Some(Self {
            app,
            url,
            _nginx: nginx,
        })
    }

    async fn reader(&self) -> Browser {
        let email = account(Some(Role::Reader));
        self.app.grant(email, Role::Reader).await;
        let browser = Browser::new(&self.url);
        let me = self.app.sign_in(&browser, email, "/api/me").await;
        me.expect(200);
        browser
    }
}

/// The locations of the README's configuration, with this test's address and folder.
fn readme(app: &TestApp) -> String {
    let readme = include_str!("../../README.md");
    let blocks: Vec<&str> = readme
        .split("```nginx\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let sends = blocks.iter().find(|block| block.contains("internal;"));
    let sends = sends.expect("the README shows no internal location");
    let files = app.files().canonicalize().unwrap();
    let sends = sends.replace("/srv/portcullis/files", files.to_str().unwrap());
    let port = app.port;
    format!("location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; }} {sends}")
}

async fn ask(browser: &Browser, path: &str, headers: &[(&str, &str)]) -> Reply {
    browser
        .send(Method::GET, &url_of(path), headers, Vec::new())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_sends_every_name_as_the_portal_would() {
    let Some(behind) = Behind::start().await else {
        return;
    };
    let reader = behind.reader().await;
    for name in nasty() {
        let path = format!("in a folder, 100%/{name}");
        behind.app.write(&path, &path);
        let sent = ask(&reader, &path, &[]).await.expect(200);
        assert_eq!(sent.text(), path, "another file came");
        assert_eq!(sent.header("x-accel-redirect"), "", "{path}");
        // The portal's own answer to the same question, which it gives without a front server's conditions.
        let own = ask(&reader, &path, &[("if-match", "*")]).await.expect(200);
        for header in [
            "content-length",
            "content-type",
            "content-disposition",
            "etag",
            "last-modified",
            "accept-ranges",
            "cache-control",
            "x-content-type-options",
            "content-security-policy",
        ] {
            assert_eq!(sent.header(header), own.header(header), "{header}: {path}");
            assert_ne!(sent.header(header), "", "{header}: {path}");
        }
    }
    let rows = behind.app.audit().await;
    assert!(!rows.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_sends_parts_and_resumes() {
    let Some(behind) = Behind::start().await else {
        return;
    };
    let reader = behind.reader().await;
    let content = noise(3_000_000);
    behind.app.write("a b.bin", &content);
    let whole = ask(&reader, "a b.bin", &[]).await.expect(200);
    assert!(whole.body == content, "other bytes came");
    let etag = whole.header("etag").to_owned();
    for (range, part) in [
        ("bytes=0-99", 0..100),
        ("bytes=2999990-", 2_999_990..3_000_000),
        ("bytes=-5", 2_999_995..3_000_000),
    ] {
        for proof in ["", etag.as_str()] {
            let headers = [("range", range), ("if-range", proof)];
            let headers = if proof.is_empty() {
                &headers[..1]
            } else {
                &headers
            };
            let reply = ask(&reader, "a b.bin", headers).await.expect(206);
            assert!(reply.body == content[part.clone()], "{range} {proof}");
            let told = format!("bytes {}-{}/3000000", part.start, part.end - 1);
            assert_eq!(reply.header("content-range"), told, "{range}");
            assert_eq!(reply.header("content-encoding"), "", "{range}");
        }
    }
    let stale = [("range", "bytes=5-"), ("if-range", "\"other\"")];
    let reply = ask(&reader, "a b.bin", &stale).await.expect(200);
    assert!(reply.body == content, "a stale part was continued");
    let beyond = [("range", "bytes=3000000-")];
    let reply = ask(&reader, "a b.bin", &beyond).await.expect(416);
    assert_eq!(reply.header("content-range"), "bytes */3000000");
    let known = [("if-none-match", etag.as_str())];
    ask(&reader, "a b.bin", &known).await.expect(304);
    let matching = [("if-match", etag.as_str()), ("range", "bytes=0-0")];
    ask(&reader, "a b.bin", &matching).await.expect(206);
    let head = reader
        .send(Method::HEAD, &url_of("a b.bin"), &[], Vec::new())
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), "3000000");
    assert_eq!(head.header("etag"), etag);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_sends_nothing_that_the_portal_refuses_and_nothing_without_asking_it() {
    let Some(behind) = Behind::start().await else {
        return;
    };
    let app = &behind.app;
    let reader = behind.reader().await;
    app.write("secret.txt", "the secret");
    app.write(".hidden", "the secret");
    app.write("sub/real.txt", "real");
    std::fs::write(app.folder().join("outside.txt"), "the secret").unwrap();
    symlink("../outside.txt", app.files().join("out.txt")).unwrap();
    symlink("sub/real.txt", app.files().join("in.txt")).unwrap();
    let linked = ask(&reader, "in.txt", &[]).await.expect(200);
    assert_eq!(linked.text(), "real", "a link inside is followed");

    let visitor = Browser::new(&behind.url);
    for (browser, path, status) in [
        (&visitor, "/api/files/secret.txt", 401),
        (&reader, "/api/files/absent.txt", 404),
        (&reader, "/api/files/out.txt", 404),
        (&reader, "/api/files/.hidden", 404),
        (&reader, "/api/files/sub", 404),
    ] {
        let reply = browser.get(path).await.expect(status);
        assert!(!reply.text().contains("the secret"), "{path}");
        assert_eq!(reply.header("content-disposition"), "", "{path}");
    }
    app.grant(account(Some(Role::Reader)), Role::Reader).await;
    let port: u16 = behind.url.rsplit(':').next().unwrap().parse().unwrap();
    for target in [
        "/protected-files/secret.txt",
        "/protected-files/sub/real.txt",
        "//protected-files/secret.txt",
        "/%70rotected-files/secret.txt",
        "/x/../protected-files/secret.txt",
        "/api/files/../../protected-files/secret.txt",
    ] {
        let headers = [("Cookie", raw::cookie(&reader))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let request = raw::request("GET", target, &headers);
        let mut wire = raw::Wire::open_port(port).await;
        wire.send(&request).await;
        let answer = wire.answer().await.unwrap().expect(404, target);
        assert!(!answer.text().contains("the secret"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_nginx_sends_is_told_without_bytes_and_with_who_sent_it() {
    let Some(behind) = Behind::start().await else {
        return;
    };
    let reader = behind.reader().await;
    behind.app.write("ten.txt", "0123456789");
    let range = [("range", "bytes=2-4")];
    ask(&reader, "ten.txt", &range).await.expect(206);
    let row = behind.app.audited("downloaded").await;
    assert_eq!(
        (row.subject.as_str(), row.outcome.as_str(), row.bytes),
        ("ten.txt", "handed_over", None)
    );
    let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
    assert_eq!(detail["sent_by"], "nginx (X-Accel-Redirect)");
    assert_eq!(detail["range"], "bytes 2-4/10");
    // What nginx sends counts as what the portal sends does: with the last byte.
    ask(&reader, "ten.txt", &[]).await.expect(200);
    let counted = async || {
        let item = reader.get("/api/items/ten.txt").await.expect(200).json();
        item["downloads"] == 1
    };
    behind
        .app
        .eventually("one download is counted", counted)
        .await;
}
