//! The checksum of a file that was published, as `Repr-Digest` tells it (RFC 9530), without a query for each download.

use std::fs::Metadata;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use moka::future::Cache;

use super::ItemPath;
use crate::clock;
use crate::db::{Db, DbResult};
use crate::index::store;

const CAPACITY: u64 = 10_000;
/// What was changed within this time, in microseconds, is asked for each time.
const FRESH: i64 = 5 * clock::SECOND;
/// How long a file is taken to have no checksum; it may get one at any time.
const UNKNOWN: Duration = Duration::from_secs(5);

/// The checksums that are known.
pub struct Digests {
    db: Db,
    known: Cache<ItemPath, Known>,
}

/// What the table said of one state of a file.
#[derive(Clone)]
struct Known {
    size: i64,
    modified_at: i64,
    digest: Option<HeaderValue>,
    asked_at: Instant,
}

impl Digests {
    /// None yet.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            known: Cache::new(CAPACITY),
        }
    }

    /// The value of `Repr-Digest` for the file that lies at `path` now, and is what `metadata` says.
    pub async fn of(&self, path: &ItemPath, metadata: &Metadata) -> Option<HeaderValue> {
        let modified_at = clock::micros(metadata.modified().ok()?);
        self.of_state(path, metadata.len(), modified_at).await
    }

    /// As [`Digests::of`], for a file of that size in bytes and time of change in microseconds since 1970.
    pub async fn of_state(
        &self,
        path: &ItemPath,
        size: u64,
        modified_at: i64,
    ) -> Option<HeaderValue> {
        let size = i64::try_from(size).ok()?;
        let fits = |known: &Known| {
            let same = (known.size, known.modified_at) == (size, modified_at);
            same && (known.digest.is_some() || known.asked_at.elapsed() < UNKNOWN)
        };
        if let Some(known) = self.known.get(path).await.filter(fits) {
            return known.digest;
        }
        let asked_at = Instant::now();
        let digest = match self.ask(path, size, modified_at).await {
            Ok(sha256) => sha256.and_then(|sha256| header(&sha256)),
            Err(error) => {
                log::debug!("no checksum goes with {:?}: {error}", path.as_str());
                return None;
            }
        };
        // Object storage tells whole seconds, within which there may be another content of that size.
        if clock::now() - modified_at > FRESH {
            let known = Known {
                size,
                modified_at,
                digest: digest.clone(),
                asked_at,
            };
            self.known.insert(path.clone(), known).await;
        }
        digest
    }

    async fn ask(&self, path: &ItemPath, size: i64, modified_at: i64) -> DbResult<Option<String>> {
        let mut conn = self.db.conn().await?;
        store::sha256(&mut conn, path, size, modified_at).await
    }
}

/// A structured field with one byte sequence: `sha-256=:…:` in Base64.
fn header(sha256: &str) -> Option<HeaderValue> {
    let digits = sha256.as_bytes().chunks_exact(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let text = format!("sha-256=:{}:", BASE64_STANDARD.encode(bytes?));
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn hexadecimal_becomes_a_structured_field() {
        // printf hello | openssl dgst -sha256 -binary | base64
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let field = header(hello).unwrap();
        assert_eq!(
            field,
            "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
        );
        assert_eq!(header("no digits"), None);
    }
}
