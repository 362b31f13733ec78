//! Files and folders that the portal has no right to. The tests may run as root, to whom no right is denied, so the
//! portal runs as a process of its own, without the capabilities that make root pass everywhere.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::reference;
use crate::publishing::form::file;
use crate::support::client::Browser;
use crate::support::database::free_port;
use crate::support::left_out;

/// A command to which rights apply.
fn without_power(program: &Path) -> Command {
    let as_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--bounding-set=-dac_override,-dac_read_search,-fowner",
        "--inh-caps=-all",
        "--",
    ]);
    command.arg(program);
    command
}

/// The portal as a process, in test mode, where everybody is an editor; ended with the test.
struct Portal {
    child: Child,
    browser: Browser,
    folder: tempfile::TempDir,
}

impl Portal {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let port = free_port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let portcullis = |arguments: &[&str]| {
            let mut command = without_power(Path::new(env!("CARGO_BIN_EXE_portcullis")));
            let path = std::env::var_os("PATH").unwrap_or_default();
            command
                .env_clear()
                .env("PATH", path)
                .current_dir(folder.path())
                .args(arguments);
            command.envs([
                ("TEST_MODE", "true"),
                ("DATABASE_URL", "sqlite://portal.db"),
                ("FILES_DIR", "files"),
            ]);
            command.env("PORT", port.to_string());
            command
        };
        let granted = portcullis(&["roles", "grant", "test.user@example.com", "editor"])
            .output()
            .unwrap();
        assert!(granted.status.success(), "{granted:?}");
        let child = portcullis(&[])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut portal = Self {
            child,
            browser: Browser::new(&format!("http://localhost:{port}")),
            folder,
        };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
            || portal.browser.get("/health/ready").await.status != 200
        {
            assert!(
                portal.child.try_wait().unwrap().is_none(),
                "it ended: {}",
                portal.log()
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "not ready: {}",
                portal.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        portal
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join("files").join(path)
    }

    /// Asks for a page and for JSON; both are 500 with a sentence and a reference, and the log has the cause under it.
    async fn assert_unreadable(&self, path: &str) {
        for reply in [
            self.browser.navigate(path).await,
            self.browser.get(path).await,
        ] {
            let text = reply.expect(500).text();
            assert!(
                text.contains("the portal has no right to read or write it"),
                "{path}: {text}"
            );
            assert!(
                !text.contains("ermission denied") && !text.contains("os error"),
                "{path}: {text}"
            );
            let reference = reference(&text).unwrap();
            let log = self.log();
            let told = log
                .lines()
                .find(|line| line.contains(&reference) && line.contains("ermission denied"));
            assert!(
                told.is_some(),
                "{path}: the log does not tell the cause of {reference}: {log}"
            );
        }
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // So that the folder can be removed.
        for place in ["files", "files/locked", "files/closed"] {
            let _ = std::fs::set_permissions(
                self.folder.path().join(place),
                PermissionsExt::from_mode(0o700),
            );
        }
    }
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Whether rights can be taken from a process here; says so where they cannot.
fn rights_apply() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe");
    std::fs::write(&file, "readable").unwrap();
    let read = || without_power(Path::new("cat")).arg(&file).output();
    let open = read().is_ok_and(|output| output.stdout == b"readable");
    allow(&file, 0);
    let closed = read().is_ok_and(|output| !output.status.success());
    if !(open && closed) {
        left_out(
            "permissions",
            "rights cannot be taken from a process here (root, without a setpriv that works)",
        );
    }
    open && closed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_portal_may_not_read_is_said_to_be_so_and_hides_nothing_else() {
    if !rights_apply() {
        return;
    }
    let portal = Portal::start().await;
    let browser = &portal.browser;
    std::fs::create_dir(portal.file("locked")).unwrap();
    for path in ["secret.txt", "open.txt", "locked/inside.txt"] {
        std::fs::write(portal.file(path), "content").unwrap();
    }
    allow(&portal.file("secret.txt"), 0);
    allow(&portal.file("locked"), 0);
    for path in [
        "/api/files/secret.txt",
        "/api/files/locked/inside.txt",
        "/?folder=locked",
        "/api/items?folder=locked",
    ] {
        portal.assert_unreadable(path).await;
    }
    assert_eq!(
        browser.get("/api/files/open.txt").await.expect(200).text(),
        "content"
    );
    let page = browser.navigate("/").await.expect(200).text();
    assert!(
        page.contains("open.txt") && page.contains("secret.txt") && page.contains("locked"),
        "{page}"
    );
    let listed = browser.get("/api/items").await.expect(200).json();
    let paths: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].clone())
        .collect();
    assert_eq!(paths, ["open.txt", "secret.txt"]);

    allow(&portal.file("secret.txt"), 0o600);
    allow(&portal.file("locked"), 0o700);
    for path in ["secret.txt", "locked/inside.txt"] {
        browser.get(&format!("/api/files/{path}")).await.expect(200);
    }
    let root = portal.file("");
    allow(&root, 0);
    for path in ["/", "/api/items", "/api/files/open.txt"] {
        portal.assert_unreadable(path).await;
    }
    browser.get("/health/ready").await.expect(200);
    allow(&root, 0o700);
    browser.get("/api/files/open.txt").await.expect(200);
    assert!(!portal.log().contains("panicked"), "{}", portal.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_portal_may_not_write_takes_nothing_and_loses_nothing() {
    if !rights_apply() {
        return;
    }
    let portal = Portal::start().await;
    let browser = &portal.browser;
    std::fs::create_dir(portal.file("closed")).unwrap();
    std::fs::write(portal.file("closed/old.txt"), "old").unwrap();
    allow(&portal.file("closed"), 0o500);
    for (name, folder) in [
        ("new.txt", "closed"),
        ("old.txt", "closed"),
        ("new.txt", "closed/deeper"),
    ] {
        let form = file(name, "new")
            .text("folder", folder)
            .text("overwrite", "true");
        let reply = form.clone().publish(browser).await.expect(500);
        assert!(
            reply.text().contains("no right to read or write it"),
            "{name}: {}",
            reply.text()
        );
        assert!(reference(&reply.text()).is_some());
        form.submit(browser, "/publish").await.expect(500);
    }
    let inside = std::fs::read_dir(portal.file("closed")).unwrap().count();
    assert_eq!(
        (
            inside,
            std::fs::read(portal.file("closed/old.txt")).unwrap()
        ),
        (1, b"old".to_vec())
    );
    let left = std::fs::read_dir(portal.file(".portcullis"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "unfinished files were left");

    allow(&portal.file("closed"), 0o700);
    let form = file("old.txt", "new")
        .text("folder", "closed")
        .text("overwrite", "true");
    form.publish(browser).await.expect(201);
    // The root itself, so that not even the folder for unfinished files can be made.
    std::fs::remove_dir(portal.file(".portcullis")).unwrap();
    allow(&portal.file(""), 0o500);
    let reply = file("new.txt", "new").publish(browser).await.expect(500);
    assert!(
        reply.text().contains("no right to read or write it"),
        "{}",
        reply.text()
    );
    assert_eq!(
        browser
            .get("/api/files/closed/old.txt")
            .await
            .expect(200)
            .text(),
        "new"
    );
    allow(&portal.file(""), 0o700);
    assert!(!portal.log().contains("panicked"), "{}", portal.log());
}
