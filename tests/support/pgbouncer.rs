//! A real PgBouncer in front of Postgres, ended with the test.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::database::{Server, as_root, command_as, free_port};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running PgBouncer.
pub struct PgBouncer {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts it with that `pool_mode`, or says loudly that it cannot be had.
    pub fn start(server: &Server, pool_mode: &str) -> Option<Self> {
        Self::start_with(server, pool_mode, "default_pool_size = 60")
    }

    /// The same with other lines in its configuration.
    pub fn start_with(server: &Server, pool_mode: &str, lines: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            super::left_out("pgbouncer", "PgBouncer is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=portcullis\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n{lines}\n",
            server.port()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        // It refuses to run as root, and then has to be able to read its file.
        let user = as_root().then_some("postgres");
        let open = Command::new("chmod")
            .arg("-R")
            .arg("a+rX")
            .arg(folder.path())
            .status();
        assert!(open.unwrap().success());
        let mut command = command_as(user, Path::new(PROGRAM));
        command
            .arg(&file)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let bouncer = Self {
            process: command.spawn().unwrap(),
            port,
            _folder: folder,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "PgBouncer is not up"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(bouncer)
    }

    /// The URL by way of it.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://portcullis@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // TERM, which runuser passes on.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.process.wait();
    }
}
