//! Publishing that survives a broken line: `/api/uploads` speaks tus 1.0 (<https://tus.io/protocols/resumable-upload>)
//! with creation, creation-with-upload, termination, expiration and checksum. The bytes lie in a hidden folder of
//! FILES_DIR, offset and lease in the database, so that any instance goes on where another one ended. The last byte
//! publishes the file as `POST /api/items` does.

use std::time::Duration;

use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::db::Db;
use crate::error::AppResult;
use crate::files::{Files, WORKROOM, hidden};

mod complete;
pub mod handlers;
mod hashed;
mod metadata;
pub mod protocol;
mod receive;
pub mod store;
pub mod sweep;
mod writer;

use hashed::Hashed;

/// How long an upload is kept after its last byte came, or after it was published.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long after its last byte the room that an upload still lacks counts as taken. Whoever goes on later asks anew.
pub const PROMISED_FOR: Duration = Duration::from_secs(3600);
/// Unfinished uploads that one person may have.
pub const MOST: i64 = 100;
/// So many files of the largest size may be as large as one person's unfinished uploads are together.
pub const MOST_LARGEST: u64 = 4;
/// Checksums of unfinished uploads that are remembered; those of others are computed again at the end.
const REMEMBERED: u64 = 10_000;

/// What this instance knows of uploads beside the table.
pub struct Uploads {
    db: Db,
    files: Files,
    /// Checksums as far as the bytes came through this instance, by the upload's id.
    hashed: Cache<String, Hashed>,
    /// Whoever reads an upload again to compute its checksum; one at a time, so that the disk serves others as well.
    reading: Semaphore,
}

impl Uploads {
    /// Over `db` and `files`.
    pub fn new(db: Db, files: Files) -> Self {
        Self {
            db,
            files,
            hashed: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(KEPT_FOR)
                .build(),
            reading: Semaphore::new(1),
        }
    }

    /// Removes the bytes of an upload, should they still be there.
    async fn remove_bytes(&self, id: &str) -> AppResult<()> {
        self.hashed.invalidate(id).await;
        let path = path_of(id);
        self.files.run(move |dir| hidden::remove(dir, &path)).await
    }
}

/// Where the bytes of an upload lie, below the root.
fn path_of(id: &str) -> String {
    format!("{}/{id}", folder())
}

fn folder() -> String {
    format!("{WORKROOM}/uploads")
}
