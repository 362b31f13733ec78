//! The memory of all downloads together. A client that takes what it is sent gets larger pieces, as long as there is
//! room for them; everybody always gets small ones, which are in use for a moment only.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The piece that everybody gets, in bytes.
pub const LEAST: usize = 64 * 1024;
/// What the server is handed at once, in bytes. Together with what it may still hold (32 KiB) that is as much as it
/// keeps memory for (128 KiB, actix-http's `WRITE_BUFFER_RETENTION_LIMIT`), and one call writes it to the socket.
pub const SLICE: usize = 96 * 1024;
/// The largest piece, in bytes.
pub const MOST: usize = 1024 * 1024;
/// All pieces above [`LEAST`] together, in bytes.
const ROOM: usize = 32 * MOST;

const PAGE: usize = 4096;
/// Where in a page the bytes begin. Processors with fast short `rep movsb` copy twenty times slower when the target lies
/// up to 16 bytes behind the source, counted within pages (AMD Zen 3). Files in memory begin where a page does, large
/// allocations 16 bytes behind that, and neighbours of equal size 16 bytes behind each other, so a plain `Vec` meets the
/// slow case nearly always, when it is read into and again when the server copies it.
const OFFSET: usize = 1024;

/// Memory for so many bytes.
pub fn memory(size: usize) -> Vec<u8> {
    vec![0; size + PAGE]
}

/// Where the bytes begin in memory that [`memory`] made.
pub fn start(memory: &[u8]) -> usize {
    (OFFSET + PAGE - memory.as_ptr().addr() % PAGE) % PAGE
}

/// Where pieces come from. Large ones are kept for the next, because new memory costs more than reading into it.
#[derive(Debug)]
pub struct Buffers {
    /// In units of [`LEAST`].
    room: Arc<Semaphore>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// One piece; gives its room back when dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    size: usize,
    lent: Option<(OwnedSemaphorePermit, Arc<Buffers>)>,
}

impl Buffers {
    /// With all the room there is.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(ROOM / LEAST)),
            spare: Mutex::default(),
        })
    }

    /// Room for `wanted` bytes, or for as many as there can be now: at least [`LEAST`], at most [`MOST`].
    pub fn get(self: &Arc<Self>, wanted: usize) -> Buffer {
        if wanted > LEAST {
            let size = wanted.next_power_of_two().min(MOST);
            let units = u32::try_from(size / LEAST).unwrap_or(u32::MAX);
            if let Ok(permit) = self.room.clone().try_acquire_many_owned(units) {
                return Buffer {
                    memory: self.spare(size).unwrap_or_else(|| memory(size)),
                    size,
                    lent: Some((permit, self.clone())),
                };
            }
        }
        let size = wanted.min(LEAST);
        Buffer {
            memory: memory(size),
            size,
            lent: None,
        }
    }

    fn spare(&self, size: usize) -> Option<Vec<u8>> {
        let mut spare = self.spare.lock().ok()?;
        let at = spare
            .iter()
            .rposition(|memory| memory.len() == size + PAGE)?;
        Some(spare.swap_remove(at))
    }

    fn keep(&self, memory: Vec<u8>) {
        let Ok(mut spare) = self.spare.lock() else {
            return;
        };
        spare.push(memory);
        // Those of other sizes make way, the oldest first.
        let mut total: usize = spare.iter().map(Vec::len).sum();
        while total > ROOM {
            total -= spare.remove(0).len();
        }
    }
}

impl Buffer {
    /// Where to write.
    pub fn room(&mut self) -> &mut [u8] {
        let start = start(&self.memory);
        &mut self.memory[start..start + self.size]
    }

    /// Only the first `length` bytes are the piece.
    pub fn fill(mut self, length: usize) -> Self {
        self.size = self.size.min(length);
        self
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        let start = start(&self.memory);
        &self.memory[start..start + self.size]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((_permit, home)) = self.lent.take() {
            home.keep(std::mem::take(&mut self.memory));
        }
    }
}
