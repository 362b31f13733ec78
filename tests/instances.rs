//! Three instances behind nginx, round robin, without stickiness: what one knows, all know.

mod killed;

use std::time::{Duration, Instant};

use portcullis::roles::{Role, Wanted};

use crate::admin::{give, hidden, post};
use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::client::Browser;
use crate::support::database::{self, Backend, free_port};
use crate::support::emulator::Emulator;
use crate::support::emulator::accounts::{ADA, KARL};
use crate::support::nginx::Nginx;

/// nginx in front of the ports; every request goes to the next one, and an answer that fails is told.
fn balancer(port: u16, upstreams: &[u16]) -> Option<Nginx> {
    balancer_with(port, upstreams, "off")
}

/// As nginx does by itself: what one does not answer is asked of the next, unless that may change something twice.
fn balancer_that_goes_on(port: u16, upstreams: &[u16]) -> Option<Nginx> {
    balancer_with(port, upstreams, "error timeout")
}

fn balancer_with(port: u16, upstreams: &[u16], next: &str) -> Option<Nginx> {
    let servers: String = upstreams
        .iter()
        .map(|port| format!("server 127.0.0.1:{port} max_fails=0; "))
        .collect();
    Nginx::start(
        port,
        &format!("upstream portal {{ {servers} }}"),
        &format!(
            "client_max_body_size 0;
             location / {{ proxy_pass http://portal; proxy_http_version 1.1; proxy_next_upstream {next};
               proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}"
        ),
    )
}

/// Three instances, reached in turns.
struct Three {
    server: &'static database::Server,
    /// Of their database.
    url: String,
    apps: Vec<TestApp>,
    outside: String,
    _emulator: Emulator,
    _nginx: Nginx,
}

async fn three_behind_nginx() -> Option<Three> {
    let server = database::postgres()?;
    let url = server.database().await;
    let emulator = Emulator::start(0).await.unwrap();
    let port = free_port();
    let outside = format!("http://localhost:{port}");
    emulator.register_redirect_uri(&format!("{outside}/callback"));
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(instance(&url, &emulator, port, &COOKIE_SECRET[..64]).await);
    }
    let ports: Vec<u16> = apps.iter().map(|app| app.port).collect();
    let nginx = balancer(port, &ports)?;
    let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    apps[0]
        .eventually("nginx listens", async || listens().await.is_ok())
        .await;
    Some(Three {
        server,
        url,
        apps,
        outside,
        _emulator: emulator,
        _nginx: nginx,
    })
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
    let Some(three) = three_behind_nginx().await else {
        return;
    };
    let apps = &three.apps;
    apps[0].grant(KARL, Role::Reader).await;
    let (here, there) = (Browser::new(&three.outside), Browser::new(&three.outside));
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

/// In the midst of each step one instance has it already, and two have the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_under_way_crosses_each_step_of_a_rotation() {
    let Some(server) = database::postgres() else {
        return;
    };
    let url = server.database().await;
    let (old, new) = (COOKIE_SECRET[..64].to_owned(), "ef".repeat(32));
    let steps = [
        old.clone(),
        format!("{old},{new}"),
        format!("{new},{old}"),
        new.clone(),
    ];
    for step in steps.windows(2) {
        let emulator = Emulator::start(0).await.unwrap();
        let port = free_port();
        let outside = format!("http://localhost:{port}");
        emulator.register_redirect_uri(&format!("{outside}/callback"));
        let mut apps = Vec::new();
        for secrets in [&step[0], &step[1], &step[0]] {
            apps.push(instance(&url, &emulator, port, secrets).await);
        }
        apps[0].grant(KARL, Role::Reader).await;
        let ports: Vec<u16> = apps.iter().map(|app| app.port).collect();
        let Some(_nginx) = balancer(port, &ports) else {
            return;
        };
        let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        apps[0]
            .eventually("nginx listens", async || listens().await.is_ok())
            .await;
        // A sign-in is three requests, so one more each time begins at every instance in turn.
        for _ in 0..3 {
            let browser = Browser::new(&outside);
            let me = apps[0].sign_in(&browser, KARL, "/api/me").await;
            assert_eq!(me.expect(200).json()["role"], "reader", "{step:?}");
            all_answer(&browser, 200, Duration::from_secs(1)).await;
            browser.get("/api/me").await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_taken_away_is_refused_everywhere_within_a_second_whoever_wrote_the_row() {
    let Some(three) = three_behind_nginx().await else {
        return;
    };
    let apps = &three.apps;
    apps[0].grant(ADA, Role::Admin).await;
    let (ada, karl) = (Browser::new(&three.outside), Browser::new(&three.outside));
    apps[0].sign_in(&ada, ADA, "/admin").await.expect(200);
    apps[0].sign_in(&karl, KARL, "/api/me").await.expect(200);
    let within = Duration::from_secs(1);
    for round in 0..3 {
        // Through the pages, each request on another instance.
        give(&ada, KARL, "reader", "", "").await.expect(303);
        all_answer(&karl, 200, within).await;
        let page = ada
            .navigate("/admin/person/remove?email=karl.weber%40contoso.example")
            .await
            .expect(200)
            .text();
        let fields = [("email", KARL), ("before", &hidden(&page, "before"))];
        post(&ada, "/admin/person/remove", &fields)
            .await
            .expect(303);
        all_answer(&karl, 403, within).await;

        // By another program, which knows the role table alone.
        let name = three.url.rsplit('/').next().unwrap();
        let insert = "INSERT INTO dim.user_roles VALUES ('Karl.Weber@contoso.example', 'reader')";
        three.server.execute(name, insert).await;
        all_answer(&karl, 200, within).await;
        let taken = match round {
            0 => "DELETE FROM dim.user_roles WHERE role = 'reader'",
            1 => "UPDATE dim.user_roles SET role = 'nothing' WHERE role = 'reader'",
            _ => "UPDATE dim.user_roles SET email = 'somebody@else.example' WHERE role = 'reader'",
        };
        three.server.execute(name, taken).await;
        all_answer(&karl, 403, within).await;
        let rest = "DELETE FROM dim.user_roles WHERE role <> 'admin'";
        three.server.execute(name, rest).await;

        // By its end, which all instances know.
        let ends_at = portcullis::clock::now() + 2 * portcullis::clock::SECOND;
        let wanted = Wanted {
            role: Role::Reader,
            ends_at: Some(ends_at),
            note: None,
        };
        apps[round].grant(KARL, wanted).await;
        all_answer(&karl, 200, within).await;
        while portcullis::clock::now() < ends_at {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        all_answer(&karl, 403, within).await;
        apps[0]
            .eventually("the row is gone", async || {
                let mut conn = apps[0].db.conn().await.unwrap();
                let rows = portcullis::roles::store::rows_of(&mut conn, KARL).await;
                rows.unwrap().is_empty()
            })
            .await;
    }
    apps[0].sealed().await;
    let report = portcullis::audit::verify::verify(&apps[0].db, None)
        .await
        .unwrap();
    assert!(report.is_sound(), "three sealers, one chain: {report:?}");
}
