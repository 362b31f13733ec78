//! A line between a browser and the portal that can be slow, and break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a slow line lets through in one go, and how long it rests after that: about 3 MB/s.
const SIP: usize = 32 * 1024;
const REST: Duration = Duration::from_millis(10);

/// Listens on a port of its own and leads to another.
#[derive(Clone)]
pub struct Line {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    target: AtomicU16,
    is_slow: AtomicBool,
    is_cut: AtomicBool,
    cut: Notify,
}

impl Line {
    /// A line that leads nowhere yet.
    pub async fn lay() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::new(State {
                target: AtomicU16::new(0),
                is_slow: AtomicBool::new(false),
                is_cut: AtomicBool::new(false),
                cut: Notify::new(),
            }),
        };
        let state = line.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, state.clone()));
            }
        });
        line
    }

    pub fn lead_to(&self, port: u16) {
        self.state.target.store(port, Ordering::SeqCst);
    }

    /// Whether what comes from the portal is slowed down.
    pub fn set_slow(&self, slow: bool) {
        self.state.is_slow.store(slow, Ordering::SeqCst);
    }

    /// Breaks all connections, and every new one, until it is mended.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        self.state.cut.notify_waiters();
    }

    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

async fn connect(client: TcpStream, state: Arc<State>) {
    let cut = state.cut.notified();
    if state.is_cut.load(Ordering::SeqCst) {
        return;
    }
    let target = ("127.0.0.1", state.target.load(Ordering::SeqCst));
    let Ok(portal) = TcpStream::connect(target).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_portal, mut to_portal) = portal.into_split();
    let up = copy(&mut from_client, &mut to_portal);
    let down = async {
        let mut sip = vec![0; SIP];
        while let Ok(read @ 1..) = from_portal.read(&mut sip).await {
            if to_client.write_all(&sip[..read]).await.is_err() {
                break;
            }
            if state.is_slow.load(Ordering::SeqCst) {
                tokio::time::sleep(REST).await;
            }
        }
    };
    tokio::select! {
        () = cut => {}
        () = down => {}
        _ = up => {}
    }
}
