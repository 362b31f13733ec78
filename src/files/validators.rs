//! What tells one state of a file from another: a strong entity tag, and the time of its last change (RFC 9110 section 8.8).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::{EntityTag, HttpDate};

use super::storage::Object;
use crate::clock;

/// The validators of an open file. They come from inode, size and time of change, and from nothing else, so they stay
/// the same on every instance and when a checksum becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// Strong: the kernel gives every content a time of change of its own, in nanoseconds.
    pub etag: EntityTag,
    /// Whole seconds since 1970; `None` for a file from before.
    modified: Option<u64>,
}

impl Validators {
    /// Those of a file, from the metadata of its open handle.
    pub fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self {
            etag: EntityTag::new_strong(tag(metadata.ino(), metadata.size(), modified)),
            modified: u64::try_from(metadata.mtime()).ok(),
        }
    }

    /// Those of an object, as its storage tells them. Without an entity tag, its time and size tell no two contents apart
    /// for sure, so what they make is weak.
    pub fn of_object(object: &Object) -> Self {
        let told = object.etag.as_deref().and_then(|etag| etag.parse().ok());
        let etag = told.unwrap_or_else(|| {
            EntityTag::new_weak(format!("{:x}-{:x}", object.size, object.modified_at))
        });
        Self {
            etag,
            modified: u64::try_from(object.modified_at / clock::SECOND).ok(),
        }
    }

    /// `Last-Modified`, which must not lie in the future (RFC 9110 section 8.8.2.1).
    pub fn last_modified(&self, now: SystemTime) -> Option<HttpDate> {
        let modified = UNIX_EPOCH + Duration::from_secs(self.modified?);
        Some(modified.min(now).into())
    }

    /// Whether the last change came no later than `date`; `None` when the time of that change cannot be told.
    pub fn is_unchanged_since(&self, date: HttpDate) -> Option<bool> {
        Some(self.modified? <= seconds(date.into())?)
    }

    /// Whether `date` is the file's own, and says for sure that it is the same file. In the second of a change there
    /// may be another one, so a date serves only when that second is over (RFC 9110 section 8.8.2.2).
    pub fn is_exactly(&self, date: HttpDate, now: SystemTime) -> bool {
        let over = |modified: &u64| seconds(now).is_some_and(|now| now > *modified);
        let modified = self.modified.filter(over);
        modified.is_some() && modified == seconds(date.into())
    }
}

/// What stands in the entity tag of a file with that number, size and time of change (seconds, nanoseconds).
pub(super) fn tag(inode: u64, size: u64, (seconds, nanoseconds): (i64, i64)) -> String {
    format!("{inode:x}-{size:x}-{seconds:x}.{nanoseconds:x}")
}

fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}
