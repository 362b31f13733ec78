//! The body of a download: reads ahead while the client takes what it is sent, and ends short when it must.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::buffers::{Buffers, LEAST, MOST, SLICE};
use super::source::{Piece, Source, Unread};
use super::told::{Short, Told};
use crate::auth::user::StillAdmitted;

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

/// A download that is under way.
pub struct Sending {
    lanes: Lanes,
    /// Read, and not yet handed to the server.
    piece: Bytes,
    /// What is left to read; `None` at the end, and while it is being read.
    source: Option<Source>,
    /// The next piece from a disk, being read while this one is sent.
    ahead: Option<JoinHandle<Result<Piece, Unread>>>,
    /// The size of the next piece from a disk.
    size: usize,
    handed_at: Instant,
    /// Whether something was handed over already, so that it is the turn of other requests.
    handed: bool,
    admitted: StillAdmitted,
    told: Told,
}

impl Sending {
    /// A download that begins with what was read when the file was opened.
    pub fn new(lanes: Lanes, begin: Piece, admitted: StillAdmitted, told: Told) -> Self {
        let (piece, source) = begin;
        Self {
            lanes,
            piece,
            source,
            ahead: None,
            size: LEAST,
            handed_at: Instant::now(),
            handed: false,
            admitted,
            told,
        }
    }

    /// As the stream that the server asks for more whenever its buffer has run low. It ends early when it must: the
    /// server closes the connection then, because the announced length was not reached.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut sending| async move {
            sending.told.taken();
            match sending.next().await {
                Ok(slice) => {
                    let slice = slice?;
                    sending.told.handed(slice.len());
                    Some((Ok(slice), sending))
                }
                Err(why) => {
                    sending.told.cut_short(&why);
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Short> {
        if self.is_at_end() {
            return Ok(None);
        }
        if self.handed {
            tokio::task::yield_now().await;
            if !self.admitted.holds().await {
                return Err(Short::Withdrawn);
            }
        }
        if self.piece.is_empty() {
            self.piece = self.next_piece().await?;
        }
        self.handed = true;
        Ok(Some(self.piece.split_to(self.piece.len().min(SLICE))))
    }

    fn is_at_end(&self) -> bool {
        self.piece.is_empty() && self.source.is_none() && self.ahead.is_none()
    }

    async fn next_piece(&mut self) -> Result<Bytes, Short> {
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
