//! The hidden file that the bytes of a file on its way in are written to, and its name.

use std::io;

use cap_std::fs::{Dir, OpenOptions};

use super::Folder;
use crate::error::{AppError, AppResult};
use crate::files::look::{self, ASIDE, UNFINISHED};
use crate::files::refusals::not_writable;
use crate::files::{Files, WORKROOM};
use crate::settings::certificate::hex;

const PART: &str = ".part";

/// The hidden file; removed when dropped, unless it was renamed or stays for another try.
pub(super) struct Temporary {
    pub path: String,
    pub placed: bool,
    /// The folder that it was made in, which may be renamed while the file arrives. None for an upload, which outlives the
    /// publication that fails.
    pub room: Option<Dir>,
}

impl Temporary {
    pub async fn create(files: &Files, beside: Option<Folder>) -> AppResult<(Self, std::fs::File)> {
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

/// Whether a path is that of a file on its way in that came with a form.
pub fn is_unfinished(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    name.ends_with(PART)
        && !name.starts_with(ASIDE)
        && (name.starts_with(UNFINISHED) || folder == WORKROOM)
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
