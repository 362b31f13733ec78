//! A file that was received whole: how it comes into its place, and where what it replaces goes meanwhile.

use std::io;
use std::time::SystemTime;

use cap_std::fs::{Dir, MetadataExt};

use super::Folder;
use super::temporary::{Temporary, random_name};
use crate::error::AppResult;
use crate::files::look::ASIDE;
use crate::files::refusals::{folder_error, is_folder, not_writable, taken};
use crate::files::{Files, ItemPath, moving, names};
use crate::rules::Sight;

/// A file that was received whole and is on the disk, not yet in its place.
pub struct Received {
    pub(super) temporary: Temporary,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// CRC-32 as zip archives have it.
    pub crc32: u32,
    /// Time of change; the renaming does not touch it.
    pub modified: SystemTime,
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
