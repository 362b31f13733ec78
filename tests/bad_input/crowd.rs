//! Two thousand connections that ask for nothing, or ask letter by letter, while somebody works.

use std::time::{Duration, Instant};

use portcullis::roles::Role;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::app::TestApp;
use crate::support::database::Backend;

const CROWD: usize = 2_000;
const SCENE: Duration = Duration::from_secs(8);
/// What a person still takes for "at once", on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Silent, with half a head, or with half a second request; the latter two go on letter by letter.
async fn one_of_them(port: u16, number: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let first = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if number % 3 == 2 {
        stream.write_all(first.as_bytes()).await.ok()?;
        stream.read_exact(&mut [0; 64]).await.ok()?;
    }
    if !number.is_multiple_of(3) {
        stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.ok()?;
    }
    Some(stream)
}

async fn drip(mut stream: TcpStream, number: usize, until: Instant) {
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !number.is_multiple_of(3) && stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_or_dripping_connections_do_not_stop_a_signed_in_person() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;

    let mut arriving = JoinSet::new();
    for number in 0..CROWD {
        let port = app.port;
        arriving.spawn(async move { (number, one_of_them(port, number).await) });
    }
    let mut crowd = Vec::new();
    while let Some(arrived) = arriving.join_next().await {
        let (number, stream) = arrived.unwrap();
        crowd.extend(stream.map(|stream| (number, stream)));
    }
    assert!(crowd.len() > CROWD * 9 / 10, "{} came in", crowd.len());

    let until = Instant::now() + SCENE;
    let mut dripping = JoinSet::new();
    for (number, stream) in crowd {
        dripping.spawn(drip(stream, number, until));
    }
    let mut answers = 0;
    while Instant::now() < until {
        let asked = Instant::now();
        reader.get("/api/items").await.expect(200);
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        answers += 1;
    }
    assert!(answers > 20, "{answers} answers in {SCENE:?}");
    dripping.join_all().await;
}
