//! What the disk says: the names in a folder, and what is behind a name. The index is made of this, and no list shows
//! anything that was not looked at here a moment before.

use std::io::{Error, ErrorKind};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Dir, DirEntry, Metadata, MetadataExt};

use super::{ItemPath, absent_or};
use crate::clock;
use crate::error::AppResult;
use crate::settings::certificate::hex;

/// Names that begin so are files on their way in.
pub const UNFINISHED: &str = ".portcullis-";
/// Names that begin so are files that are being replaced, as long as that can be taken back.
pub const ASIDE: &str = ".portcullis-old-";
/// Eight hexadecimal digits that tell the hidden names of this process from those of one before it.
pub static OUR_MARK: LazyLock<String> = LazyLock::new(|| {
    let mut mark = [0; 4];
    // Without random bytes no hidden name is made either.
    let _ = aws_lc_rs::rand::fill(&mut mark);
    hex(&mark)
});
/// Older ones were left behind by a process that was killed; younger ones may belong to an instance that is at work.
const LEFTOVER: Duration = Duration::from_secs(24 * 3600);

/// What is behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Size in bytes; 0 for a folder.
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// Where it really is, when the name is a link.
    pub target: Option<ItemPath>,
}

/// A folder's names.
#[derive(Debug)]
pub struct Names {
    /// Those that can be served, in no order.
    pub names: Vec<String>,
    /// Whether there were more than asked for.
    pub cut: bool,
    /// The folder's last change before it was read, microseconds since 1970 UTC.
    pub modified_at: i64,
}

/// Device and number of the directory, which tell it from another one that is mounted in its place.
///
/// # Errors
/// The system's.
pub fn identity(dir: &Dir) -> AppResult<String> {
    let metadata = dir.dir_metadata()?;
    Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// When the folder itself was last changed: a name came or went. Microseconds since 1970 UTC.
/// `None` when there is no such folder, or only a link to one. The root is `None`.
///
/// # Errors
/// 500 for what cannot be read.
pub fn changed_at(dir: &Dir, folder: Option<&ItemPath>) -> AppResult<Option<i64>> {
    let Some(opened) = open_real(dir, folder)? else {
        return Ok(None);
    };
    Ok(Some(modified_at(&opened.dir_metadata()?)))
}

/// The names in `folder`, at most `most` of them. Leftovers of another process among them are removed: at once when
/// nobody shares the files (`alone`), otherwise after a day. `None` when there is no such folder, or only a link to one.
///
/// # Errors
/// 500 for a folder that may not be read.
pub fn names(
    dir: &Dir,
    folder: Option<&ItemPath>,
    most: usize,
    alone: bool,
) -> AppResult<Option<Names>> {
    let Some(opened) = open_real(dir, folder)? else {
        return Ok(None);
    };
    let modified_at = modified_at(&opened.dir_metadata()?);
    let mut names = Vec::new();
    for entry in opened.entries().map_err(absent_or)? {
        let entry = entry.map_err(absent_or)?;
        if names.len() == most {
            return Ok(Some(Names {
                names,
                cut: true,
                modified_at,
            }));
        }
        // Names that are not UTF-8 have no address, and hidden ones are not served.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if ItemPath::join(folder, &name).is_some() {
            names.push(name);
        } else if name.starts_with(UNFINISHED) {
            sweep(&entry, alone);
        }
    }
    Ok(Some(Names {
        names,
        cut: false,
        modified_at,
    }))
}

/// What is behind each of these names in `folder`, in their order; `None` for what is not there or not served.
///
/// # Errors
/// The system's, when it cannot say. Nothing counts as gone for lack of an answer.
pub fn behind<N: AsRef<str>>(
    dir: &Dir,
    folder: Option<&ItemPath>,
    names: &[N],
) -> AppResult<Vec<Option<Found>>> {
    let opened = match open_real(dir, folder) {
        Ok(Some(opened)) => opened,
        // What may not be read cannot be served either, so it is no part of any list.
        Ok(None) | Err(crate::error::AppError::Unreadable(_)) => {
            return Ok(names.iter().map(|_| None).collect());
        }
        Err(error) => return Err(error),
    };
    let found = names.iter().map(|name| {
        let path = ItemPath::join(folder, name.as_ref());
        match path {
            Some(path) => one(dir, &opened, &path),
            None => Ok(None),
        }
    });
    found.collect()
}

fn one(root: &Dir, folder: &Dir, path: &ItemPath) -> AppResult<Option<Found>> {
    let metadata = match folder.symlink_metadata(path.name()) {
        Ok(metadata) => metadata,
        Err(error) => return gone_or(error),
    };
    if !metadata.is_symlink() {
        return Ok(found(&metadata, None));
    }
    // Followed from the root, so that a link that leads out is absent.
    let target = match root.canonicalize(path) {
        Ok(target) => ItemPath::from_path(&target),
        Err(error) => return gone_or(error),
    };
    let Some(target) = target else {
        return Ok(None);
    };
    match root.symlink_metadata(&target) {
        Ok(metadata) => Ok(found(&metadata, Some(target))),
        Err(error) => gone_or(error),
    }
}

/// What lies at a path that was resolved.
///
/// # Errors
/// The system's, when it cannot say.
pub fn real(dir: &Dir, resolved: &ItemPath) -> AppResult<Option<Found>> {
    match dir.symlink_metadata(resolved) {
        Ok(metadata) => Ok(found(&metadata, None)),
        Err(error) => gone_or(error),
    }
}

fn found(metadata: &Metadata, target: Option<ItemPath>) -> Option<Found> {
    if !metadata.is_file() && !metadata.is_dir() {
        return None;
    }
    Some(Found {
        is_folder: metadata.is_dir(),
        size: match metadata.is_dir() {
            true => 0,
            false => i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        },
        modified_at: modified_at(metadata),
        target,
    })
}

/// Absence, as opposed to a disk that gives no answer.
fn gone_or<T>(error: Error) -> AppResult<Option<T>> {
    match absent_or(error) {
        crate::error::AppError::NotFound | crate::error::AppError::Unreadable(_) => Ok(None),
        error => Err(error),
    }
}

/// The folder, unless a part of its path is a link: what lies behind a link is listed under its own path.
fn open_real(dir: &Dir, folder: Option<&ItemPath>) -> AppResult<Option<Dir>> {
    let Some(path) = folder else {
        return Ok(Some(dir.try_clone()?));
    };
    let absent = |error: Error| match absent_or(error) {
        crate::error::AppError::NotFound => Ok(None),
        error => Err(error),
    };
    match dir.canonicalize(path) {
        Ok(real) if real.as_os_str() == path.as_str() => {}
        Ok(_) => return Ok(None),
        Err(error) => return absent(error),
    }
    dir.open_dir(path)
        .map_or_else(absent, |opened| Ok(Some(opened)))
}

fn modified_at(metadata: &Metadata) -> i64 {
    let modified = metadata.modified().map(cap_std::time::SystemTime::into_std);
    clock::micros(modified.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Removes a leftover: what another process made and did not end, at once where nobody shares the files (`alone`), and
/// after a day where it may be at work.
pub(super) fn sweep(entry: &DirEntry, alone: bool) {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let is_aside = name.starts_with(ASIDE);
    let own = name
        .trim_start_matches(ASIDE)
        .trim_start_matches(UNFINISHED)
        .starts_with(OUR_MARK.as_str());
    // What was put aside may be on its way back, and is removed by whoever settles that.
    if alone && !own && !is_aside {
        return remove(entry);
    }
    let since = entry.metadata().and_then(|metadata| {
        // What was put aside keeps the time of its content; when it got this name is told by its status.
        match is_aside {
            true => Ok(UNIX_EPOCH + Duration::from_secs(metadata.ctime().unsigned_abs())),
            false => Ok(metadata.modified()?.into_std()),
        }
    });
    let age = since
        .ok()
        .and_then(|since| SystemTime::now().duration_since(since).ok());
    if age.is_some_and(|age| age > LEFTOVER) {
        remove(entry);
    }
}

fn remove(entry: &DirEntry) {
    if let Err(error) = entry.remove_file()
        && error.kind() != ErrorKind::NotFound
    {
        log::warn!(
            "the leftover {} could not be removed: {error}",
            entry.file_name().display()
        );
    }
}
