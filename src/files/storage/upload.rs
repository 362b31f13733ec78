//! A file on its way into the storage. Its bytes go there in parts while they arrive, and nobody sees any of them before
//! the last step, which puts the whole under its key at once, and only if the key is free unless told otherwise.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::{Object, PATIENCE, Storage, complete, told, within};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::incoming::{taken, too_large};
use crate::settings::certificate::hex;

/// Bytes of a part, which is what a publication holds in memory at most twice: one that is on its way, and the beginning
/// of the next or small files that wait for the end of their form.
const PART: u64 = 8 * 1024 * 1024;
/// S3 takes no more parts; Azure takes more.
const MOST_PARTS: u64 = 10_000;
/// How long a part, or the last step, may take.
const PART_PATIENCE: Duration = Duration::from_secs(60);

/// A file that is being received.
pub struct Upload {
    storage: Storage,
    path: Option<ItemPath>,
    begun: Option<Begun>,
    part: Vec<u8>,
    digest: Context,
    crc32: crc32fast::Hasher,
    size: u64,
    limit: u64,
}

/// A file that was received whole and is not yet in its place.
pub struct Uploaded {
    storage: Storage,
    begun: Option<Begun>,
    rest: Vec<u8>,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// CRC-32 as zip archives have it.
    pub crc32: u32,
}

/// Parts that the storage has. Dropped before they are made one object, it is told to forget them.
struct Begun {
    storage: Storage,
    path: ItemPath,
    key: Path,
    id: MultipartId,
    parts: Vec<PartId>,
    is_done: bool,
}

/// On what a file is put in its place.
pub(super) enum Condition {
    /// Nothing is there.
    Free,
    /// What is there has this entity tag.
    Same(String),
    /// A storage that tells no entity tags can keep no condition.
    Any,
}

impl From<Option<Object>> for Condition {
    fn from(before: Option<Object>) -> Self {
        match before {
            None => Self::Free,
            Some(object) => object.etag.map_or(Self::Any, Self::Same),
        }
    }
}

/// A file in its place, as long as it is not sure that it stays there.
pub struct Placed {
    storage: Storage,
    path: ItemPath,
    /// What the storage says of it.
    pub object: Object,
    /// Whether there was nothing before.
    is_new: bool,
}

impl Upload {
    /// Begins with nothing. Without a path, because it is not known yet, no more than one part can be taken.
    pub fn begin(storage: &Storage, path: Option<ItemPath>, limit: u64) -> Self {
        Self {
            storage: storage.clone(),
            path,
            begun: None,
            part: Vec::new(),
            digest: Context::new(&SHA256),
            crc32: crc32fast::Hasher::new(),
            size: 0,
            limit,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// 413 over the limit, 422 for a large file whose place is not known, 503 when the storage does not answer.
    pub async fn write(&mut self, bytes: &[u8]) -> AppResult<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        self.digest.update(bytes);
        self.crc32.update(bytes);
        self.part.extend_from_slice(bytes);
        if self.part.len() as u64 >= part_size(self.limit) {
            let part = std::mem::take(&mut self.part);
            self.begun().await?.put(part).await?;
        }
        Ok(())
    }

    /// All bytes are here. Together with the `held` bytes of other files they wait in memory as long as that is less than
    /// a part; else they go to the storage at once.
    ///
    /// # Errors
    /// 422 when its place is not known then, 503 when the storage does not answer.
    pub async fn finish(mut self, held: u64) -> AppResult<Uploaded> {
        if !self.part.is_empty() && held + self.part.len() as u64 > PART {
            let part = std::mem::take(&mut self.part);
            self.begun().await?.put(part).await?;
        }
        Ok(Uploaded {
            storage: self.storage,
            begun: self.begun,
            rest: self.part,
            size: self.size,
            sha256: hex(self.digest.finish().as_ref()),
            crc32: self.crc32.finalize(),
        })
    }

    async fn begun(&mut self) -> AppResult<&mut Begun> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => Begun::begin(&self.storage, self.path.as_ref()).await?,
        };
        Ok(self.begun.insert(begun))
    }
}

impl Uploaded {
    /// Bytes that wait in memory.
    pub fn held(&self) -> u64 {
        self.rest.len() as u64
    }

    /// Asks whether it may go under the key of `path`, before anything is written down. Returns what is there.
    ///
    /// # Errors
    /// 409 for a name that is taken, 422 for another place than its bytes are under way to; 503 when the storage does not
    /// answer.
    pub async fn check(&self, path: &ItemPath, overwrite: bool) -> AppResult<Option<Object>> {
        if self.begun.as_ref().is_some_and(|begun| begun.path != *path) {
            return Err(folder_first());
        }
        match self.storage.look(path).await {
            Ok(object) if overwrite => Ok(Some(object)),
            Ok(_) => Err(taken(path)),
            Err(AppError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts it under the key of `path`, in place of `before`, which [`Uploaded::check`] found, and of nothing else, not even
    /// of what appears there at this very moment.
    ///
    /// # Errors
    /// 409 for a name that is taken; 503 when the storage does not answer, and then it may be there or not.
    pub async fn place(self, path: &ItemPath, before: Option<Object>) -> AppResult<Placed> {
        let storage = self.storage;
        let is_new = before.is_none();
        let condition = Condition::from(before);
        let etag = match self.begun {
            Some(mut begun) => {
                if !self.rest.is_empty() {
                    begun.put(self.rest).await?;
                }
                begun.complete(&condition).await?
            }
            None => put_whole(&storage, path, self.rest, condition).await?,
        };
        let object = storage.look(path).await.map_err(vanished)?;
        // Somebody else replaced it at this very moment, and theirs is what stays.
        if etag.is_some() && object.etag != etag {
            return Err(taken(path));
        }
        Ok(Placed {
            object,
            storage,
            path: path.clone(),
            is_new,
        })
    }
}

impl Placed {
    /// Whether it is still what lies there.
    ///
    /// # Errors
    /// 503 when the storage does not answer.
    pub async fn is_still_there(&self) -> AppResult<bool> {
        match self.storage.look(&self.path).await {
            Ok(object) => Ok(object == self.object),
            Err(AppError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes it again, if nothing was there before. Returns whether nothing of it is there any more; what was replaced
    /// cannot come back, so the new file stays then.
    ///
    /// # Errors
    /// 503 when the storage does not answer: it may be there or not.
    pub async fn take_back(&self) -> AppResult<bool> {
        match self.is_still_there().await? {
            false => Ok(true),
            true if self.is_new => self.storage.remove(&self.path).await.map(|()| true),
            true => Ok(false),
        }
    }
}

impl Storage {
    /// What was found at `path` of a publication that somebody else began. It can not be taken back.
    pub fn found(&self, path: &ItemPath, object: Object) -> Placed {
        Placed {
            storage: self.clone(),
            path: path.clone(),
            object,
            is_new: false,
        }
    }
}

/// What was put there and is gone is no reason to say that there is no such page.
fn vanished(error: AppError) -> AppError {
    match error {
        AppError::NotFound => AppError::StorageAway("what was put there is not there".to_owned()),
        error => error,
    }
}

impl Begun {
    async fn begin(storage: &Storage, path: Option<&ItemPath>) -> AppResult<Self> {
        let path = path.cloned().ok_or_else(folder_first)?;
        let key = storage.key(&path)?;
        // Azure is not told of a beginning, and the first part would wait its minute for one that is away.
        match storage.look(&path).await {
            Ok(_) | Err(AppError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let id = within(PATIENCE, storage.store.create_multipart(&key));
        let id = id.await.map_err(vanished)?;
        Ok(Self {
            storage: storage.clone(),
            path,
            key,
            id,
            parts: Vec::new(),
            is_done: false,
        })
    }

    async fn put(&mut self, part: Vec<u8>) -> AppResult<()> {
        let store = &self.storage.store;
        let number = self.parts.len();
        let put = store.put_part(&self.key, &self.id, number, PutPayload::from(part));
        let part = within(PART_PATIENCE, put).await.map_err(vanished)?;
        self.parts.push(part);
        Ok(())
    }

    /// Returns the entity tag, where the storage tells it.
    async fn complete(&mut self, condition: &Condition) -> AppResult<Option<String>> {
        // The library's own call has no condition.
        let complete =
            complete::complete(&self.storage, &self.key, &self.id, &self.parts, condition);
        let etag = tokio::time::timeout(PART_PATIENCE, complete)
            .await
            .map_err(|_| AppError::StorageAway("the last step took too long".to_owned()))?
            .map_err(|error| taken_or(error, &self.path))?;
        self.is_done = true;
        Ok(etag)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (storage, key, id) = (self.storage.clone(), self.key.clone(), self.id.clone());
        let abort = async move {
            let abort = storage.store.abort_multipart(&key, &id);
            if let Err(error) = within(PART_PATIENCE, abort).await {
                log::warn!(
                    "the parts of an unfinished file stay in the storage until it removes them by itself: {}",
                    error.cause().unwrap_or_else(|| error.to_string())
                );
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(abort);
        }
    }
}

async fn put_whole(
    storage: &Storage,
    path: &ItemPath,
    content: Vec<u8>,
    condition: Condition,
) -> AppResult<Option<String>> {
    let key = storage.key(path)?;
    let mode = match condition {
        Condition::Free => PutMode::Create,
        Condition::Same(etag) => PutMode::Update(UpdateVersion {
            e_tag: Some(etag),
            version: None,
        }),
        Condition::Any => PutMode::Overwrite,
    };
    let options = PutOptions::from(mode);
    let put = storage.store.put_opts(&key, content.into(), options);
    match tokio::time::timeout(PART_PATIENCE, put).await {
        Ok(done) => done
            .map(|put| put.e_tag)
            .map_err(|error| taken_or(told(error), path)),
        Err(_) => Err(AppError::StorageAway(
            "the file was not taken in time".to_owned(),
        )),
    }
}

fn taken_or(error: AppError, path: &ItemPath) -> AppError {
    match error {
        AppError::Conflict(_) | AppError::Changed => taken(path),
        error => error,
    }
}

fn part_size(limit: u64) -> u64 {
    PART.max(limit.div_ceil(MOST_PARTS))
}

/// A key cannot be changed once parts are under way to it.
fn folder_first() -> AppError {
    AppError::Unprocessable(format!(
        "The folder's name has to come before the file when that is larger than {}, because this portal keeps its \
         files in object storage. Send the field “folder” first.",
        crate::files::incoming::human_size(PART)
    ))
}
