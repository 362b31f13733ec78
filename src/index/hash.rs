//! Checksums, computed in the background: one file at a time, and resting as long as it worked, so that people who
//! download do not notice. What is still to be done is in the table, so a restart goes on where it was.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::Index;
use super::store::execute;
use crate::clock;

use crate::db::{Conn, DbResult, either};
use crate::error::{AppError, AppResult};
use crate::files::{ItemPath, Opened, open_resolved};
use crate::settings::certificate::hex;

/// Bytes read in one go off the workers.
const PIECE: usize = 2 * 1024 * 1024;
/// Files after which the results are written.
const BATCH: i64 = 100;
/// A file that could not be read is tried again after this time, or when something else changed.
const REST: Duration = Duration::from_secs(60);

#[derive(QueryableByName)]
struct Todo {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = diesel::sql_types::Text)]
    path: String,
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    modified_at: i64,
}

/// Computes what is missing, for as long as it is allowed to run.
pub(super) async fn run(index: Arc<Index>) {
    loop {
        let mut after = 0;
        loop {
            match batch(&index, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => break,
                Err(error) => {
                    log::warn!("checksums wait: {error}");
                    break;
                }
            }
        }
        let _ = tokio::time::timeout(REST, index.unhashed.notified()).await;
    }
}

/// The next files after the row `after`; returns the last of them, or nothing when there are no more.
async fn batch(index: &Index, after: i64) -> AppResult<Option<i64>> {
    let mut conn = index.db.conn().await?;
    let todo = unhashed(&mut conn, after).await?;
    drop(conn);
    let Some(last) = todo.last().map(|todo| todo.id) else {
        return Ok(None);
    };
    let mut results = Vec::new();
    for todo in todo {
        let began = Instant::now();
        match checksums(index, &todo).await {
            Ok(Some((sha256, crc32))) => results.push(json!({
                "id": todo.id, "size": todo.size, "modified_at": todo.modified_at, "sha256": sha256, "crc32": crc32,
            })),
            Ok(None) | Err(AppError::NotFound | AppError::Unreadable(_)) => {}
            Err(error) => log::debug!("{} has no checksum yet: {error}", todo.path),
        }
        tokio::time::sleep(began.elapsed()).await;
    }
    let mut conn = index.db.conn().await?;
    hashed(&mut conn, results).await?;
    Ok(Some(last))
}

/// SHA-256 and CRC-32, unless the file is not the one that the row tells of.
async fn checksums(index: &Index, todo: &Todo) -> AppResult<Option<(String, u32)>> {
    let Some(path) = ItemPath::parse(&todo.path) else {
        return Ok(None);
    };
    let open = move |dir: &cap_std::fs::Dir| {
        let resolved = ItemPath::from_path(&dir.canonicalize(&path)?).ok_or(AppError::NotFound)?;
        open_resolved(dir, &resolved)
    };
    let mut opened = index.files.run(open).await?;
    let is_same = |opened: &Opened| {
        i64::try_from(opened.metadata.len()) == Ok(todo.size)
            && clock::micros(opened.modified()) == todo.modified_at
    };
    if !is_same(&opened) {
        return Ok(None);
    }
    let (mut sha256, mut crc32) = (Context::new(&SHA256), crc32fast::Hasher::new());
    loop {
        let began = Instant::now();
        let (piece, file, context, hasher) = index
            .files
            .run(move |_| {
                let mut piece = Vec::with_capacity(64 * 1024);
                let mut part = (&mut opened.file).take(PIECE as u64);
                part.read_to_end(&mut piece)?;
                sha256.update(&piece);
                crc32.update(&piece);
                Ok((piece.len(), opened, sha256, crc32))
            })
            .await?;
        (opened, sha256, crc32) = (file, context, hasher);
        if piece < PIECE {
            break;
        }
        tokio::time::sleep(began.elapsed()).await;
    }
    // Written to meanwhile: the checksum would be of neither content.
    opened.metadata = opened.file.metadata()?;
    Ok(is_same(&opened).then(|| (hex(sha256.finish().as_ref()), crc32.finalize())))
}

async fn unhashed(conn: &mut Conn, after: i64) -> DbResult<Vec<Todo>> {
    let sql = format!(
        "SELECT id, path, size, modified_at FROM dim.items WHERE crc32 IS NULL AND missing_since = 0 AND id > $1
         ORDER BY id LIMIT {BATCH}"
    );
    Ok(either!(conn, |c| diesel::sql_query(sql)
        .bind::<BigInt, _>(after)
        .load(c)
        .await)?)
}

async fn hashed(conn: &mut Conn, rows: Vec<Value>) -> DbResult<()> {
    let records = conn.records(&[
        ("id", "BIGINT"),
        ("size", "BIGINT"),
        ("modified_at", "BIGINT"),
        ("sha256", "TEXT"),
        ("crc32", "BIGINT"),
    ]);
    let sql = format!(
        "UPDATE dim.items AS i SET sha256 = r.sha256, crc32 = r.crc32 FROM {records}
         WHERE i.id = r.id AND i.size = r.size AND i.modified_at = r.modified_at AND i.crc32 IS NULL"
    );
    execute(conn, sql, rows).await?;
    Ok(())
}
