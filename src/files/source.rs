//! An open file that is read piece by piece: at once what the kernel has in memory, the rest on threads that may wait for
//! a disk. All pieces are of one state of the file: the open handle keeps its content, and after every piece it is asked
//! whether that was changed meanwhile.

use std::cell::Cell;
use std::fs::{File, Metadata};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::web::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::runtime::Handle;

use super::buffers::{self, Buffers, SLICE};
use super::range::Part;

/// What is left to read of a part of a file.
#[derive(Debug)]
pub struct Source {
    file: Closing,
    state: State,
    next: u64,
    left: u64,
    /// Whether the file system can say what it has in memory.
    may_be_near: bool,
}

/// A piece, and the source unless that was the last one.
pub type Piece = (Bytes, Option<Source>);

/// Why there is no next piece.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file was changed, shortened, replaced or taken away since it was opened.
    #[error("the file was changed, replaced or removed meanwhile")]
    Changed,
    /// The file system failed.
    #[error("the file cannot be read: {0}")]
    Failed(io::Error),
}

/// What changes with the file. A file that was replaced or taken away is one that no name leads to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    size: u64,
    changed: (i64, i64),
    has_name: bool,
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            has_name: metadata.nlink() > 0,
        }
    }
}

/// An open file. Closing it may wait for a network, so that is left to a thread that may, unless it is near.
#[derive(Debug)]
struct Closing {
    file: Option<NamedFile>,
    is_near: bool,
}

impl Closing {
    /// Closes it here.
    fn now(&mut self) {
        self.file = None;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(file) = self.file.take()
            && !self.is_near
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

thread_local! {
    /// The memory that this worker reads into at once. The server copies a piece as soon as it has it,
    /// so one serves all its downloads.
    static AT_ONCE: Cell<Bytes> = const { Cell::new(Bytes::new()) };
}

impl Source {
    /// The part `part` of `file`, whose state is what `metadata` says.
    pub fn new(file: NamedFile, metadata: &Metadata, part: Part, is_near: bool) -> Self {
        Self {
            file: Closing {
                file: Some(file),
                is_near,
            },
            state: State::of(metadata),
            next: part.first,
            left: part.length,
            may_be_near: true,
        }
    }

    /// How many bytes are still to be read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next piece of at most [`SLICE`] bytes, as far as the kernel has it in memory; `None` when it would have to
    /// wait, or cannot tell (network file systems). What need not wait is read here, where it is sent: memory that
    /// another processor has just written costs more than all the rest.
    ///
    /// # Errors
    /// [`Unread`]; nothing more may be sent then.
    pub fn read_at_once(&mut self) -> Result<Option<Bytes>, Unread> {
        if !self.may_be_near {
            return Ok(None);
        }
        let mut memory = match AT_ONCE.take().try_into_mut() {
            Ok(memory) if !memory.is_empty() => memory,
            _ => buffers::memory(SLICE).as_slice().into(),
        };
        let start = buffers::start(&memory);
        let length = self.limit(SLICE);
        let slices = &mut [IoSliceMut::new(&mut memory[start..start + length])];
        let read = preadv2(self.file()?, slices, self.next, ReadWriteFlags::NOWAIT);
        let memory = memory.freeze();
        AT_ONCE.set(memory.clone());
        match read {
            Ok(0) => Err(Unread::Changed),
            Ok(read) => {
                self.check()?;
                self.advance(read);
                Ok(Some(memory.slice(start..start + read)))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                self.may_be_near = false;
                Ok(None)
            }
            Err(errno) => Err(Unread::Failed(errno.into())),
        }
    }

    /// Reads the next piece of about `size` bytes, and waits for the disk.
    ///
    /// # Errors
    /// [`Unread`]; nothing more may be sent then.
    pub fn read(mut self, buffers: &Arc<Buffers>, size: usize) -> Result<Piece, Unread> {
        let mut buffer = buffers.get(self.limit(size));
        let length = self.limit(buffer.room().len());
        let file = self.file()?;
        let read = file.read_exact_at(&mut buffer.room()[..length], self.next);
        self.check()?;
        read.map_err(Unread::Failed)?;
        self.advance(length);
        let bytes = Bytes::from_owner(buffer.fill(length));
        if self.left > 0 {
            return Ok((bytes, Some(self)));
        }
        self.file.now();
        Ok((bytes, None))
    }

    fn file(&self) -> Result<&File, Unread> {
        let file = self.file.file.as_ref();
        file.map(NamedFile::file).ok_or(Unread::Changed)
    }

    fn limit(&self, size: usize) -> usize {
        usize::try_from(self.left).map_or(size, |left| left.min(size))
    }

    fn advance(&mut self, read: usize) {
        self.next += read as u64;
        self.left -= read as u64;
    }

    /// Fails when the file is not the same any more. Asked of the kernel: `NamedFile` remembers how it was when opened.
    fn check(&self) -> Result<(), Unread> {
        let metadata = self.file()?.metadata().map_err(Unread::Failed)?;
        match State::of(&metadata) == self.state {
            true => Ok(()),
            false => Err(Unread::Changed),
        }
    }
}
