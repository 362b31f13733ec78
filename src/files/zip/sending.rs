//! The body of a zip: header, content, header, content, and at last the directory, each made when the client has taken
//! what came before.

use std::convert::Infallible;
use std::sync::Arc;

use actix_files::NamedFile;
use actix_web::web::Bytes;
use futures_util::{Stream, stream};

use super::layout;
use super::plan::Plan;
use super::told::Told;
use crate::auth::user::{Now, StillAdmitted};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::Files;
use crate::files::buffers::{Buffers, LEAST, SLICE};
use crate::files::door::{Opened, open_seen};
use crate::files::range::Part;
use crate::files::reading::Reading;
use crate::files::source::{Piece, Source, Unread};
use crate::files::told::Short;
use crate::rules::Sight;

/// A zip that is under way.
pub struct Sending {
    files: Files,
    plan: Plan,
    reading: Reading,
    step: Step,
    /// Made or read, and not yet handed to the server.
    ready: Bytes,
    /// Whether that is content of the file, not what is written around it.
    is_content: bool,
    /// The beginning of the content, when it was read before the header was written.
    held: Bytes,
    checksum: crc32fast::Hasher,
    /// Where the next file's header lies, from the beginning of the zip.
    offset: u64,
    handed: bool,
    admitted: StillAdmitted,
    sight: Sight,
    told: Told,
}

/// Where it is; the numbers are those of files.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// At the beginning of a file.
    File(usize),
    /// Behind its header.
    Content(usize),
    /// In the directory, whose next entry is that of this file.
    Directory {
        next: usize,
        offset: u64,
        length: u64,
    },
    /// At the end.
    Done,
}

impl Sending {
    /// Sends what `plan` says to somebody who sees `sight`.
    pub fn new(
        files: Files,
        plan: Plan,
        sight: Sight,
        admitted: StillAdmitted,
        told: Told,
    ) -> Self {
        Self {
            reading: Reading::new(files.lanes.clone()),
            files,
            plan,
            step: Step::File(0),
            ready: Bytes::new(),
            is_content: false,
            held: Bytes::new(),
            checksum: crc32fast::Hasher::new(),
            offset: 0,
            handed: false,
            admitted,
            sight,
            told,
        }
    }

    /// As the stream that the server asks for more whenever its buffer has run low. It ends early when it must: the
    /// server closes the connection then, because the announced length was not reached.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut sending| async move {
            sending.told.taken();
            match sending.next().await {
                Ok(slice) => Some((Ok(slice?), sending)),
                Err(why) => {
                    sending.told.cut_short(&why);
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Short> {
        if self.handed {
            tokio::task::yield_now().await;
            self.look_who_it_is().await?;
        }
        while self.ready.is_empty() {
            match self.step {
                Step::File(number) if number < self.plan.count() => self.begin(number).await?,
                Step::File(_) => self.begin_directory(),
                Step::Content(number) => self.go_on(number).await?,
                Step::Directory {
                    next,
                    offset,
                    length,
                } => self.write_directory(next, offset, length),
                Step::Done => return Ok(None),
            }
        }
        self.handed = true;
        let slice = self.ready.split_to(self.ready.len().min(SLICE));
        self.told
            .handed(if self.is_content { slice.len() } else { 0 });
        Ok(Some(slice))
    }

    /// Nobody who is out goes on, and nobody sees what was hidden from them meanwhile. While the database is away it
    /// stays as it was: what runs goes on.
    async fn look_who_it_is(&mut self) -> Result<(), Short> {
        match self.admitted.now().await {
            Now::Out => Err(Short::Withdrawn),
            Now::Unknown => Ok(()),
            Now::Admitted(person) => {
                if let Ok(sight) = self.files.rules.sight(&person).await {
                    self.sight = sight;
                }
                Ok(())
            }
        }
    }

    /// Opens the file, and writes its header.
    async fn begin(&mut self, number: usize) -> Result<(), Short> {
        let path = self.plan.path(number).ok_or(Unread::Changed)?;
        self.told.begins(path.clone()).await;
        let entry = self.plan.entry(number);
        let (size, modified_at) = (entry.size, entry.modified_at);
        let buffers = self.files.lanes.buffers.clone();
        let open = move |opened| begin_of(opened, size, modified_at, &buffers);
        let opened = open_seen(&self.files, self.sight.clone(), &path, open).await;
        let (held, source) = opened.map_err(unread)?;
        self.held = held;
        self.reading.begin(source);
        self.checksum = crc32fast::Hasher::new();
        // What stands in the header has to be known before it is written.
        if self.plan.known_crc32(number).is_none() && !self.plan.entry(number).describes_after {
            let mut all = self.held.to_vec();
            while !self.reading.is_at_end() {
                all.extend(self.reading.next_piece().await?);
            }
            self.plan.found_crc32(number, crc32fast::hash(&all));
            self.held = all.into();
        }
        let entry = self.plan.entry(number);
        self.offset += entry.local_length();
        self.ready = entry.local_header().into();
        self.is_content = false;
        self.step = Step::Content(number);
        Ok(())
    }

    /// The next piece of the file, or what stands behind its end.
    async fn go_on(&mut self, number: usize) -> Result<(), Short> {
        if self.held.is_empty() && self.reading.is_at_end() {
            return self.end_file(number);
        }
        self.ready = match self.held.is_empty() {
            false => std::mem::take(&mut self.held),
            true => self.reading.next_piece().await?,
        };
        self.checksum.update(&self.ready);
        self.is_content = true;
        Ok(())
    }

    fn end_file(&mut self, number: usize) -> Result<(), Short> {
        let crc32 = std::mem::take(&mut self.checksum).finalize();
        // Nothing else would tell that the disk gave other bytes than when it was read before.
        if self
            .plan
            .known_crc32(number)
            .is_some_and(|known| known != crc32)
        {
            return Err(Unread::Changed.into());
        }
        self.told.is_whole();
        self.plan.found_crc32(number, crc32);
        self.ready = self.plan.entry(number).descriptor().into();
        self.is_content = false;
        self.step = Step::File(number + 1);
        Ok(())
    }

    fn begin_directory(&mut self) {
        self.step = Step::Directory {
            next: 0,
            offset: 0,
            length: 0,
        };
    }

    /// As many entries as fit into one slice, and the end of it all behind the last one.
    fn write_directory(&mut self, mut next: usize, mut offset: u64, mut length: u64) {
        let mut bytes = Vec::with_capacity(SLICE);
        while next < self.plan.count() && bytes.len() < SLICE / 2 {
            let entry = self.plan.entry(next);
            let header = entry.central_header(offset);
            length += header.len() as u64;
            bytes.extend(header);
            offset += entry.local_length();
            next += 1;
        }
        self.step = Step::Directory {
            next,
            offset,
            length,
        };
        if next == self.plan.count() {
            bytes.extend(layout::end(next as u64, length, self.offset));
            self.step = Step::Done;
        }
        self.ready = bytes.into();
        self.is_content = false;
    }
}

/// What is to be read of the file, if it is still the one that was planned. Runs where it was opened; a small one that is
/// not near is read at once, to save another trip.
fn begin_of(
    opened: Opened,
    size: u64,
    modified_at: i64,
    buffers: &Arc<Buffers>,
) -> AppResult<Piece> {
    let same = opened.metadata.len() == size && clock::micros(opened.modified()) == modified_at;
    if !same {
        return Err(AppError::BeingWritten);
    }
    if size == 0 {
        return Ok((Bytes::new(), None));
    }
    let named = NamedFile::from_file(opened.file, opened.resolved.name())?;
    let all = Part {
        first: 0,
        length: size,
    };
    let source = Source::new(named, &opened.metadata, all, opened.is_near);
    match !opened.is_near && size <= LEAST as u64 {
        true => source.read(buffers, LEAST).map_err(|error| match error {
            Unread::Changed => AppError::BeingWritten,
            Unread::Failed(error) => error.into(),
        }),
        false => Ok((Bytes::new(), Some(source))),
    }
}

/// A file that is gone, or not to be seen any more, is not the one that was planned.
fn unread(error: AppError) -> Unread {
    match error {
        AppError::NotFound | AppError::BeingWritten => Unread::Changed,
        error => Unread::Failed(std::io::Error::other(
            error.cause().unwrap_or_else(|| error.to_string()),
        )),
    }
}
