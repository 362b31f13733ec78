//! The one door to a file: `open(person, path)`. What it refuses looks as if it were not there.

use std::fs::{File, Metadata};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::{Files, ItemPath, absent_or};
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};

/// A file that may be sent.
pub struct Opened {
    /// The open file.
    pub file: File,
    /// What the file system says of it, taken from the open file.
    pub metadata: Metadata,
}

impl Opened {
    /// When it was last changed.
    pub fn modified(&self) -> SystemTime {
        self.metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Opens `path` for `person`, who needs a role; that is all the rules there are so far.
///
/// # Errors
/// 404 for what is absent, hidden, outside the root or no regular file.
pub async fn open(files: &Files, _person: &Reader, path: &ItemPath) -> AppResult<Opened> {
    let path = path.clone();
    files.run(move |dir| open_blocking(dir, &path)).await
}

/// Whether there is a file at `path` that somebody could be let in to. Says nothing of who: only admins are told.
///
/// # Errors
/// The portal's own rights do not reach it.
pub async fn exists(files: &Files, path: &ItemPath) -> AppResult<bool> {
    let path = path.clone();
    match files.run(move |dir| open_blocking(dir, &path)).await {
        Ok(_) => Ok(true),
        Err(AppError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

fn open_blocking(dir: &Dir, path: &ItemPath) -> AppResult<Opened> {
    // A link may point at something hidden, so the resolved path has to be one that may be served, too.
    let resolved = dir.canonicalize(path).map_err(absent_or)?;
    let resolved = ItemPath::from_path(&resolved).ok_or(AppError::NotFound)?;
    let mut options = OpenOptions::new();
    // Opening a FIFO would otherwise wait for its other end.
    options.read(true).custom_flags(nonblocking());
    let file = dir
        .open_with(&resolved, &options)
        .map_err(absent_or)?
        .into_std();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(AppError::NotFound);
    }
    Ok(Opened { file, metadata })
}

fn nonblocking() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0)
}
