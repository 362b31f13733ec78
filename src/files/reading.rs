//! Reads an open file ahead while the client takes what it is sent: at once what is in memory, by the shared lanes what
//! has to come from a disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::buffers::{Buffers, LEAST, MOST};
use super::source::{Piece, Source, Unread};
use super::told::Short;

/// A piece grows when the client took it within a quarter of this, and shrinks when it took longer.
const PACE: Duration = Duration::from_millis(200);

/// What all downloads share.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// Their memory.
    pub buffers: Arc<Buffers>,
    /// How many may wait for the disk at once; the others wait for these.
    pub reads: Arc<Semaphore>,
}

impl Lanes {
    /// For so many reads at once.
    pub fn new(reads: usize) -> Self {
        Self {
            buffers: Buffers::new(),
            reads: Arc::new(Semaphore::new(reads)),
        }
    }
}

/// The files that one answer sends, one after the other.
pub struct Reading {
    lanes: Lanes,
    /// What is left to read; `None` at the end, and while it is being read.
    source: Option<Source>,
    /// The next piece from a disk, being read while this one is sent.
    ahead: Option<JoinHandle<Result<Piece, Unread>>>,
    /// The size of the next piece from a disk.
    size: usize,
    handed_at: Instant,
}

impl Reading {
    /// Of nothing yet.
    pub fn new(lanes: Lanes) -> Self {
        Self {
            lanes,
            source: None,
            ahead: None,
            size: LEAST,
            handed_at: Instant::now(),
        }
    }

    /// Goes on with this file.
    pub fn begin(&mut self, source: Option<Source>) {
        self.source = source;
        self.ahead = None;
    }

    /// Whether all of the file was read.
    pub fn is_at_end(&self) -> bool {
        self.source.is_none() && self.ahead.is_none()
    }

    /// The next piece.
    ///
    /// # Errors
    /// Why there is none; nothing more may be sent then.
    pub async fn next_piece(&mut self) -> Result<Bytes, Short> {
        if let Some(source) = &mut self.source
            && let Some(piece) = source.read_at_once()?
        {
            if source.left() == 0 {
                self.source = None;
            }
            return Ok(piece);
        }
        self.keep_pace();
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None => {
                let permit = self.lanes.reads.clone().acquire_owned().await;
                self.read(permit.map_err(|_| Short::Stopped)?)
            }
        };
        let (piece, source) = reading.await.map_err(|_| Short::Stopped)??;
        self.source = source;
        self.read_ahead();
        Ok(piece)
    }

    fn keep_pace(&mut self) {
        let took = self.handed_at.elapsed();
        if took < PACE / 4 {
            self.size = (self.size * 2).min(MOST);
        } else if took > PACE {
            self.size = (self.size / 2).max(LEAST);
        }
        self.handed_at = Instant::now();
    }

    /// While a client takes small pieces only, nothing is held for it.
    fn read_ahead(&mut self) {
        if self.size > LEAST
            && self.source.is_some()
            && let Ok(permit) = self.lanes.reads.clone().try_acquire_owned()
        {
            self.ahead = Some(self.read(permit));
        }
    }

    fn read(&mut self, permit: OwnedSemaphorePermit) -> JoinHandle<Result<Piece, Unread>> {
        let (source, buffers, size) = (self.source.take(), self.lanes.buffers.clone(), self.size);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            source
                .ok_or(Unread::Changed)
                .and_then(|source| source.read(&buffers, size))
        })
    }
}
