//! The index of FILES_DIR: a row for every file and folder in it, so that lists, searches and counts cost the same with a
//! hundred thousand files as with ten. It follows the disk by itself: a scan at the start and at intervals, notifications
//! in between, and a look at the folder that somebody opens.
//!
//! Of object storage it is made by listing (`bucket`), and what a list shows is as old as the last one.
//!
//! The index only helps to find. What is served is decided by the disk: a download never asks the index, and a list shows
//! no row that was not found on the disk a moment before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::db::Db;
use crate::error::{AppError, AppResult};
use crate::files::{Files, ItemPath};
use crate::metrics::Metrics;

pub mod bucket;
pub mod folders;
mod hash;
pub mod key;
mod read;
mod refresh;
mod run;
mod scan;
mod seen;
pub mod share;
pub mod state;
pub mod store;
mod watch;

pub use run::run;
pub use store::{Item, Publication, brought_back, moved, published, put_away, put_out, removed};

pub use crate::files::names::LONGEST_PATH;

/// The index, as features use it.
pub struct Index {
    db: Db,
    files: Files,
    metrics: Arc<Metrics>,
    /// `RESCAN_INTERVAL`.
    interval: Duration,
    /// Identity of the folder that was last found to be the right one.
    trusted: Mutex<Option<String>>,
    /// Large folders that somebody looked at and that have to be read again.
    requested: Mutex<BTreeSet<String>>,
    /// Wakes whoever reads them.
    wake: Notify,
    /// Wakes whoever computes checksums.
    unhashed: Notify,
}

impl Index {
    /// Over `db` and `files`; [`run`] brings it to life.
    pub fn new(db: Db, files: Files, metrics: Arc<Metrics>, interval: Duration) -> Self {
        Self {
            db,
            files,
            metrics,
            interval,
            trusted: Mutex::new(None),
            requested: Mutex::new(BTreeSet::new()),
            wake: Notify::new(),
            unhashed: Notify::new(),
        }
    }

    /// Brings what somebody is about to see up to date: the folder itself, and with `deep` also what is below, as far as
    /// that is little. Returns whether the list can be complete; if not, the background is at work on it.
    ///
    /// # Errors
    /// 404 for a folder that is not there, 503 when FILES_DIR is another one than it was, 500 when it cannot be read.
    pub async fn refresh(&self, folder: Option<&ItemPath>, deep: bool) -> AppResult<bool> {
        if let Some(storage) = self.files.storage() {
            let is_there = match folder {
                Some(folder) => bucket::has_folder(self, storage, folder).await?,
                None => true,
            };
            return is_there.then_some(true).ok_or(AppError::NotFound);
        }
        refresh::refresh(self, folder, deep).await
    }

    /// Looks at these names in a folder again, and writes down what differs.
    ///
    /// # Errors
    /// The disk's and the database's.
    pub async fn look_at(&self, folder: Option<&ItemPath>, names: &[String]) -> AppResult<()> {
        seen::look_at(self, folder, names).await.map(drop)
    }

    /// Reads everything now, in the caller's time.
    ///
    /// # Errors
    /// 503 when FILES_DIR is empty or another one than it was; the disk's and the database's.
    pub async fn scan(&self) -> AppResult<()> {
        match self.files.storage() {
            Some(storage) => bucket::scan(self, storage).await,
            None => scan::scan(self, &mut None).await,
        }
    }

    /// Asks the background to read a large folder. Asking again before that happened changes nothing.
    fn request(&self, folder: &str) {
        if let Ok(mut requested) = self.requested.lock() {
            requested.insert(folder.to_owned());
        }
        self.wake.notify_one();
    }

    fn take_request(&self) -> Option<String> {
        self.requested.lock().ok()?.pop_first()
    }
}
