//! A file on its way in: written under a hidden name beside its target, synced, then renamed into its place, so that
//! nobody ever sees half of it. Dropped before that, it leaves nothing behind.

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{Files, ItemPath};
use crate::error::AppResult;
use crate::settings::certificate::hex;

mod received;
mod temporary;

pub(super) use super::refusals::folder_error;
pub(crate) use super::refusals::not_writable;
pub use super::refusals::{is_folder, taken, too_large};
pub use received::{Received, aside};
use temporary::Temporary;
pub use temporary::{is_unfinished, random_name, sweep};

/// Bytes gathered before a trip to the blocking pool.
const BUFFER: usize = 256 * 1024;

/// A file that is being received.
pub struct Incoming {
    temporary: Temporary,
    writer: BufWriter<tokio::fs::File>,
    digest: Context,
    crc32: crc32fast::Hasher,
    size: u64,
    limit: u64,
}

/// An existing folder inside the root; `None` inside is the root itself.
#[derive(Debug, Clone)]
pub struct Folder(pub Option<ItemPath>);

impl Incoming {
    /// Makes the hidden file: in `beside`, the folder that the file shall go to or the nearest one above it that is
    /// there, or, as long as that is not known, in a hidden folder of the root.
    ///
    /// # Errors
    /// 507, or 500 when FILES_DIR cannot be written to.
    pub async fn begin(files: &Files, beside: Option<Folder>) -> AppResult<Self> {
        let (temporary, file) = Temporary::create(files, beside).await?;
        Ok(Self {
            temporary,
            writer: BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file)),
            digest: Context::new(&SHA256),
            crc32: crc32fast::Hasher::new(),
            size: 0,
            limit: files.upload_limit,
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// 413 over the limit, 507 on a full disk.
    pub async fn write(&mut self, bytes: &[u8]) -> AppResult<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        self.digest.update(bytes);
        self.crc32.update(bytes);
        self.writer.write_all(bytes).await.map_err(not_writable)
    }

    /// Waits until the bytes are on the disk.
    ///
    /// # Errors
    /// 507 on a full disk.
    pub async fn finish(mut self) -> AppResult<Received> {
        self.writer.flush().await.map_err(not_writable)?;
        self.writer
            .get_ref()
            .sync_all()
            .await
            .map_err(not_writable)?;
        let metadata = self.writer.get_ref().metadata().await;
        let modified = metadata.and_then(|metadata| metadata.modified());
        Ok(Received {
            modified: modified.map_err(not_writable)?,
            temporary: self.temporary,
            size: self.size,
            sha256: hex(self.digest.finish().as_ref()),
            crc32: self.crc32.finalize(),
        })
    }
}

/// `4.2 MB`
pub fn human_size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().si().to_string()
}
