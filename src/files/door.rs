//! The one door to a file: `open(person, path)`. What it refuses looks as if it were not there.

use std::fs::{File, Metadata};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, openat2, statx};

use super::{Files, ItemPath, absent_or};
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};
use crate::rules::Sight;

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

/// Opens `path` for `person`, as far as the rules of its folder admit them.
///
/// # Errors
/// 404 for what is absent, hidden from this person, outside the root or no regular file; 503 without the rules.
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
    person: &Reader,
    path: &ItemPath,
    work: impl FnOnce(Opened) -> AppResult<T> + Send + 'static,
) -> AppResult<T> {
    let sight = files.rules.sight(&person.person).await?;
    open_seen(files, sight, path, work).await
}

/// As [`open_then`], for what goes on after the look at the gate: by what the person may see now.
///
/// # Errors
/// Those of [`open_then`].
pub(super) async fn open_seen<T: Send + 'static>(
    files: &Files,
    sight: Sight,
    path: &ItemPath,
    work: impl FnOnce(Opened) -> AppResult<T> + Send + 'static,
) -> AppResult<T> {
    // Where something is hidden, spellings have to be compared with the disk, which may wait.
    if sight.is_whole()
        && let Some(opened) = open_near(files, path)
    {
        return work(opened);
    }
    let path = path.clone();
    let look = move |dir: &Dir| {
        let resolved = resolve(dir, &sight, &path)?;
        open_resolved(dir, &resolved).and_then(work)
    };
    files.run_in(&files.lanes.reads, look).await
}

/// Opens what the kernel has in memory: on a file system of this machine, by names that are no links. `None` for all
/// else, and where the kernel cannot tell (before Linux 5.12). Nothing here waits, which spares the trip to another
/// thread; for a small file that trip costs more than all the rest.
fn open_near(files: &Files, path: &ItemPath) -> Option<Opened> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat2(
        CWD,
        files.root()?,
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

/// Where the file at `path` really is, for admins, who are told why somebody else does not get it.
///
/// # Errors
/// The portal's own rights do not reach it.
pub async fn locate(files: &Files, path: &ItemPath) -> AppResult<Option<ItemPath>> {
    if let Some(storage) = files.storage() {
        return match storage.look(path).await {
            Ok(_) => Ok(Some(path.clone())),
            Err(AppError::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
    }
    let path = path.clone();
    let look = move |dir: &Dir| {
        let resolved = resolve(dir, &Sight::everything(), &path)?;
        open_resolved(dir, &resolved)
    };
    match files.run(look).await {
        Ok(opened) => Ok(Some(opened.resolved)),
        Err(AppError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where `path` really is, if this person may know of it: links are followed, and the rules apply to the name that
/// was asked for and to the place where it leads.
///
/// # Errors
/// 404 for everything else.
pub fn resolve(dir: &Dir, sight: &Sight, path: &ItemPath) -> AppResult<ItemPath> {
    // A link may point at something hidden, so the resolved path has to be one that may be served, too.
    let resolved = dir.canonicalize(path).map_err(absent_or)?;
    let resolved = ItemPath::from_path(&resolved).ok_or(AppError::NotFound)?;
    let shown = sight.shows(path.as_str())
        && sight.shows(resolved.as_str())
        && is_spelled_so(dir, sight, &resolved)?;
    match shown {
        true => Ok(resolved),
        false => Err(AppError::NotFound),
    }
}

/// Opens a regular file whose path was resolved.
///
/// # Errors
/// 404 for anything else.
pub fn open_resolved(dir: &Dir, path: &ItemPath) -> AppResult<Opened> {
    let mut options = OpenOptions::new();
    // Opening a FIFO would otherwise wait for its other end.
    options.read(true).custom_flags(nonblocking());
    let file = dir.open_with(path, &options).map_err(absent_or)?.into_std();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(AppError::NotFound);
    }
    Ok(Opened {
        file,
        metadata,
        resolved: path.clone(),
        is_near: false,
    })
}

/// Whether the names on the way are those on the disk. Some file systems take `FINANCE` for `Finance`, and a rule
/// must not be passed by another spelling. Only names beside which something is hidden are looked up.
pub(super) fn is_spelled_so(dir: &Dir, sight: &Sight, path: &ItemPath) -> AppResult<bool> {
    let mut folder: Option<ItemPath> = None;
    for name in path.as_str().split('/') {
        if !sight.hides_below(folder.as_ref().map_or("", ItemPath::as_str)) {
            return Ok(true);
        }
        let next = ItemPath::join(folder.as_ref(), name);
        // Rules are made for folders, so the spelling of a file's own name passes none.
        if next.as_ref() == Some(path) && dir.is_file(path) {
            return Ok(true);
        }
        if !has_name(dir, folder.as_ref(), name)? {
            return Ok(false);
        }
        folder = next;
    }
    Ok(true)
}

/// Whether `folder` lists exactly this name.
///
/// # Errors
/// As for opening the folder.
pub fn has_name(dir: &Dir, folder: Option<&ItemPath>, name: &str) -> AppResult<bool> {
    let opened = match folder {
        Some(folder) => dir.open_dir(folder).map_err(absent_or)?,
        None => dir.try_clone()?,
    };
    for entry in opened.entries().map_err(absent_or)? {
        if entry.map_err(absent_or)?.file_name() == name {
            return Ok(true);
        }
    }
    Ok(false)
}

fn nonblocking() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0)
}
