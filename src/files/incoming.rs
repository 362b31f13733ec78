//! A file on its way in: written under a hidden name beside its target, synced, then renamed into its place, so that
//! nobody ever sees half of it. Dropped before that, it leaves nothing behind.

use std::io;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use cap_std::fs::{Dir, MetadataExt, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::look::{self, ASIDE, UNFINISHED};
use super::{Files, ItemPath, WORKROOM, moving, names};
use crate::error::{AppError, AppResult};
use crate::rules::Sight;
use crate::settings::certificate::hex;

/// Bytes gathered before a trip to the blocking pool.
const BUFFER: usize = 256 * 1024;
const PART: &str = ".part";

/// A file that is being received.
pub struct Incoming {
    temporary: Temporary,
    writer: BufWriter<tokio::fs::File>,
    digest: Context,
    crc32: crc32fast::Hasher,
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
    /// CRC-32 as zip archives have it.
    pub crc32: u32,
    /// Time of change; the renaming does not touch it.
    pub modified: SystemTime,
}

/// The hidden file; removed when dropped, unless it was renamed or stays for another try.
struct Temporary {
    path: String,
    placed: bool,
    /// The folder that it was made in, which may be renamed while the file arrives. None for an upload, which outlives the
    /// publication that fails.
    room: Option<Dir>,
}

/// An existing folder inside the root; `None` inside is the root itself.
#[derive(Debug, Clone)]
pub struct Folder(pub Option<ItemPath>);

impl Temporary {
    async fn create(files: &Files, beside: Option<Folder>) -> AppResult<(Self, std::fs::File)> {
        let name = random_name()?;
        let in_workroom = beside.is_none();
        let path = match beside {
            None => format!("{WORKROOM}/{name}{PART}"),
            Some(Folder(None)) => format!("{UNFINISHED}{name}{PART}"),
            Some(Folder(Some(folder))) => format!("{folder}/{UNFINISHED}{name}{PART}"),
        };
        let made = path.clone();
        let (file, room) = files
            .run(move |dir| {
                if in_workroom {
                    dir.create_dir_all(WORKROOM).map_err(not_writable)?;
                }
                let (room, name) = match made.rsplit_once('/') {
                    Some((room, name)) => (dir.open_dir(room).map_err(not_writable)?, name),
                    None => (dir.try_clone()?, made.as_str()),
                };
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                let file = room.open_with(name, &options).map_err(not_writable)?;
                Ok((file.into_std(), room))
            })
            .await?;
        let temporary = Self {
            path,
            placed: false,
            room: Some(room),
        };
        Ok((temporary, file))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(room) = self.room.as_ref().filter(|_| !self.placed) else {
            return;
        };
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        if let Err(error) = room.remove_file(name)
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
    /// An upload that is complete, in the hidden file at `path` below the root. That stays where it is when it cannot be
    /// published, so that its sender may try again.
    pub fn of_upload(
        path: String,
        (size, modified): (u64, SystemTime),
        (sha256, crc32): (String, u32),
    ) -> Self {
        let temporary = Temporary {
            path,
            placed: false,
            room: None,
        };
        Self {
            temporary,
            size,
            sha256,
            crc32,
            modified,
        }
    }

    /// Brings it onto the file system of `folder`, should it lie on another one: a rename cannot cross from one to the
    /// other. Done before a transaction begins, since copying may take long.
    ///
    /// # Errors
    /// 507 on a full disk.
    pub async fn bring_beside(mut self, files: &Files, folder: Folder) -> AppResult<Self> {
        let (from, to) = (self.temporary.path.clone(), folder.0.clone());
        let same = files
            .run(move |dir| {
                let folder = match &to {
                    Some(folder) => dir.metadata(folder).map_err(not_writable)?,
                    None => dir.dir_metadata()?,
                };
                let part = dir.metadata(&from).map_err(not_writable)?;
                Ok(part.dev() == folder.dev())
            })
            .await?;
        if same {
            return Ok(self);
        }
        let (temporary, mut copy) = Temporary::create(files, Some(folder)).await?;
        let from = self.temporary.path.clone();
        let modified = files
            .run(move |dir| {
                let mut part = dir.open(&from).map_err(not_writable)?.into_std();
                io::copy(&mut part, &mut copy).map_err(not_writable)?;
                copy.sync_all().map_err(not_writable)?;
                copy.metadata()
                    .and_then(|metadata| metadata.modified())
                    .map_err(not_writable)
            })
            .await?;
        self.temporary = temporary;
        self.modified = modified;
        Ok(self)
    }

    /// Where it lies, and which file it is.
    ///
    /// # Errors
    /// The disk's.
    pub async fn lies_at(&self, files: &Files) -> AppResult<(String, u64)> {
        let (path, looked) = (self.temporary.path.clone(), self.temporary.path.clone());
        let inode = files
            .run(move |dir| Ok(dir.symlink_metadata(&looked).map_err(not_writable)?.ino()))
            .await?;
        Ok((path, inode))
    }

    /// Renames it to `target`, making the folders above it. Only with another name to put `aside` what lies there, an
    /// existing name is replaced, and without it not even one that appears at this very moment.
    ///
    /// # Errors
    /// 409 for a name that is taken, or that some system cannot tell from another one there.
    pub fn place(
        mut self,
        dir: &Dir,
        sight: &Sight,
        target: &ItemPath,
        aside: Option<&str>,
    ) -> AppResult<()> {
        names::check_beside(dir, sight, target)?;
        if let Some(folder) = target.folder() {
            dir.create_dir_all(&folder).map_err(folder_error)?;
        }
        if dir
            .symlink_metadata(target)
            .is_ok_and(|found| found.is_dir())
        {
            return Err(is_folder(target));
        }
        if let Some(aside) = aside {
            put_aside(dir, target, aside)?;
        }
        rename(dir, &self.temporary.path, target, aside.is_some()).map_err(|error| match error
            .kind()
        {
            io::ErrorKind::AlreadyExists => taken(target),
            _ => not_writable(error),
        })?;
        self.temporary.placed = true;
        sync_folder(dir, target);
        Ok(())
    }
}

/// A second, hidden name for what lies at `target`, in the same folder.
///
/// # Errors
/// 500 when the system gives no random bytes.
pub fn aside(target: &ItemPath) -> AppResult<String> {
    let name = random_name()?;
    Ok(match target.folder() {
        Some(folder) => format!("{folder}/{ASIDE}{name}"),
        None => format!("{ASIDE}{name}"),
    })
}

/// Whether a path is that of a file on its way in that came with a form.
pub fn is_unfinished(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    name.ends_with(PART)
        && !name.starts_with(ASIDE)
        && (name.starts_with(UNFINISHED) || folder == WORKROOM)
}

/// Gives what lies at `target`, if anything does, that second name too, so that it can come back. On a file system
/// without hard links it has only the second one for a moment.
fn put_aside(dir: &Dir, target: &ItemPath, aside: &str) -> AppResult<()> {
    let Err(error) = dir.hard_link(target, dir, aside) else {
        return Ok(());
    };
    if error.kind() == io::ErrorKind::NotFound {
        return Ok(());
    }
    log::debug!("{target} cannot have a second name: {error}");
    moving::rename(dir, target.as_str(), aside).map_err(not_writable)
}

/// A name that nobody guesses: 32 hexadecimal digits, of which the first eight are the same for all that this process makes.
///
/// # Errors
/// 500 when the system gives no random bytes.
pub fn random_name() -> AppResult<String> {
    let mut random = [0; 12];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| AppError::Internal("the system gives no random bytes".to_owned()))?;
    Ok(format!("{}{}", *look::OUR_MARK, hex(&random)))
}

/// 409 for a name that a folder has.
pub fn is_folder(target: &ItemPath) -> AppError {
    AppError::Conflict(format!(
        "“{}” is a folder. Choose another name.",
        target.name()
    ))
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
    match moving::rename_within(dir, from, to.as_str()) {
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

/// Makes the new name itself durable. Not every file system can; the content is safe either way.
fn sync_folder(dir: &Dir, target: &ItemPath) {
    moving::sync_folder_of(dir, target.as_str());
}

pub(crate) fn not_writable(error: io::Error) -> AppError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            AppError::Unreadable(format!("FILES_DIR cannot be written to: {error}"))
        }
        _ => error.into(),
    }
}

/// Why a folder cannot be used or made.
pub(super) fn folder_error(error: io::Error) -> AppError {
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

/// Removes what a killed process left in the hidden folder. What it left beside a target goes when that folder is read.
pub fn sweep(files: &Files) {
    let Ok(room) = files.dir().and_then(|dir| dir.open_dir(WORKROOM)) else {
        return;
    };
    let Ok(entries) = room.entries() else {
        return;
    };
    let is_file =
        |entry: &cap_std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    entries
        .flatten()
        .filter(is_file)
        .for_each(|entry| look::sweep(&entry, files.alone));
}
