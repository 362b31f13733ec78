//! With a socket that outlives the process, as systemd holds it, restarts lose no request.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How often; `.ci/run full` asks for a hundred.
fn restarts() -> u32 {
    let asked = std::env::var("PORTCULLIS_RESTARTS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(5)
}

/// Starts the portal as systemd does: the socket is descriptor 3, and two variables say so.
fn start(folder: &Path, socket: &TcpListener) -> Child {
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\"";
    let socket: OwnedFd = socket.try_clone().unwrap().into();
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_portcullis")])
        .env_clear()
        .env("DEV_MODE", "true")
        .current_dir(folder)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn ask(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

async fn answered_by(port: u16) {
    let began = Instant::now();
    while !ask(port).await.is_ok_and(|answered| answered) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the portal does not come up"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_with_socket_activation_lose_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let (over, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let mut portal = start(folder.path(), &socket);
    answered_by(port).await;

    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (over, answers) = (over.clone(), answers.clone());
        load.spawn(async move {
            let mut lost = Vec::new();
            while !over.load(Ordering::SeqCst) {
                match ask(port).await {
                    Ok(true) => drop(answers.fetch_add(1, Ordering::SeqCst)),
                    other => lost.push(format!("{other:?}")),
                }
            }
            lost
        });
    }
    for _ in 0..restarts() {
        Command::new("kill")
            .args(["-TERM", &portal.id().to_string()])
            .status()
            .unwrap();
        let ended = tokio::task::spawn_blocking(move || portal.wait().unwrap());
        assert_eq!(ended.await.unwrap().code(), Some(0));
        let so_far = answers.load(Ordering::SeqCst);
        portal = start(folder.path(), &socket);
        let began = Instant::now();
        while answers.load(Ordering::SeqCst) < so_far + 20 {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "no answers any more"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    over.store(true, Ordering::SeqCst);
    let lost: Vec<String> = load.join_all().await.into_iter().flatten().collect();
    portal.kill().unwrap();
    portal.wait().unwrap();
    let answers = answers.load(Ordering::SeqCst);
    assert!(
        lost.is_empty(),
        "{} of {answers} were lost: {:?}",
        lost.len(),
        &lost[..1]
    );
}
