//! The one door to a file: `open(person, path)`. What it refuses looks as if it were not there.

use std::fs::{File, Metadata};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};

use super::{Files, ItemPath, absent_or};
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};

/// A file that may be sent.
pub struct Opened {
    /// The open file.
    pub file: File,
    /// What the file system says of it, taken from the open file.
    pub metadata: Metadata,
    /// Its path without links.
    pub resolved: ItemPath,
    /// Whether it was opened without waiting, on a worker, which must go on without waiting.
    pub is_near: bool,
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
pub async fn open(files: &Files, person: &Reader, path: &ItemPath) -> AppResult<Opened> {
    open_then(files, person, path, Ok).await
}

/// Opens `path` as [`open`] does, and goes on with `work` on the same thread, which may wait for the disk unless the
/// file [is near](Opened::is_near).
///
/// # Errors
/// Those of [`open`], and what the work returned.
pub async fn open_then<T: Send + 'static>(
    files: &Files,
    _person: &Reader,
    path: &ItemPath,
    work: impl FnOnce(Opened) -> AppResult<T> + Send + 'static,
) -> AppResult<T> {
    if let Some(opened) = open_near(files, path) {
        return work(opened);
    }
    let path = path.clone();
    let look = move |dir: &Dir| open_blocking(dir, &path).and_then(work);
    files.run_in(&files.lanes.reads, look).await
}

/// Opens what the kernel has in memory: on a file system of this machine, by names that are no links. `None` for all
/// else, and where the kernel cannot tell (before Linux 5.12). Nothing here waits, which spares the trip to another
/// thread; for a small file that trip costs more than all the rest.
fn open_near(files: &Files, path: &ItemPath) -> Option<Opened> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat2(
        CWD,
        &files.root,
        folder,
        Mode::empty(),
        ResolveFlags::CACHED,
    )
    .ok()?;
    // Network file systems and those of other programs have no device, and may wait even to say what a file is.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let has_device = statx(&root, "", flags, StatxFlags::TYPE)
        .ok()?
        .stx_dev_major
        != 0;
    if !has_device {
        return None;
    }
    let plain = ResolveFlags::CACHED
        | ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(root, path.as_ref(), reading, Mode::empty(), plain).ok()?;
    let file = File::from(file);
    let metadata = file.metadata().ok()?;
    metadata.is_file().then(|| Opened {
        file,
        metadata,
        resolved: path.clone(),
        is_near: true,
    })
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
    Ok(Opened {
        file,
        metadata,
        resolved,
        is_near: false,
    })
}

fn nonblocking() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0)
}
