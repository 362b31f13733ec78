//! The one door to a file: `open(person, path)`. What it refuses looks as if it were not there.

use std::fs::{File, Metadata};
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

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
    let sight = files.rules.sight(&person.person).await?;
    let path = path.clone();
    files
        .run(move |dir| {
            let resolved = resolve(dir, &sight, &path)?;
            open_resolved(dir, &resolved)
        })
        .await
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
    Ok(Opened { file, metadata })
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
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0)
}
