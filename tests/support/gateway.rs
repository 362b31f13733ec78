//! A way to the object storage that can fail at a request of one's choice: before it arrives, after it, or never ending.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::object_storage::{Bucket, Server};

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never arrives; the connection ends.
    Cut,
    /// It arrives; instead of its answer the connection ends.
    Lose,
    /// It does not arrive for now, and nobody is told.
    Hold,
    /// It arrives, and from then on this happens to others.
    Then(Box<Order>),
}

/// A request to look for, by how its head begins and what its first line holds besides.
#[derive(Debug, Clone)]
pub struct Order {
    pub begins: &'static str,
    pub holds: &'static str,
    pub fault: Fault,
}

/// An order for all requests of that method.
pub fn order(begins: &'static str, fault: Fault) -> Order {
    Order {
        begins,
        holds: "",
        fault,
    }
}

/// Listens on a port of its own and leads to the storage.
pub struct Gateway {
    port: u16,
    state: Arc<State>,
}

struct State {
    storage: u16,
    order: Mutex<Option<Order>>,
    met: watch::Sender<usize>,
}

impl Gateway {
    /// In front of that server.
    pub async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            storage: server.port,
            order: Mutex::default(),
            met: watch::channel(0).0,
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, shared.clone()));
            }
        });
        Self { port, state }
    }

    /// The bucket as it is seen through here.
    pub fn view(&self, bucket: &Bucket) -> Bucket {
        Bucket {
            port: self.port,
            ..bucket.clone()
        }
    }

    /// From now on this happens.
    pub fn when(&self, order: Order) {
        *self.state.order.lock().unwrap() = Some(order);
        self.state.met.send_replace(0);
    }

    /// From now on nothing happens. What is held stays so.
    pub fn mend(&self) {
        *self.state.order.lock().unwrap() = None;
    }

    /// Waits until it happened.
    pub async fn met(&self) {
        let mut met = self.state.met.subscribe();
        let wait = met.wait_for(|count| *count > 0);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), wait).await;
        waited.expect("no such request was sent").unwrap();
    }
}

impl State {
    fn fault_of(&self, bytes: &[u8]) -> Option<Fault> {
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap();
        let line = String::from_utf8_lossy(line);
        let mut order = self.order.lock().unwrap();
        let found = order.clone()?;
        if !line.starts_with(found.begins) || !line.contains(found.holds) {
            return None;
        }
        self.met.send_modify(|count| *count += 1);
        if let Fault::Then(next) = &found.fault {
            *order = Some((**next).clone());
        }
        Some(found.fault)
    }
}

async fn carry(mut client: TcpStream, state: Arc<State>) {
    let Ok(mut storage) = TcpStream::connect(("127.0.0.1", state.storage)).await else {
        return;
    };
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_lost = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                match state.fault_of(&asked[..read]) {
                    Some(Fault::Cut) => return,
                    Some(Fault::Hold) => std::future::pending().await,
                    Some(Fault::Lose) => is_lost = true,
                    Some(Fault::Then(_)) | None => {}
                }
                if storage.write_all(&asked[..read]).await.is_err() {
                    return;
                }
            }
            read = storage.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if is_lost || client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
