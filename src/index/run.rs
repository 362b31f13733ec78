//! The index's life in the background. Of several instances one scans, watches and computes checksums, whoever holds the
//! lock; the others use what it writes, and take over when it is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::watch::{Notices, Watch};
use super::{Index, bucket, hash, read, scan, seen};
use crate::db::{Held, Lock};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::roles::cache::People;

/// How often an instance without the lock asks for it, and the one with it looks whether it still has it.
pub(super) const LOCK_EVERY: Duration = Duration::from_secs(5);
/// A file that is being written makes many notices; after this time they are one.
const GATHER: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the index up to date until the process ends.
pub async fn run(index: Arc<Index>, people: Arc<People>) {
    loop {
        if !people.is_available() {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        match index.db.hold(Lock::Scan).await {
            Ok(Some(held)) => {
                if let Err(error) = lead(&index, held).await {
                    log::warn!("the index pauses: {}", told(&error));
                    sleep(RETRY).await;
                }
            }
            Ok(None) => follow(&index).await,
            Err(error) => {
                log::debug!("the index waits for the database: {error}");
                sleep(RETRY).await;
            }
        }
    }
}

/// The cause for the log; what visitors read says less.
fn told(error: &AppError) -> String {
    error.cause().unwrap_or_else(|| error.to_string())
}

/// Without the lock: only what somebody looked at is read.
async fn follow(index: &Index) {
    let until = Instant::now() + LOCK_EVERY;
    loop {
        tokio::select! {
            () = sleep_until(until) => return,
            () = index.wake.notified() => {
                if let Err(error) = read_requested(index, &mut None).await {
                    log::warn!("a folder was not read: {}", told(&error));
                }
            }
        }
    }
}

/// With the lock: scan, then follow notices, again and again.
async fn lead(index: &Arc<Index>, mut held: Held) -> AppResult<()> {
    if let Some(storage) = index.files.storage() {
        return bucket::lead(index, storage, held).await;
    }
    let mut hashing = None;
    loop {
        let (mut watch, mut notices) = match index.files.root().and_then(Watch::start) {
            Some((watch, notices)) => (Some(watch), Some(notices)),
            None => (None, None),
        };
        match scan::scan(index, &mut watch).await {
            // Not before: what is there is wanted sooner than what is in it.
            Ok(()) if hashing.is_none() => {
                hashing = Some(AbortOnDrop(tokio::spawn(hash::run(index.clone()))));
            }
            Ok(()) => {}
            // Said once in a while, until it is mended.
            Err(error @ (AppError::FilesAway(_) | AppError::Unreadable(_))) => {
                log::error!("{}", told(&error));
            }
            Err(error) => return Err(error),
        }
        let next_scan = Instant::now() + index.interval;
        listen(index, &mut held, &mut watch, &mut notices, next_scan).await?;
    }
}

/// Follows notices until everything has to be read again.
async fn listen(
    index: &Index,
    held: &mut Held,
    watch: &mut Option<Watch>,
    notices: &mut Option<Notices>,
    next_scan: Instant,
) -> AppResult<()> {
    let mut check = tokio::time::interval(LOCK_EVERY);
    loop {
        let noticed = async {
            match notices {
                Some(notices) => notices.next().await,
                None => std::future::pending().await,
            }
        };
        let first = tokio::select! {
            () = sleep_until(next_scan) => return Ok(()),
            _ = check.tick() => {
                held.check().await?;
                continue;
            }
            () = index.wake.notified() => {
                read_requested(index, watch).await?;
                continue;
            }
            first = noticed => first,
        };
        let Some(first) = first else {
            return Ok(());
        };
        sleep(GATHER).await;
        let mut paths = vec![first];
        if let Some(notices) = notices {
            paths.extend(notices.rest());
            if notices.missed() {
                return Ok(());
            }
        }
        match follow_notices(index, watch, paths).await {
            Ok(()) => {}
            // A folder that is being moved, or a disk that was taken away: the next scan tells.
            Err(AppError::NotFound | AppError::Unreadable(_) | AppError::FilesAway(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn follow_notices(
    index: &Index,
    watch: &mut Option<Watch>,
    paths: Vec<ItemPath>,
) -> AppResult<()> {
    let mut by_folder: BTreeMap<Option<ItemPath>, Vec<String>> = BTreeMap::new();
    for path in paths {
        let names = by_folder.entry(path.folder()).or_default();
        names.push(path.name().to_owned());
    }
    let mut new = Vec::new();
    for (folder, mut names) in by_folder {
        names.sort_unstable();
        names.dedup();
        for names in names.chunks(1_000) {
            let seen = seen::look_at(index, folder.as_ref(), names).await?;
            for gone in &seen.gone_folders {
                unwatch(watch, gone);
            }
            new.extend(seen.new_folders);
        }
    }
    read_all(index, watch, new).await
}

/// Reads folders and what is below them. What moved here is watched anew, under its new path.
async fn read_all(
    index: &Index,
    watch: &mut Option<Watch>,
    mut waiting: Vec<ItemPath>,
) -> AppResult<()> {
    while let Some(folder) = waiting.pop() {
        if let Some(watch) = watch {
            watch.add(Some(&folder));
        }
        match read::folder(index, Some(&folder), usize::MAX).await {
            Ok(reading) => {
                for gone in &reading.gone_folders {
                    unwatch(watch, gone);
                }
                waiting.extend(reading.folders);
            }
            Err(AppError::Unreadable(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_requested(index: &Index, watch: &mut Option<Watch>) -> AppResult<()> {
    while let Some(folder) = index.take_request() {
        let folder = ItemPath::parse(&folder);
        let reading = read::folder(index, folder.as_ref(), usize::MAX).await?;
        read_all(index, watch, reading.new_folders).await?;
    }
    Ok(())
}

fn unwatch(watch: &mut Option<Watch>, folder: &ItemPath) {
    if let Some(watch) = watch {
        watch.remove(folder);
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
