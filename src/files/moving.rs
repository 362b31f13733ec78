//! Renames inside FILES_DIR that replace nothing and can be taken back, and what may be renamed: the file, folder or link
//! at a path, where it really is.

use std::io;
use std::time::UNIX_EPOCH;

use actix_web::http::header::{HeaderMap, HeaderValue, IF_MATCH};
use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::{RenameFlags, renameat_with};

use super::{ItemPath, WORKROOM, absent_or, resolve, validators};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::rules::Sight;

/// Where in its folder [`WORKROOM`] deleted things lie.
const TRASH: &str = "trash";

/// A file, folder or link that somebody wants to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its own path; the folders in it are no links.
    pub path: ItemPath,
    /// Whether it is a folder, or a link to one.
    pub is_folder: bool,
    /// Whether it is a link. What is changed then is the link, and not what it leads to.
    pub is_link: bool,
    /// Bytes; 0 for a folder.
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// Entity tag of its content, as the download has it.
    pub etag: String,
    /// Tells it from another one that takes its name.
    pub inode: u64,
}

impl Thing {
    /// What is at `path`, if this person may know of it: the rules apply to the name and to the place.
    ///
    /// # Errors
    /// 404 for everything else.
    pub fn find(dir: &Dir, sight: &Sight, path: &ItemPath) -> AppResult<Self> {
        let resolved = resolve(dir, sight, path)?;
        let folder = path
            .folder()
            .map(|folder| resolve(dir, sight, &folder))
            .transpose()?;
        let own = ItemPath::join(folder.as_ref(), path.name()).ok_or(AppError::NotFound)?;
        if !sight.shows(own.as_str()) {
            return Err(AppError::NotFound);
        }
        let named = dir.symlink_metadata(&own).map_err(absent_or)?;
        let metadata = dir.metadata(&resolved).map_err(absent_or)?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(AppError::NotFound);
        }
        let modified = metadata.modified().map(cap_std::time::SystemTime::into_std);
        Ok(Self {
            path: own,
            is_folder: metadata.is_dir(),
            is_link: named.is_symlink(),
            size: match metadata.is_dir() {
                true => 0,
                false => i64::try_from(metadata.len()).unwrap_or(i64::MAX),
            },
            modified_at: modified.map(clock::micros).unwrap_or_default(),
            etag: format!(
                "\"{}\"",
                validators::tag(
                    metadata.ino(),
                    metadata.len(),
                    (metadata.mtime(), metadata.mtime_nsec())
                )
            ),
            inode: named.ino(),
        })
    }

    /// Refuses a change of another content than the one that was meant (`If-Match`, RFC 9110 section 13.1.1).
    ///
    /// # Errors
    /// 412.
    pub fn expect(&self, expected: Option<&str>) -> AppResult<()> {
        match expected.is_none_or(|expected| is_meant(expected, &self.etag)) {
            true => Ok(()),
            false => Err(AppError::Changed),
        }
    }
}

/// What a request says with `If-Match` (RFC 9110 section 13.1.1). One that cannot be read or is empty matches nothing.
pub fn if_match(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&HeaderValue> = headers.get_all(IF_MATCH).collect();
    if lines.is_empty() {
        return None;
    }
    let tags: Result<Vec<&str>, _> = lines.into_iter().map(HeaderValue::to_str).collect();
    let tags = tags.map(|tags| tags.join(",")).unwrap_or_default();
    match tags.trim() {
        "" => Some("-".to_owned()),
        tags => Some(tags.to_owned()),
    }
}

/// Whether one of the entity tags of an `If-Match` is this one.
pub fn is_meant(expected: &str, etag: &str) -> bool {
    let mut tags = expected.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag == etag)
}

/// Renames, and never replaces what has the new name, not even if it appears at this very moment. Both paths are
/// relative to the root, and may be hidden.
///
/// # Errors
/// The system's: `AlreadyExists` for a name that is taken.
pub fn rename(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    let renamed = match rename_within(dir, from, to) {
        // Some network file systems cannot rename without replacing; then a look beforehand has to do.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            if dir.symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            dir.rename(from, dir, to)
        }
        renamed => renamed,
    };
    renamed?;
    sync_folder_of(dir, to);
    sync_folder_of(dir, from);
    Ok(())
}

/// Both folders are opened inside the root first, so that no link in a path leads the rename astray.
pub(super) fn rename_within(dir: &Dir, from: &str, to: &str) -> io::Result<()> {
    let open = |path: &str| match path.rsplit_once('/') {
        Some((folder, _)) => dir.open_dir(folder),
        None => dir.try_clone(),
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let (room, folder) = (open(from)?, open(to)?);
    renameat_with(&room, name(from), &folder, name(to), RenameFlags::NOREPLACE)?;
    Ok(())
}

/// What a rename that failed means to the person.
pub fn refused(error: io::Error, to: &str) -> AppError {
    let name = to.rsplit('/').next().unwrap_or(to);
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
            AppError::Conflict(format!("There is “{name}” already. Choose another name."))
        }
        io::ErrorKind::CrossesDevices => AppError::Unprocessable(
            "That folder lies on another disk, which nothing can be moved to. Publish the file there instead.".to_owned(),
        ),
        io::ErrorKind::ResourceBusy => AppError::Conflict(
            "A disk of its own is mounted there, so its name stays. Tell the people who run the portal.".to_owned(),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            AppError::Unreadable(format!("FILES_DIR cannot be written to: {error}"))
        }
        _ => error.into(),
    }
}

/// Number of what has that name; `None` when nothing has.
///
/// # Errors
/// The system's, when it cannot say.
pub fn inode(dir: &Dir, path: &str) -> io::Result<Option<u64>> {
    match dir.symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When what is at `path` came into being, microseconds since 1970 UTC; `None` where the file system does not tell.
pub fn made_at(dir: &Dir, path: &str) -> Option<i64> {
    let made = dir.symlink_metadata(path).ok()?.created().ok()?;
    let made = made.into_std().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(made.as_micros()).ok()
}

/// A place in the trash for what is at `path`, under this random name: in the hidden folder of the outermost folder on the
/// same disk, since a rename cannot cross from one to the other. The folder is made.
///
/// # Errors
/// 507, or 500 when it cannot be made.
pub fn place_in_trash(dir: &Dir, path: &ItemPath, name: &str) -> AppResult<String> {
    let device = |folder: Option<&ItemPath>| match folder {
        Some(folder) => dir.metadata(folder).map(|found| found.dev()),
        None => dir.dir_metadata().map(|found| found.dev()),
    };
    let mut outermost = path.folder();
    let own = device(outermost.as_ref())?;
    while let Some(folder) = &outermost {
        let above = folder.folder();
        if device(above.as_ref())? != own {
            break;
        }
        outermost = above;
    }
    let room = match outermost {
        Some(folder) => format!("{folder}/{WORKROOM}/{TRASH}"),
        None => format!("{WORKROOM}/{TRASH}"),
    };
    dir.create_dir_all(&room)
        .map_err(|error| refused(error, &room))?;
    Ok(format!("{room}/{name}"))
}

/// Removes what lies at a place in the trash, with all below. Returns whether it is gone: a disk that is not mounted
/// cannot say so.
///
/// # Errors
/// The system's.
pub fn remove_from_trash(dir: &Dir, place: &str) -> io::Result<bool> {
    let room = place.rsplit_once('/').map_or("", |(room, _)| room);
    if dir.symlink_metadata(room).is_err() {
        return Ok(false);
    }
    let removed = match dir.symlink_metadata(place) {
        Ok(found) if found.is_dir() => dir.remove_dir_all(place),
        Ok(_) => dir.remove_file(place),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(true),
    }
}

/// Makes a name itself durable. Not every file system can; the content is safe either way.
pub fn sync_folder_of(dir: &Dir, path: &str) {
    let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    if let Err(error) = dir.open(folder).and_then(|folder| folder.sync_all()) {
        log::debug!("the folder of {path} was not synced: {error}");
    }
}
