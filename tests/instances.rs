//! Three instances behind nginx, round robin, without stickiness: what one knows, all know.

use std::time::{Duration, Instant};

use portcullis::roles::Role;

use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::client::Browser;
use crate::support::database::{self, Backend, free_port};
use crate::support::emulator::Emulator;
use crate::support::emulator::accounts::KARL;
use crate::support::nginx::Nginx;

/// nginx in front of the ports; every request goes to the next one.
fn balancer(port: u16, upstreams: &[u16]) -> Option<Nginx> {
    let servers: String = upstreams
        .iter()
        .map(|port| format!("server 127.0.0.1:{port} max_fails=0; "))
        .collect();
    Nginx::start(
        port,
        &format!("upstream portal {{ {servers} }}"),
        "location / { proxy_pass http://portal; proxy_http_version 1.1; proxy_next_upstream off;
           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }",
    )
}

/// An instance that is known from outside as the balancer's port.
async fn instance(url: &str, emulator: &Emulator, port: u16, secrets: &str) -> TestApp {
    TestApp::builder(Backend::Postgres)
        .on(url)
        .beside(emulator)
        .with(
            "APP_REG_REDIRECT_URI",
            &format!("http://localhost:{port}/callback"),
        )
        .with("API_COOKIE_SECRET", secrets)
        .with("TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await
}

async fn all_answer(browser: &Browser, status: u16, within: Duration) {
    let began = Instant::now();
    loop {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(browser.get("/api/items").await.status);
        }
        if answers.iter().all(|answer| *answer == status) {
            return;
        }
        assert!(
            began.elapsed() < within,
            "{answers:?} instead of {status} after {within:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_crosses_all_instances_and_an_end_reaches_all_within_a_second() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let emulator = Emulator::start(0).await.unwrap();
    let port = free_port();
    emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
    let secret = &COOKIE_SECRET[..64];
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(instance(&url, &emulator, port, secret).await);
    }
    let ports: Vec<u16> = apps.iter().map(|app| app.port).collect();
    let Some(_nginx) = balancer(port, &ports) else {
        return;
    };
    apps[0].grant(KARL, Role::Reader).await;
    let outside = format!("http://localhost:{port}");
    let (here, there) = (Browser::new(&outside), Browser::new(&outside));
    apps[0]
        .eventually("nginx listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
    // Login, callback and target are three requests, so each goes to another instance.
    for browser in [&here, &there] {
        let me = apps[0]
            .sign_in(browser, KARL, "/api/me")
            .await
            .expect(200)
            .json();
        assert_eq!(me["role"], "reader");
    }
    all_answer(&here, 200, Duration::from_secs(1)).await;
    all_answer(&there, 200, Duration::from_secs(1)).await;
    here.post("/api/me/sign-out", "application/json", "")
        .await
        .expect(204);
    all_answer(&there, 401, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_instance_by_instance_without_signing_anybody_out() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let emulator = Emulator::start(0).await.unwrap();
    let port = free_port();
    emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
    let (old, new) = (COOKIE_SECRET[..64].to_owned(), "ef".repeat(32));
    // Each step of the README, with an instance of the step before still at work.
    let steps = [
        old.clone(),
        format!("{old},{new}"),
        format!("{new},{old}"),
        new.clone(),
    ];
    let first = instance(&url, &emulator, port, &steps[0]).await;
    first.grant(KARL, Role::Reader).await;
    let direct = Browser::new(&first.url);
    let login = direct.navigate("/login").await.expect(303);
    let callback = first.picked(login.location(), KARL);
    let answer = direct.navigate(&callback).await.expect(302);
    let back = url::Url::parse(answer.location()).unwrap();
    let path = format!("/callback?{}", back.query().unwrap());
    direct.navigate(&path).await.expect(303);
    let mut cookie = direct.cookie("session").unwrap();
    let mut before = first;
    for secrets in &steps[1..] {
        let after = instance(&url, &emulator, port, secrets).await;
        for app in [&before, &after, &before, &after] {
            let browser = Browser::new(&app.url);
            browser.set_cookie("session", Some(&cookie));
            assert_eq!(browser.get("/api/items").await.status, 200, "at {secrets}");
            cookie = browser.cookie("session").unwrap();
        }
        before = after;
    }
    // The cookie was handed out anew, so the old secret is needed no more; and it opens nothing any longer.
    let stale = Browser::new(&before.url);
    stale.set_cookie("session", direct.cookie("session").as_deref());
    stale.get("/api/items").await.expect(401);
}
