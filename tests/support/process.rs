//! The binary itself in a process of its own, with its log.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::client::Browser;
use super::database::free_port;

/// The binary with nothing but these variables, in `folder`.
pub fn portcullis(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
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

/// Runs a command to its end: exit code, and what it printed.
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

/// A portal that serves, ended with the test.
pub struct Running {
    pub child: Child,
    pub browser: Browser,
    pub url: String,
    log: PathBuf,
}

impl Running {
    /// Starts it on a free port and waits until it is ready.
    pub async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_at(folder, free_port(), variables).await
    }

    /// As [`Running::start`], on a given port.
    pub async fn start_at(folder: &Path, port: u16, variables: &[(&str, &str)]) -> Self {
        let mut running = Self::spawn(folder, port, variables);
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
            || running.browser.get("/health/ready").await.status != 200
        {
            assert!(
                running.child.try_wait().unwrap().is_none(),
                "the portal ended: {}",
                running.log()
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "not ready within 20 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    /// As [`Running::start_at`], without waiting.
    pub fn spawn(folder: &Path, port: u16, variables: &[(&str, &str)]) -> Self {
        let port_text = port.to_string();
        let mut all = variables.to_vec();
        all.push(("PORT", &port_text));
        let log = folder.join(format!("log-{port}"));
        let child = portcullis(folder, &all, &[])
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let url = format!("http://localhost:{port}");
        Self {
            child,
            browser: Browser::new(&url),
            url,
            log,
        }
    }

    /// Waits for its end, and returns the exit code.
    pub async fn ended(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
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
