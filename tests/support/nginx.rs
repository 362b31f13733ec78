//! A real nginx in front of the portal, ended with the test.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running nginx with one server.
pub struct Nginx {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it, or says loudly that it cannot be had. `upstreams` stands among the servers, `server` inside of the
    /// one that listens on `port`. It runs as root where the tests do, because they keep their files to themselves.
    pub fn start(port: u16, upstreams: &str, server: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!(
            "user root; daemon off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;
             events {{ worker_connections 256; }}
             http {{ access_log off; sendfile on; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
               fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
               {upstreams} server {{ listen 127.0.0.1:{port}; {server} }} }}"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("nginx")
            .arg("-e")
            .arg(folder.path().join("start.log"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => {
                listens(port);
                Some(Self {
                    process,
                    _folder: folder,
                })
            }
            Err(error) => {
                super::left_out("nginx", &format!("nginx does not start: {error}"));
                None
            }
        }
    }
}

/// Waits until somebody does.
fn listens(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "nginx does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // QUIT lets it end its worker as well.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.process.wait();
    }
}
