//! Files in the hidden folder that stay for longer than a request, and the space that they may take.

use std::io::ErrorKind;

use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::fstatvfs;

use super::incoming::{Folder, not_writable};
use super::{Files, absent_or};
use crate::error::{AppError, AppResult};

/// A hundredth of the file system, and no more than so many bytes, are left free.
const RESERVE: u64 = 256 * 1024 * 1024;

/// Makes an empty file, with the folder that it lies in.
///
/// # Errors
/// 507, or 500 when FILES_DIR cannot be written to.
pub fn create(dir: &Dir, path: &str) -> AppResult<()> {
    if let Some((folder, _)) = path.rsplit_once('/') {
        dir.create_dir_all(folder).map_err(not_writable)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    dir.open_with(path, &options).map_err(not_writable)?;
    Ok(())
}

/// Opens one to read and to write into.
///
/// # Errors
/// 404 when it is gone, 503 when the whole folder is, as when a share is not mounted.
pub fn open(dir: &Dir, path: &str) -> AppResult<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match dir.open_with(path, &options) {
        Ok(file) => Ok(file.into_std()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
            match dir.is_dir(folder) {
                true => Err(AppError::NotFound),
                false => Err(AppError::FilesAway(format!("{folder} is not there"))),
            }
        }
        Err(error) => Err(absent_or(error)),
    }
}

/// Removes one, should it be there.
///
/// # Errors
/// 500 when FILES_DIR cannot be written to.
pub fn remove(dir: &Dir, path: &str) -> AppResult<()> {
    match dir.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(not_writable(error)),
        _ => Ok(()),
    }
}

/// Refuses `bytes` that would not fit beside the `promised` ones, before they travel. `beside` is where they would lie;
/// `None` is the hidden folder.
///
/// # Errors
/// 507.
pub async fn check_room(
    files: &Files,
    beside: Option<Folder>,
    bytes: u64,
    promised: u64,
) -> AppResult<()> {
    match bytes > room(files, beside, promised).await? {
        true => Err(AppError::NoSpace),
        false => Ok(()),
    }
}

/// Bytes that fit there beside the `promised` ones, with some left free.
///
/// # Errors
/// The disk's.
pub async fn room(files: &Files, beside: Option<Folder>, promised: u64) -> AppResult<u64> {
    let look = move |dir: &Dir| {
        let folder = match beside {
            Some(Folder(Some(folder))) => dir.open_dir(&folder).map_err(absent_or)?,
            _ => dir.try_clone()?,
        };
        let disk = fstatvfs(&folder).map_err(std::io::Error::from)?;
        let reserve = (disk.f_blocks.saturating_mul(disk.f_frsize) / 100).min(RESERVE);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(free.saturating_sub(reserve).saturating_sub(promised))
    };
    files.run(look).await
}
