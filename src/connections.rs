//! Connections that ask for nothing. actix-http times the head of a connection's first request and the rest between two
//! requests, but not the head of a later request that begins and never ends; those connections are ended here.

use std::any::Any;
use std::collections::HashSet;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt;
use actix_web::web::Bytes;

/// Longer than keep-alive (5 s) and a first head (10 s), which actix-http watches itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection without a request counts as new.
const NEW_FOR: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All open connections of the process.
#[derive(Default)]
pub struct Connections(Mutex<Vec<Weak<Connection>>>);

/// One connection, kept in actix's data of it.
pub struct Connection {
    socket: TcpStream,
    opened: Instant,
    at_work: AtomicUsize,
    has_asked: AtomicBool,
    /// When the last answer ended, in milliseconds since `opened`.
    rests_since: AtomicU64,
}

impl Connections {
    /// For `HttpServer::on_connect`.
    pub fn note(&self, io: &dyn Any, data: &mut Extensions) {
        let secured = io.downcast_ref::<TlsStream<rt::net::TcpStream>>();
        let stream = secured.map(|secured| secured.get_ref().0);
        let Some(stream) = stream.or_else(|| io.downcast_ref()) else {
            return;
        };
        // A second descriptor of the same socket, since the first belongs to actix.
        let socket = match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => TcpStream::from(socket),
            Err(error) => return log::warn!("a connection is not watched: {error}"),
        };
        let connection = Arc::new(Connection {
            socket,
            opened: Instant::now(),
            at_work: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            rests_since: AtomicU64::new(0),
        });
        self.lock().push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Ends all of them, whatever they are at.
    pub fn cut(&self) {
        for connection in self.lock().iter().filter_map(Weak::upgrade) {
            if let Err(error) = connection.socket.shutdown(Shutdown::Both) {
                log::debug!("a connection was gone already: {error}");
            }
        }
    }

    /// Whether some have a first request that was not looked at yet, or were accepted a moment ago and may send one.
    pub fn has_newcomers(&self) -> bool {
        self.lock()
            .iter()
            .filter_map(Weak::upgrade)
            .any(|connection| {
                let may_ask = connection.opened.elapsed() < NEW_FOR || connection.has_unread();
                may_ask && !connection.has_asked.load(Ordering::SeqCst)
            })
    }

    /// Inodes of all sockets that a worker has in its hands.
    pub fn inodes(&self) -> HashSet<u64> {
        let open = self.lock();
        let open = open.iter().filter_map(Weak::upgrade);
        open.filter_map(|connection| Some(rustix::fs::fstat(&connection.socket).ok()?.st_ino))
            .collect()
    }

    /// Ends connections that rest too long. Runs until the process ends.
    pub async fn watch(self: Arc<Self>) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        loop {
            interval.tick().await;
            self.lock().retain(|connection| {
                let open = connection.upgrade();
                open.inspect(|connection| connection.end_if_resting())
                    .is_some()
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Marks the connection as at work until what is returned is dropped.
    pub fn work(self: &Arc<Self>) -> Work {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        self.has_asked.store(true, Ordering::SeqCst);
        Work(self.clone())
    }

    /// Whether bytes of the client's wait to be read. The descriptor never blocks: actix's own has the same state.
    fn has_unread(&self) -> bool {
        matches!(self.socket.peek(&mut [0]), Ok(1))
    }

    /// Only the reading half is shut down: an answer that is still on its way arrives whole.
    fn end_if_resting(&self) {
        let since = Duration::from_millis(self.rests_since.load(Ordering::SeqCst));
        let rested = self.opened.elapsed().saturating_sub(since);
        if self.at_work.load(Ordering::SeqCst) > 0 || rested < PATIENCE {
            return;
        }
        if let Err(error) = self.socket.shutdown(Shutdown::Read) {
            log::debug!("a resting connection was gone already: {error}");
        }
    }
}

/// A request that is being answered.
pub struct Work(Arc<Connection>);

impl Drop for Work {
    fn drop(&mut self) {
        let elapsed = self.0.opened.elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.0.rests_since.store(elapsed, Ordering::SeqCst);
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body that keeps its connection at work until it was sent or given up.
pub struct Working {
    body: BoxBody,
    _work: Option<Work>,
}

impl Working {
    /// `work` is `None` where the connection is not watched.
    pub fn new(body: impl MessageBody + 'static, work: Option<Work>) -> Self {
        Self {
            body: body.boxed(),
            _work: work,
        }
    }
}

impl MessageBody for Working {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
