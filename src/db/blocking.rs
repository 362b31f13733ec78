//! Where the calls of an embedded connection run: on the blocking pool of whoever asks.
//!
//! diesel-async brings a runtime of its own for this. It keeps to the worker on which a connection was made, whose end it does
//! not survive, and it waits in place for a query that nobody waits for any more (the client hung up), which panics on a
//! worker of Actix, since that is one thread.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use diesel_async::sync_connection_wrapper::SpawnBlocking;
use futures_util::future::BoxFuture;
use tokio::task::{JoinError, JoinHandle};

/// Runs the calls of one connection.
#[derive(Debug, Default)]
pub struct Blocking(LeftAlone);

/// Whether somebody went away while the connection was working. It cannot be used from then on, since a call may still run.
#[derive(Debug, Default, Clone)]
pub struct LeftAlone(Arc<AtomicBool>);

impl Blocking {
    pub fn new(left_alone: LeftAlone) -> Self {
        Self(left_alone)
    }
}

impl LeftAlone {
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl SpawnBlocking for Blocking {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>> {
        let call = Call {
            running: tokio::task::spawn_blocking(task),
            left_alone: self.0.clone(),
        };
        Box::pin(async { call.await.map_err(Box::from) })
    }

    fn get_runtime() -> Self {
        Self::default()
    }
}

/// A call that somebody waits for.
struct Call<R> {
    running: JoinHandle<R>,
    left_alone: LeftAlone,
}

impl<R> Future for Call<R> {
    type Output = Result<R, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().running).poll(context)
    }
}

impl<R> Drop for Call<R> {
    fn drop(&mut self) {
        if !self.running.is_finished() {
            self.left_alone.note();
        }
    }
}
