//! The binary itself, as a developer and an operator start it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::client::Browser;
use crate::support::database::free_port;

fn portcullis(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .env_clear()
        .envs(variables.iter().copied())
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = portcullis(folder, variables, arguments).output().unwrap();
    let text = [stdout, stderr].concat();
    (
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A portal in a process of its own, ended with the test.
struct Running {
    child: Child,
    browser: Browser,
}

impl Running {
    async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let port_text = port.to_string();
        let mut all = variables.to_vec();
        all.push(("PORT", &port_text));
        let child = portcullis(folder, &all, &[])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self {
            child,
            browser: Browser::new(&format!("http://localhost:{port}")),
        };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
            || running.browser.get("/health/ready").await.status != 200
        {
            assert!(
                running.child.try_wait().unwrap().is_none(),
                "the portal ended"
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "not ready within 20 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_bare_binary_lists_what_is_missing_and_never_lets_a_fake_user_in() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(folder.path(), &[], &[]);
    assert_eq!(code, 1);
    for name in [
        "AZURE_TENANT_ID",
        "APP_REG_CLIENT_ID",
        "APP_REG_CLIENT_SECRET",
        "API_COOKIE_SECRET",
        "DEV_MODE=true",
    ] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_run_starts_with_a_fake_admin_and_files_to_click_on() {
    let folder = tempfile::tempdir().unwrap();
    // What cargo sets for the program that it runs.
    let cargo = [("CARGO", "cargo"), ("CARGO_PKG_NAME", "portcullis")];
    let portal = Running::start(folder.path(), &cargo).await;
    let me = portal.browser.get("/api/me").await.expect(200).json();
    assert_eq!(
        (me["email"].as_str(), me["role"].as_str()),
        (Some("dev.user@example.com"), Some("admin"))
    );
    let page = portal.browser.navigate("/").await.expect(200).text();
    assert!(page.contains("Development mode"), "a banner on every page");
    let items = portal.browser.get("/api/items").await.expect(200).json();
    let first = items[0]["download_url"].as_str().unwrap().to_owned();
    portal.browser.get(&first).await.expect(200);

    for (headers, status) in [
        (&[("host", "evil.example")][..], 421),
        (&[("host", "localhost:1")][..], 200),
        (&[("x-forwarded-for", "1.2.3.4")][..], 421),
        (&[("x-forwarded-host", "localhost")][..], 421),
        (&[("forwarded", "for=1.2.3.4")][..], 421),
    ] {
        let reply = portal
            .browser
            .send(reqwest::Method::GET, "/", headers, Vec::new())
            .await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dev_users_role_is_changed_without_sql_while_the_portal_runs() {
    let folder = tempfile::tempdir().unwrap();
    let dev = [("DEV_MODE", "true")];
    let portal = Running::start(folder.path(), &dev).await;
    let role = async || portal.browser.get("/api/me").await.json()["role"].clone();
    assert_eq!(role().await, "admin");
    let (code, text) = run(
        folder.path(),
        &dev,
        &["roles", "grant", "Dev.User@example.com", "reader"],
    );
    assert_eq!(code, 0, "{text}");
    let began = Instant::now();
    while role().await != "reader" {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the change is not noticed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, list) = run(folder.path(), &dev, &["roles", "list"]);
    assert!(list.contains("dev.user@example.com\treader"), "{list}");
    assert_eq!(
        run(
            folder.path(),
            &dev,
            &["roles", "revoke", "dev.user@example.com"]
        )
        .0,
        0
    );
    assert_eq!(
        run(
            folder.path(),
            &dev,
            &["roles", "revoke", "dev.user@example.com"]
        )
        .0,
        1
    );
    assert_ne!(
        run(folder.path(), &dev, &["roles", "grant", "x@y", "owner"]).0,
        0
    );
    assert_ne!(
        run(
            folder.path(),
            &dev,
            &["roles", "grant", "no address", "admin"]
        )
        .0,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn development_mode_writes_no_admin_into_a_database_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("portal.db").display());
    let dev = [("DEV_MODE", "true"), ("DATABASE_URL", database.as_str())];
    assert_eq!(run(folder.path(), &dev, &["migrate"]).0, 0);
    let portal = Running::start(folder.path(), &dev).await;
    assert!(portal.browser.get("/api/me").await.expect(200).json()["role"].is_null());
    let page = portal.browser.navigate("/").await.expect(403).text();
    assert!(page.contains("dev.user@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_mode_believes_the_header_and_no_other_mode_does() {
    let folder = tempfile::tempdir().unwrap();
    let test = [("TEST_MODE", "true")];
    let portal = Running::start(folder.path(), &test).await;
    let email = async |headers: &[(&str, &str)]| {
        let reply = portal
            .browser
            .send(reqwest::Method::GET, "/api/me", headers, Vec::new())
            .await;
        reply.expect(200).json()["email"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(email(&[]).await, "test.user@example.com");
    assert_eq!(
        email(&[("x-test-user", "Grace@X.example")]).await,
        "grace@x.example"
    );
    drop(portal);
    let dev = Running::start(folder.path(), &[("DEV_MODE", "true")]).await;
    let headers = [("x-test-user", "grace@x.example")];
    let me = dev
        .browser
        .send(reqwest::Method::GET, "/api/me", &headers, Vec::new())
        .await
        .json();
    assert_eq!(me["email"], "dev.user@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_just_ended_is_in_the_audit_after_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let dev = [("DEV_MODE", "true")];
    let mut portal = Running::start(folder.path(), &dev).await;
    portal
        .browser
        .get("/api/files/Welcome.txt")
        .await
        .expect(200);
    portal.signal("TERM");
    let status = portal.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let db = portcullis::db::Db::open(&portcullis::settings::DatabaseSettings::Sqlite {
        path: folder.path().join("data/portcullis.db"),
        is_default: false,
    })
    .unwrap();
    let mut conn = db.conn().await.unwrap();
    let newest = portcullis::audit::store::newest(&mut conn, 1)
        .await
        .unwrap();
    assert_eq!(
        (newest[0].action.as_str(), newest[0].subject.as_str()),
        ("downloaded", "Welcome.txt")
    );
}

#[test]
fn a_settings_file_serves_and_a_typo_in_it_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, "DATABASE_URL = \"sqlite://from-file.db\"\n").unwrap();
    let named = [("PORTCULLIS_CONFIG", file.to_str().unwrap())];
    assert_eq!(run(folder.path(), &named, &["migrate"]).0, 0);
    assert!(folder.path().join("from-file.db").exists());

    let both = [named[0], ("DATABASE_URL", "sqlite://from-environment.db")];
    assert_eq!(run(folder.path(), &both, &["migrate"]).0, 0);
    assert!(
        folder.path().join("from-environment.db").exists(),
        "the environment wins"
    );

    std::fs::write(&file, "DATABASE_URI = \"sqlite://x.db\"\nPORT = 8000\n").unwrap();
    let (code, text) = run(folder.path(), &named, &["migrate"]);
    assert_eq!(code, 1);
    assert!(text.contains("DATABASE_URI"), "{text}");
    std::fs::write(&file, "DATABASE_URL = \n").unwrap();
    assert!(
        run(folder.path(), &named, &["migrate"])
            .1
            .contains("PORTCULLIS_CONFIG")
    );

    std::fs::write(
        folder.path().join(".env"),
        "DATABASE_URL=sqlite://from-dotenv.db\nPORT=\n",
    )
    .unwrap();
    assert_eq!(run(folder.path(), &[], &["migrate"]).0, 0);
    assert!(folder.path().join("from-dotenv.db").exists());
}

#[test]
fn a_command_checks_only_the_settings_it_uses() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(
        folder.path(),
        &[("PORT", "nonsense"), ("DEV_MODE", "perhaps")],
        &["roles", "list"],
    );
    assert_eq!(code, 0, "{text}");
    let (code, secret) = run(folder.path(), &[], &["secret"]);
    assert_eq!((code, secret.trim().len()), (0, 64));
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut child = portcullis(folder.path(), &[("DEV_MODE", "true"), ("PORT", &port)], &[])
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(text.contains("PORT"), "{text}");
}
