//! A file on its way in: written under a hidden name, synced, then renamed into its place, so that nobody
//! ever sees half of it. Dropped before that, it leaves nothing behind.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{RenameFlags, renameat_with};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{Files, ItemPath, WORKROOM};
use crate::error::{AppError, AppResult};
use crate::settings::certificate::hex;

/// Bytes gathered before a trip to the blocking pool.
const BUFFER: usize = 256 * 1024;
/// Older leftovers of a process that was killed are removed at the next start.
const LEFTOVER: Duration = Duration::from_secs(24 * 3600);

/// A file that is being received.
pub struct Incoming {
    temporary: Temporary,
    writer: BufWriter<tokio::fs::File>,
    digest: Context,
    size: u64,
    limit: u64,
}

/// A file that was received whole and is on the disk, not yet in its place.
pub struct Received {
    temporary: Temporary,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Time of change; the renaming does not touch it.
    pub modified: SystemTime,
}

/// The hidden file; removed when dropped, unless it was renamed.
struct Temporary {
    files: Files,
    path: String,
    placed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        let removed = self.files.dir().and_then(|dir| dir.remove_file(&self.path));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!(
                "the unfinished file {} could not be removed: {error}",
                self.path
            );
        }
    }
}

impl Incoming {
    /// Makes the hidden file.
    ///
    /// # Errors
    /// 507, or 500 when FILES_DIR cannot be written to.
    pub async fn begin(files: &Files) -> AppResult<Self> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| AppError::Internal("the system gives no random bytes".to_owned()))?;
        let path = format!("{WORKROOM}/{}.part", hex(&random));
        let made = path.clone();
        let file = files
            .run(move |dir| {
                dir.create_dir_all(WORKROOM).map_err(not_writable)?;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                let file = dir.open_with(&made, &options).map_err(not_writable)?;
                Ok(file.into_std())
            })
            .await?;
        Ok(Self {
            temporary: Temporary {
                files: files.clone(),
                path,
                placed: false,
            },
            writer: BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file)),
            digest: Context::new(&SHA256),
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
        })
    }
}

/// 413 with the limit in words.
pub fn too_large(limit: u64) -> AppError {
    AppError::TooLarge(format!(
        "Files of up to {} are taken. Nothing was published.",
        human_size(limit)
    ))
}

/// `4.2 MB`
pub fn human_size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().si().to_string()
}

impl Received {
    /// Renames it to `target`, making the folders above it. Without `overwrite` an existing name is never replaced,
    /// not even one that appears at this very moment.
    ///
    /// # Errors
    /// 409 for a name that is taken.
    pub fn place(mut self, dir: &Dir, target: &ItemPath, overwrite: bool) -> AppResult<()> {
        if let Some(folder) = target.folder() {
            dir.create_dir_all(&folder).map_err(folder_error)?;
        }
        if dir
            .symlink_metadata(target)
            .is_ok_and(|found| found.is_dir())
        {
            return Err(AppError::Conflict(format!(
                "“{}” is a folder. Choose another name.",
                target.name()
            )));
        }
        rename(dir, &self.temporary.path, target, overwrite).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => taken(target),
                _ => not_writable(error),
            }
        })?;
        self.temporary.placed = true;
        sync_folder(dir, target);
        Ok(())
    }
}

/// 409 with what to do.
pub fn taken(target: &ItemPath) -> AppError {
    AppError::Conflict(format!(
        "There is a file “{}” already. Choose another name, or say that it shall be replaced.",
        target.name()
    ))
}

fn rename(dir: &Dir, from: &str, to: &ItemPath, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return dir.rename(from, dir, to);
    }
    match renameat_within(dir, from, to) {
        // Some network file systems cannot rename without replacing; then a look beforehand has to do.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            if dir.symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            dir.rename(from, dir, to)
        }
        renamed => renamed,
    }
}

/// The target's folder is opened inside the root first, so that no link in its path leads the rename astray.
fn renameat_within(dir: &Dir, from: &str, to: &ItemPath) -> io::Result<()> {
    let workroom = dir.open_dir(WORKROOM)?;
    let part = Path::new(from).file_name().unwrap_or_default();
    let folder = match to.folder() {
        Some(folder) => dir.open_dir(&folder)?,
        None => dir.try_clone()?,
    };
    renameat_with(&workroom, part, &folder, to.name(), RenameFlags::NOREPLACE)?;
    Ok(())
}

/// Makes the new name itself durable. Not every file system can; the content is safe either way.
fn sync_folder(dir: &Dir, target: &ItemPath) {
    let folder = match target.folder() {
        Some(folder) => dir.open(&folder),
        None => dir.open("."),
    };
    if let Err(error) = folder.and_then(|folder| folder.sync_all()) {
        log::debug!("the folder of {target} was not synced: {error}");
    }
}

fn not_writable(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            AppError::Unreadable(format!("FILES_DIR cannot be written to: {error}"))
        }
        _ => error.into(),
    }
}

fn folder_error(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => AppError::Conflict(
            "A part of that folder's name is a file. Choose another folder.".to_owned(),
        ),
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            AppError::Unprocessable(
                "That folder lies outside the portal. Choose another.".to_owned(),
            )
        }
        _ => not_writable(error),
    }
}

/// Removes what a killed process left behind. Younger ones may belong to an instance that is at work.
pub fn sweep(files: &Files) {
    let Ok(room) = files.dir().and_then(|dir| dir.open_dir(WORKROOM)) else {
        return;
    };
    let Ok(entries) = room.entries() else {
        return;
    };
    for entry in entries.flatten() {
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified.into_std()).ok());
        if age.is_some_and(|age| age > LEFTOVER)
            && let Err(error) = entry.remove_file()
        {
            log::warn!("a leftover in {WORKROOM} could not be removed: {error}");
        }
    }
}
