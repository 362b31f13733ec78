//! What systemd is told: that the portal is up, that it still is, that it is about to end.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::DEV;
use super::restarts::activate;
use crate::support::database::free_port;
use crate::support::process::Running;

/// The next message with that word in it.
fn told(socket: &UnixDatagram, word: &str) -> String {
    let mut seen = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let length = socket
            .recv(&mut bytes)
            .unwrap_or_else(|error| panic!("{word} was not told ({error}), only {seen:?}"));
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.contains(word) {
            return text;
        }
        seen.push(text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_of_the_start_of_life_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let address = path.to_str().unwrap();
    let settings = [
        DEV[0],
        ("NOTIFY_SOCKET", address),
        ("WATCHDOG_USEC", "1000000"),
    ];
    let mut portal = Running::start(folder.path(), &settings).await;
    told(&socket, "READY=1");
    told(&socket, "WATCHDOG=1");
    told(&socket, "WATCHDOG=1");
    // A portal that hangs says nothing, and that is what the watchdog waits for.
    portal.signal("STOP");
    socket
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    while socket.recv(&mut [0; 64]).is_ok() {}
    portal.signal("CONT");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    told(&socket, "WATCHDOG=1");
    portal.signal("TERM");
    told(&socket, "STOPPING=1");
    assert_eq!(portal.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watchdog_asks_where_systemd_holds_the_port_and_not_at_port() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let address = path.to_str().unwrap();
    // As with ListenStream=443 and the default PORT, where nobody listens.
    let port = free_port().to_string();
    let settings = [
        DEV[0],
        ("PORT", port.as_str()),
        ("NOTIFY_SOCKET", address),
        ("WATCHDOG_USEC", "1000000"),
    ];
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut portal = activate(folder.path(), &settings, [Some(held.into()), None]);
    told(&socket, "READY=1");
    let alive = std::panic::catch_unwind(|| told(&socket, "WATCHDOG=1"));
    portal.kill().unwrap();
    portal.wait().unwrap();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(
        alive.is_ok() && !log.contains("does not answer itself"),
        "{log}"
    );
}
