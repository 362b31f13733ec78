//! What lies in a folder, and below it. Reads the disk: only what is there now is listed.

use std::time::SystemTime;

use cap_std::fs::{Dir, Metadata};

use super::{ItemPath, absent_or};
use crate::error::{AppError, AppResult};

/// No search looks at more than this many files.
const MOST: usize = 200_000;
const DEEPEST: usize = 64;

/// A file or folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it is.
    pub path: ItemPath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Size in bytes; 0 for a folder.
    pub size: u64,
    /// Last change.
    pub modified: SystemTime,
}

/// Files and folders directly in `folder` (`None`: the root), in no order.
///
/// # Errors
/// 404 when there is no such folder.
pub fn folder(dir: &Dir, folder: Option<&ItemPath>) -> AppResult<Vec<Entry>> {
    let opened;
    let inside = match folder {
        None => dir,
        Some(path) => {
            let resolved = dir.canonicalize(path).map_err(absent_or)?;
            ItemPath::from_path(&resolved).ok_or(AppError::NotFound)?;
            opened = dir.open_dir(&resolved).map_err(absent_or)?;
            &opened
        }
    };
    let mut entries = Vec::new();
    for found in inside.entries().map_err(absent_or)? {
        let found = found.map_err(absent_or)?;
        let name = found.file_name();
        // Names that are not UTF-8 have no address, and hidden ones are not served.
        let Some(path) = name.to_str().and_then(|name| ItemPath::join(folder, name)) else {
            continue;
        };
        let is_link = found.file_type().is_ok_and(|kind| kind.is_symlink());
        let metadata = match is_link {
            // Followed from the root, so that a link that leads out is absent here as well.
            true => link_target(dir, &path),
            false => found.metadata().ok(),
        };
        entries.extend(metadata.and_then(|metadata| entry(path, &metadata)));
    }
    Ok(entries)
}

/// All files below `folder`; links to folders are not followed, so this ends.
///
/// # Errors
/// 404 when there is no such folder.
pub fn below(dir: &Dir, start: Option<&ItemPath>) -> AppResult<Vec<Entry>> {
    let mut files = Vec::new();
    let mut waiting = vec![(start.cloned(), 0)];
    while let Some((place, depth)) = waiting.pop() {
        let entries = match folder(dir, place.as_ref()) {
            Ok(entries) => entries,
            // Removed meanwhile, or not readable: the rest is still worth showing.
            Err(_) if depth > 0 => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            if !entry.is_folder {
                files.push(entry);
            } else if depth < DEEPEST && !is_link(dir, &entry.path) {
                waiting.push((Some(entry.path), depth + 1));
            }
        }
        if files.len() > MOST {
            return Err(AppError::Unprocessable(
                "There are more files than can be searched at once. Search in a folder.".to_owned(),
            ));
        }
    }
    Ok(files)
}

fn is_link(dir: &Dir, path: &ItemPath) -> bool {
    dir.symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_symlink())
}

fn link_target(dir: &Dir, path: &ItemPath) -> Option<Metadata> {
    let resolved = dir.canonicalize(path).ok()?;
    ItemPath::from_path(&resolved)?;
    dir.metadata(&resolved).ok()
}

fn entry(path: ItemPath, metadata: &Metadata) -> Option<Entry> {
    if !metadata.is_file() && !metadata.is_dir() {
        return None;
    }
    let modified = metadata
        .modified()
        .ok()
        .map(cap_std::time::SystemTime::into_std);
    Some(Entry {
        path,
        is_folder: metadata.is_dir(),
        size: if metadata.is_dir() { 0 } else { metadata.len() },
        modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
    })
}
