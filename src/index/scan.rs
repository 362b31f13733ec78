//! Reads everything, folder by folder, a thousand names at a time, so that it takes little memory and leaves the database
//! to others in between.

use std::time::Instant;

use diesel_async::SimpleAsyncConnection;

use super::share::{self, Care};
use super::watch::Watch;
use super::{Index, read, state};
use crate::db::{Conn, Db, DbError, DbResult};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;

/// After so many changes Postgres is told to look at its tables anew, lest it plans for the ones they were.
const MANY: usize = 10_000;

/// Reads everything. Each folder is watched before it is read, so that nothing falls in between.
///
/// # Errors
/// 503 when FILES_DIR is empty or another one than it was; the disk's and the database's.
pub(super) async fn scan(index: &Index, watch: &mut Option<Watch>) -> AppResult<()> {
    share::check(index, Care::Scan).await?;
    let began = Instant::now();
    let (mut folders, mut files, mut changes) = (0_usize, 0_usize, 0_usize);
    let mut waiting: Vec<Option<ItemPath>> = vec![None];
    while let Some(folder) = waiting.pop() {
        if let Some(watch) = watch {
            watch.add(folder.as_ref());
        }
        let reading = match read::folder(index, folder.as_ref(), usize::MAX).await {
            Err(AppError::Unreadable(cause)) if folder.is_some() => {
                let name = folder.as_ref().map_or("", ItemPath::as_str);
                log::warn!("the folder {name} cannot be read, so nothing in it is listed: {cause}");
                read::forget_content(index, folder.as_ref()).await?;
                continue;
            }
            reading => reading?,
        };
        folders += 1;
        files += reading.names - reading.folders.len().min(reading.names);
        changes += reading.changes;
        waiting.extend(reading.folders.into_iter().map(Some));
    }
    finish(index, changes).await?;
    let seconds = began.elapsed().as_secs_f64();
    index.metrics.index_scan_seconds.set(seconds);
    index.metrics.index_warning.set(0);
    log::info!("{files} files in {folders} folders were read in {seconds:.1} s, {changes} changes");
    Ok(())
}

pub(super) async fn finish(index: &Index, changes: usize) -> AppResult<()> {
    let dropped = index
        .db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            state::scanned(conn).await?;
            state::drop_missing(conn).await
        })
        .await?;
    if dropped > 0 {
        log::info!("{dropped} files that were missing for more than 30 days were forgotten");
    }
    if changes > MANY {
        tidy(&index.db).await?;
    }
    let mut conn = index.db.conn().await?;
    index
        .metrics
        .index_files
        .set(state::files(&mut conn).await?);
    Ok(())
}

/// Postgres does this by itself some minutes later; people open the list at once.
async fn tidy(db: &Db) -> DbResult<()> {
    let Db::Postgres(_, url) = db else {
        return Ok(());
    };
    let mut conn = url.establish().await.map_err(DbError::Away)?;
    // One by one: several statements in one message are a transaction, and VACUUM refuses to run in one.
    for statement in [
        "SET statement_timeout = '10min'",
        "VACUUM (ANALYZE) dim.items",
        "VACUUM (ANALYZE) dim.folders",
    ] {
        conn.batch_execute(statement).await?;
    }
    Ok(())
}
