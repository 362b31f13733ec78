//! Removes uploads that are over, and bytes without a row.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;

use super::{KEPT_FOR, folder, store};
use crate::app::State;
use crate::clock;
use crate::error::AppResult;

const EVERY: Duration = Duration::from_secs(600);

/// Sweeps until the process ends.
pub async fn watch(state: Arc<State>) {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        interval.tick().await;
        if !state.people.is_available() {
            continue;
        }
        match sweep(&state).await {
            Ok(0) => {}
            Ok(uploads) => log::info!("{uploads} uploads that were over were removed"),
            Err(error) => log::warn!("old uploads were not removed: {error}"),
        }
    }
}

/// Sweeps once; returns how many uploads were over.
///
/// # Errors
/// The database's and the disk's.
pub async fn sweep(state: &State) -> AppResult<usize> {
    let mut conn = state.db.conn().await?;
    let over = store::over(&mut conn, clock::now()).await?;
    drop(conn);
    for id in &over {
        state.uploads.remove_bytes(id).await?;
        let mut conn = state.db.conn().await?;
        store::remove(&mut conn, id).await?;
    }
    let found = state.files.run(|dir| Ok(old(dir))).await?;
    if found.is_empty() {
        return Ok(over.len());
    }
    let mut conn = state.db.conn().await?;
    let known: BTreeSet<String> = store::all(&mut conn).await?.into_iter().collect();
    drop(conn);
    for id in found.iter().filter(|id| !known.contains(*id)) {
        state.uploads.remove_bytes(id).await?;
    }
    Ok(over.len())
}

/// Names of those into which nobody wrote for a day: younger ones may get their row in a moment.
fn old(dir: &Dir) -> Vec<String> {
    let Ok(entries) = dir.open_dir(folder()).and_then(|dir| dir.entries()) else {
        return Vec::new();
    };
    let is_old = |entry: &cap_std::fs::DirEntry| {
        let modified = entry.metadata().and_then(|found| found.modified());
        let age = modified
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified.into_std()).ok());
        age.is_some_and(|age| age > KEPT_FOR)
    };
    entries
        .flatten()
        .filter(is_old)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
