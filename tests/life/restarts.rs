//! With a socket that outlives the process, as systemd holds it, restarts lose no request.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
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

fn start(folder: &Path, socket: &TcpListener) -> Child {
    let socket = socket.try_clone().unwrap().into();
    activate(folder, &[super::DEV[0]], [Some(socket), None])
}

/// Starts the portal as systemd does: the sockets are the descriptors from 3 on, and two variables say so. Its log is the
/// file `log`.
pub fn activate(folder: &Path, variables: &[(&str, &str)], sockets: [Option<OwnedFd>; 2]) -> Child {
    let handed = sockets.iter().flatten().count();
    let script = format!(
        "exec 3<&0 4>&1 0</dev/null 1>/dev/null; LISTEN_FDS={handed} LISTEN_PID=$$ exec \"$0\""
    );
    let [first, second] = sockets.map(|socket| socket.map_or_else(Stdio::null, Stdio::from));
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_portcullis")])
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(first)
        .stdout(second)
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

async fn ask(port: u16) -> std::io::Result<bool> {
    ask_at((Ipv4Addr::LOCALHOST, port).into()).await
}

async fn ask_at(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_socket_that_systemd_holds_is_served_and_closed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // As a second ListenStream= of another family or port has it.
    let sockets = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| TcpListener::bind(address).unwrap());
    let addresses = sockets
        .each_ref()
        .map(|socket| socket.local_addr().unwrap());
    let handed = sockets
        .each_ref()
        .map(|socket| Some(socket.try_clone().unwrap().into()));
    let mut portal = activate(folder.path(), &super::DEV, handed);
    answered_by(addresses[0].port()).await;
    let second = tokio::time::timeout(Duration::from_secs(10), ask_at(addresses[1]));
    assert!(second.await.expect("an answer").unwrap());
    Command::new("kill")
        .args(["-TERM", &portal.id().to_string()])
        .status()
        .unwrap();
    let ended = tokio::task::spawn_blocking(move || portal.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0));
}

#[test]
fn a_socket_that_cannot_be_served_ends_the_start_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let handed = [Some(tcp.into()), Some(other.into())];
    let mut portal = activate(folder.path(), &super::DEV, handed);
    let began = Instant::now();
    while portal.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // One that serves what it cannot see has to be ended.
    let _ = portal.kill();
    assert_eq!(portal.wait().unwrap().code(), Some(1));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(
        log.contains("socket 2 of the socket unit is no TCP socket"),
        "{log}"
    );
}
