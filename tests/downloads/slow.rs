//! Clients that take what they are sent very slowly, but all of it.

use std::time::Duration;

use portcullis::roles::Role;
use tokio::net::TcpSocket;

use super::noise;
use crate::bad_input::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::database::Backend;

/// More than twice what the portal's own system takes in advance (4 MB at most, by `tcp_wmem`).
const LENGTH: usize = 7_000_000;
/// More than a third of that: the portal is woken to hand over more.
const QUICKLY: usize = 1_500_000;
/// Longer than the server's time-outs for connections at rest (5 s) and for those that it closes (5 s) together.
const PAUSE: Duration = Duration::from_secs(12);
const SLOWLY: usize = 150_000;
/// 15 kB/s.
const SIP: usize = 3_000;
const REST: Duration = Duration::from_millis(200);

/// A connection whose own system takes hardly anything in advance.
async fn narrow(app: &TestApp) -> Wire {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = ([127, 0, 0, 1], app.port).into();
    Wire::over(socket.connect(address).await.unwrap())
}

/// Takes all of an answer, with a long pause in the middle, and the end of it slowly.
async fn sip(mut wire: Wire, request: Vec<u8>) -> Vec<u8> {
    assert!(wire.send(&request).await);
    wire.head().await;
    let mut body = wire.take(QUICKLY).await;
    tokio::time::sleep(PAUSE).await;
    body.extend(wire.take(LENGTH - SLOWLY - QUICKLY).await);
    while body.len() < LENGTH {
        tokio::time::sleep(REST).await;
        body.extend(wire.take(SIP.min(LENGTH - body.len())).await);
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_very_slow_client_gets_the_last_byte_whether_it_keeps_the_connection_or_not() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let content = noise(LENGTH);
    app.write("big.bin", &content);
    let closing = raw::request(
        "GET",
        "/api/files/big.bin",
        &[("Cookie", &raw::cookie(&reader))],
    );
    let text = String::from_utf8(closing.clone()).unwrap();
    let keeping = text.replace("Connection: close\r\n", "").into_bytes();
    let (closing, keeping) = tokio::join!(
        sip(narrow(&app).await, closing),
        sip(narrow(&app).await, keeping)
    );
    assert!(closing == content, "other bytes came");
    assert!(keeping == content, "other bytes came");
}
