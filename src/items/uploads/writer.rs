//! Whoever writes an upload: holds its lease, brings the bytes to the disk, and tells the table how far it has come.
//! Only what was synced is told, so that an offset never lies, whatever is killed.

use std::io::SeekFrom;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use super::hashed::Hashed;
use super::store::{self, Upload};
use super::{KEPT_FOR, Uploads, path_of};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::hidden;
use crate::files::incoming::{not_writable, random_name};

/// How long somebody who wrote keeps others out, unless they write on. A killed instance keeps them out no longer.
const LEASE: Duration = Duration::from_secs(5);
/// How often bytes are synced and told while they come.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Bytes gathered before a trip to the blocking pool.
const BUFFER: usize = 256 * 1024;

/// The one who writes.
pub struct Writer<'a> {
    uploads: &'a Uploads,
    /// As it was when the lease was taken; `received` is where this writer began.
    pub upload: Upload,
    /// Whose lease it is.
    pub lease: String,
    /// Where the next byte goes.
    pub at: u64,
    file: BufWriter<tokio::fs::File>,
    hashed: Option<Hashed>,
    /// The same without the file's last byte.
    hashed_but_last: Option<Hashed>,
    /// What is told as reached: `at` of the last sync, or where this writer began as long as a checksum is open. The last
    /// byte counts only when the file is published, since clients take an upload that has it for done.
    reached: u64,
    /// Until when the upload is kept, microseconds since 1970 UTC: bytes that count put it off, requests without any do not.
    expires_at: i64,
    /// Whether bytes count only together, once their checksum is right.
    is_whole: bool,
    told_at: Instant,
    is_held: bool,
    /// Whether the disk refused something: what it took after that is not known, and so is not told.
    is_broken: bool,
}

impl<'a> Writer<'a> {
    /// Takes the lease. `is_whole` says that the bytes count only together.
    ///
    /// # Errors
    /// 423 while somebody else writes, 404 when the bytes are gone.
    pub async fn begin(uploads: &'a Uploads, seen: Upload, is_whole: bool) -> AppResult<Self> {
        let now = clock::now();
        if seen.leased_until > now {
            return Err(AppError::InUse);
        }
        let path = path_of(&seen.id);
        let file = uploads
            .files
            .run(move |dir| hidden::open(dir, &path))
            .await?;
        let lease = random_name()?;
        let mut conn = uploads.db.conn().await?;
        if !store::take(&mut conn, &seen, &lease, now + clock::span(LEASE)).await? {
            return Err(AppError::InUse);
        }
        drop(conn);
        let at = u64::try_from(seen.received).unwrap_or(0);
        let expires_at = seen.expires_at;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(at)).await.map_err(not_writable)?;
        let hashed = match at {
            0 => Some(Hashed::new(&lease)),
            _ => uploads
                .hashed
                .get(&seen.id)
                .await
                .filter(|hashed| hashed.bytes == at && hashed.lease == seen.lease),
        };
        Ok(Self {
            uploads,
            upload: seen,
            lease,
            at,
            file: BufWriter::with_capacity(BUFFER, file),
            hashed,
            hashed_but_last: None,
            reached: at,
            expires_at,
            is_whole,
            told_at: Instant::now(),
            is_held: true,
            is_broken: false,
        })
    }

    /// Bytes of the whole file.
    pub fn size(&self) -> u64 {
        u64::try_from(self.upload.size).unwrap_or(0)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// 507 on a full disk; 423 when somebody else took over meanwhile.
    pub async fn write(&mut self, bytes: &[u8]) -> AppResult<()> {
        if !self.is_held || self.told_at.elapsed() >= LEASE {
            // Nobody else may have taken it, or these bytes would be written over theirs.
            self.tell(LEASE).await?;
        }
        if let Err(error) = self.file.write_all(bytes).await {
            self.is_broken = true;
            return Err(not_writable(error));
        }
        self.at += bytes.len() as u64;
        self.hash(bytes);
        if self.told_at.elapsed() >= TELL_EVERY {
            self.sync(LEASE).await?;
        }
        Ok(())
    }

    fn hash(&mut self, bytes: &[u8]) {
        let is_last = self.at == self.size();
        let Some(hashed) = &mut self.hashed else {
            return;
        };
        match bytes.split_last() {
            Some((last, before)) if is_last => {
                hashed.update(before);
                self.hashed_but_last = Some(hashed.clone());
                hashed.update(&[*last]);
            }
            _ => hashed.update(bytes),
        }
    }

    /// Nothing comes just now: what came is told, and others may take over.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn rest(&mut self) -> AppResult<()> {
        match self.is_held {
            true => self.sync(Duration::ZERO).await,
            false => Ok(()),
        }
    }

    /// All bytes of the piece have come and are right: brings them to the disk, and goes on holding the lease.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn keep(&mut self) -> AppResult<()> {
        self.is_whole = false;
        self.sync(LEASE).await
    }

    /// Ends: brings to the disk what came, as far as it counts, and lets others write. Returns the offset, and until when
    /// the upload is kept.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn end(mut self) -> AppResult<(u64, i64)> {
        if self.is_held
            && !self.is_broken
            && let Err(error) = self.sync(Duration::ZERO).await
            && !self.is_broken
        {
            return Err(error);
        }
        if self.is_held {
            // What was told before still is true.
            self.tell(Duration::ZERO).await?;
        }
        let own = [self.hashed.take(), self.hashed_but_last.take()];
        let mut own = own.into_iter().flatten();
        let kept = match own.find(|hashed| hashed.bytes == self.reached) {
            Some(hashed) => Some(hashed),
            // Bytes that did not count: what was known of those before them holds.
            None => self.known().await,
        };
        if let Some(hashed) = kept {
            let hashed = hashed.under(self.lease);
            self.uploads.hashed.insert(self.upload.id, hashed).await;
        }
        Ok((self.reached, self.expires_at))
    }

    /// The checksums, where all bytes came through this instance, and when the file was last written.
    ///
    /// # Errors
    /// The disk's.
    pub async fn facts(&mut self) -> AppResult<(Option<Hashed>, SystemTime)> {
        let metadata = self.file.get_ref().metadata().await;
        let modified = metadata.and_then(|metadata| metadata.modified());
        let hashed = self.hashed.clone().filter(|hashed| hashed.bytes == self.at);
        Ok((hashed, modified.map_err(not_writable)?))
    }

    /// The checksums that were kept before this writer began, if they are those of what counts now.
    async fn known(&self) -> Option<Hashed> {
        let known = self.uploads.hashed.get(&self.upload.id).await;
        known.filter(|known| known.bytes == self.reached && known.lease == self.upload.lease)
    }

    async fn sync(&mut self, lease: Duration) -> AppResult<()> {
        let synced = async {
            self.file.flush().await?;
            self.file.get_ref().sync_data().await
        };
        if let Err(error) = synced.await {
            self.is_broken = true;
            return Err(not_writable(error));
        }
        if !self.is_whole {
            let reached = self.at.min(self.size().saturating_sub(1));
            if reached > self.reached {
                self.expires_at = clock::now() + clock::span(KEPT_FOR);
            }
            self.reached = reached;
        }
        self.tell(lease).await
    }

    async fn tell(&mut self, lease: Duration) -> AppResult<()> {
        let now = clock::now();
        let until = if lease.is_zero() {
            0
        } else {
            now + clock::span(lease)
        };
        let mut conn = self.uploads.db.conn().await?;
        let (id, own) = (&self.upload.id, &self.lease);
        let (reached, kept) = (self.reached, self.expires_at);
        let is_ours = store::reached(&mut conn, id, own, reached, until, kept).await?;
        self.is_held = is_ours && until > 0;
        self.told_at = Instant::now();
        match is_ours {
            true => Ok(()),
            false => Err(AppError::InUse),
        }
    }
}
