//! The protected files below `FILES_DIR`. Every access goes through a directory handle that cannot be left
//! (cap-std: `..`, absolute paths and symlinks that lead out fail in the kernel's own look-up). Or they lie in object
//! storage, where [`storage`] reaches them; what needs a folder says then that it is not offered.

use std::path::PathBuf;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::io::Errno;
use tokio::sync::Semaphore;

use crate::error::{AppError, AppResult};
use crate::rules::Rulebook;
use crate::settings::FilesSettings;

mod asked;
mod buffers;
pub mod digest;
mod door;
mod from_storage;
pub mod hidden;
pub mod incoming;
pub mod look;
pub mod moving;
pub mod names;
mod offload;
pub mod path;
mod range;
mod reading;
mod refusals;
pub mod send;
mod sending;
mod source;
pub mod storage;
mod target;
mod told;
pub mod turns;
mod validators;
pub mod zip;

pub use door::{Opened, has_name, locate, open, open_resolved, resolve};
pub use incoming::random_name;
pub use path::ItemPath;
use reading::Lanes;
use storage::Storage;
pub use target::{Named, Target, named, named_in_storage};
use turns::Turns;

/// Hidden folder for files on their way in. Names with a leading dot are never listed or served.
pub const WORKROOM: &str = ".portcullis";

/// So many lists and publications, and as many downloads, wait for the disk at once; the others wait for these. When it
/// hangs, the threads that are left (see [`crate::app::server`]) still serve everything that needs no file.
pub const AT_ONCE: usize = 64;

/// Where the files are. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    place: Place,
    /// Who may see which folder.
    pub rules: Arc<Rulebook>,
    /// Largest file that may be published, in bytes.
    pub upload_limit: u64,
    /// Whether no other instance shares the files.
    pub alone: bool,
    /// Lists and publications that may wait for the disk at once.
    work: Arc<Semaphore>,
    lanes: Lanes,
    /// Who has how many downloads open.
    pub turns: Turns,
    /// The memory that zips may take.
    zips: zip::Room,
}

/// Where they lie.
#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    Storage(Storage),
}

impl Files {
    /// Makes the default folder; any other must be there. Object storage need not be: it is asked when it is needed.
    /// `alone` says that no other instance shares the files, so that hidden files which this process did not make are
    /// leftovers.
    ///
    /// # Errors
    /// A sentence that names `FILES_DIR` or `FILES_URL`.
    pub fn new(
        settings: &FilesSettings,
        rules: Arc<Rulebook>,
        alone: bool,
    ) -> Result<Self, String> {
        let at = |place| Self {
            place,
            upload_limit: settings.upload_limit,
            alone,
            ..Self::none(rules.clone())
        };
        if let Some(storage) = &settings.storage {
            return Ok(at(Place::Storage(Storage::new(storage)?)));
        }
        let dir = &settings.dir;
        if settings.is_default && !dir.exists() {
            std::fs::create_dir_all(dir)
                .map_err(|error| format!("FILES_DIR: {} cannot be made: {error}", dir.display()))?;
        }
        let files = at(Place::Folder(dir.clone()));
        files
            .dir()
            .and_then(|dir| dir.entries().map(drop))
            .map_err(|error| format!("FILES_DIR: {} cannot be read: {error}", dir.display()))?;
        incoming::sweep(&files);
        Ok(files)
    }

    /// No files at all, for a program that embeds the sign-in alone: whatever is asked for is not there.
    pub fn none(rules: Arc<Rulebook>) -> Self {
        Self {
            place: Place::Folder(PathBuf::new()),
            rules,
            upload_limit: 0,
            alone: false,
            work: Arc::new(Semaphore::new(AT_ONCE)),
            lanes: Lanes::new(AT_ONCE),
            turns: Turns::default(),
            zips: zip::Room::default(),
        }
    }

    /// Where the root is, for whoever watches it; nowhere in object storage.
    pub fn root(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(root) => Some(root),
            Place::Storage(_) => None,
        }
    }

    /// The object storage that holds the files, where no folder does.
    pub fn storage(&self) -> Option<&Storage> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Storage(storage) => Some(storage),
        }
    }

    /// A handle on the root, opened anew each time: a share that was mounted again is another directory.
    fn dir(&self) -> std::io::Result<Dir> {
        let root = self.root().ok_or(std::io::ErrorKind::Unsupported)?;
        Dir::open_ambient_dir(root, ambient_authority())
    }

    /// Runs blocking file work off the worker.
    ///
    /// # Errors
    /// What the work returned; 501 where the files lie in object storage.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Dir) -> AppResult<T> + Send + 'static,
    ) -> AppResult<T> {
        self.run_in(&self.work, work).await
    }

    /// As [`Files::run`], once `lane` has a place.
    async fn run_in<T: Send + 'static>(
        &self,
        lane: &Arc<Semaphore>,
        work: impl FnOnce(&Dir) -> AppResult<T> + Send + 'static,
    ) -> AppResult<T> {
        if self.storage().is_some() {
            return Err(AppError::NeedsFolder);
        }
        let files = self.clone();
        let permit = lane.clone().acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let dir = files
                .dir()
                .map_err(|error| AppError::Unreadable(format!("FILES_DIR: {error}")))?;
            work(&dir)
        })
        .await
        .map_err(|error| AppError::Internal(format!("file work ended early: {error}")))?
    }
}

/// What a failed look-up means to the visitor. Leaving the root looks like absence.
fn absent_or(error: std::io::Error) -> AppError {
    use std::io::ErrorKind;
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename, _) => {
            AppError::NotFound
        }
        // cap-std's own refusal carries no errno; the kernel's EACCES is a matter of the operator's rights.
        (ErrorKind::PermissionDenied, None) => AppError::NotFound,
        // A loop of links, or a socket: there, but no file.
        (_, Some(errno))
            if [Errno::LOOP, Errno::NXIO]
                .iter()
                .any(|no| no.raw_os_error() == errno) =>
        {
            AppError::NotFound
        }
        (ErrorKind::PermissionDenied, Some(_)) => AppError::Unreadable(error.to_string()),
        _ => error.into(),
    }
}
