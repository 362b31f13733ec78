//! Object storage in the place of FILES_DIR: a container of Azure Blob Storage or a bucket of S3. What a path is for a
//! person is a key here, after the prefix that FILES_URL names; nothing else of the container exists for the portal.
//!
//! No answer of the storage's is waited for without an end, and none that did not come means that a file is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::azure::AzureCredentialProvider;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::ItemPath;
use super::range::Part;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::settings::{Downloads, Provider as Protocol, StorageSettings};

mod connect;
mod probe;
mod sign;
mod upload;

pub use probe::Trouble;
pub use upload::{Placed, Upload, Uploaded};

/// How long an answer without much content may take, its repetitions included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a page of a listing may take.
const PAGE_PATIENCE: Duration = Duration::from_secs(30);
/// How long the next bytes of a download may take.
pub const BYTES_PATIENCE: Duration = Duration::from_secs(60);

/// What both providers can do.
trait Provider: ObjectStore + MultipartStore + PaginatedListStore + Signer {}
impl<T: ObjectStore + MultipartStore + PaginatedListStore + Signer> Provider for T {}

/// The container or bucket. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn Provider>,
    settings: Arc<StorageSettings>,
    /// What proves to Azure who we are.
    azure: Option<AzureCredentialProvider>,
    /// For the one request that the library has no call for.
    http: reqwest::Client,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store's own would print what proves who we are.
        f.debug_struct("Storage")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Some keys of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Those that are files of the portal's.
    pub objects: Vec<(ItemPath, Object)>,
    /// Where the listing goes on; `None` at its end.
    pub next: Option<String>,
}

/// What the storage says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// The entity tag, as the storage writes it.
    pub etag: Option<String>,
}

impl From<ObjectMeta> for Object {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            size: meta.size,
            // Some tell parts of a second in listings and none elsewhere.
            modified_at: meta.last_modified.timestamp() * clock::SECOND,
            etag: meta.e_tag,
        }
    }
}

impl Storage {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// A sentence that names the variable.
    pub fn new(settings: &StorageSettings) -> Result<Self, String> {
        let (store, azure) = connect::store(settings)?;
        Ok(Self {
            store,
            azure,
            http: connect::http()?,
            settings: Arc::new(settings.clone()),
        })
    }

    /// What tells this place from another one.
    pub fn identity(&self) -> String {
        let StorageSettings {
            provider,
            container,
            prefix,
            endpoint,
            ..
        } = &*self.settings;
        let endpoint = endpoint.as_ref().map_or("", url::Url::as_str);
        format!("{provider:?} {endpoint} {container}/{prefix}")
    }

    /// Whether downloads are sent by the storage itself.
    pub fn redirects(&self) -> bool {
        self.settings.downloads == Downloads::Redirect
    }

    /// What lies at `path`.
    ///
    /// # Errors
    /// 404; 503 when the storage does not answer.
    pub async fn look(&self, path: &ItemPath) -> AppResult<Object> {
        let key = self.key(path)?;
        let meta = within(PATIENCE, self.store.head(&key)).await?;
        Ok(meta.into())
    }

    /// The content of `part` of the object at `path`, as long as it is still the one with this entity tag.
    ///
    /// # Errors
    /// 404; 503 when it was changed meanwhile or the storage does not answer.
    pub async fn read(
        &self,
        path: &ItemPath,
        object: &Object,
        part: Part,
    ) -> AppResult<BoxStream<'static, object_store::Result<Bytes>>> {
        let key = self.key(path)?;
        let options = GetOptions::new()
            .with_if_match(object.etag.clone())
            .with_range(Some(part.first..part.first + part.length));
        match within(PATIENCE, self.store.get_opts(&key, options)).await {
            Ok(result) => Ok(result.into_stream().boxed()),
            Err(AppError::Changed) => Err(AppError::BeingWritten),
            Err(error) => Err(error),
        }
    }

    /// Removes the object at `path`.
    ///
    /// # Errors
    /// 503 when the storage does not answer: it may be gone then.
    pub async fn remove(&self, path: &ItemPath) -> AppResult<()> {
        let key = self.key(path)?;
        within(PATIENCE, self.store.delete(&key)).await
    }

    /// Whether anything lies in `folder` or deeper.
    ///
    /// # Errors
    /// 503 when the storage does not answer.
    pub async fn has_folder(&self, folder: &ItemPath) -> AppResult<bool> {
        let prefix = format!("{}/", self.key(folder)?);
        let page = self.page(&prefix, None, Some(1)).await?;
        Ok(!page.objects.is_empty())
    }

    /// The next keys, in no order that could be relied upon.
    ///
    /// # Errors
    /// 503 when the storage does not answer, or has a key that is no path.
    pub async fn list(&self, after: Option<String>) -> AppResult<Listed> {
        let prefix = match self.settings.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        self.page(&prefix, after, None).await
    }

    async fn page(
        &self,
        prefix: &str,
        page_token: Option<String>,
        max_keys: Option<usize>,
    ) -> AppResult<Listed> {
        let options = PaginatedListOptions {
            page_token,
            max_keys,
            ..PaginatedListOptions::default()
        };
        let prefix = (!prefix.is_empty()).then_some(prefix);
        let page = within(PAGE_PATIENCE, self.store.list_paginated(prefix, options)).await?;
        let objects = page.result.objects.into_iter();
        Ok(Listed {
            objects: objects
                .filter_map(|meta| Some((self.path(&meta.location)?, meta.into())))
                .collect(),
            next: page.page_token,
        })
    }

    fn key(&self, path: &ItemPath) -> AppResult<Path> {
        // Azure takes a backslash for a slash and drops dots at a name's end: both would lead past the folder rules.
        let is_another = path.as_str().contains('\\')
            || path.as_str().split('/').any(|name| name.ends_with('.'));
        if is_another && matches!(self.settings.provider, Protocol::Azure(_)) {
            return Err(AppError::NotFound);
        }
        let key = match self.settings.prefix.as_str() {
            "" => path.to_string(),
            prefix => format!("{prefix}/{path}"),
        };
        Path::parse(key).map_err(|_| AppError::NotFound)
    }

    /// The path of a key; `None` for what is hidden or lies elsewhere.
    fn path(&self, key: &Path) -> Option<ItemPath> {
        let key = key.as_ref();
        let path = match self.settings.prefix.as_str() {
            "" => key,
            prefix => key.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        ItemPath::parse(path)
    }
}

/// Waits for the storage, but not longer than `patience`.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> AppResult<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done.map_err(told),
        Err(_) => Err(AppError::StorageAway(format!(
            "the storage did not answer within {} s",
            patience.as_secs()
        ))),
    }
}

/// What an error of the storage's means to the visitor.
pub fn told(error: object_store::Error) -> AppError {
    use object_store::Error as Wrong;
    match error {
        Wrong::NotFound { .. } => AppError::NotFound,
        Wrong::Precondition { .. } | Wrong::NotModified { .. } => AppError::Changed,
        Wrong::AlreadyExists { .. } => AppError::Conflict("It is there already.".to_owned()),
        Wrong::InvalidPath { source } => AppError::StorageAway(format!(
            "an object's key is no path, so nothing behind it is listed; give it another: {source}"
        )),
        Wrong::PermissionDenied { .. } | Wrong::Unauthenticated { .. } => AppError::StorageAway(
            format!("the storage refuses the portal; `portcullis doctor` says more: {error}"),
        ),
        error => AppError::StorageAway(causes(&error)),
    }
}

/// An error with its causes, as far as they say more than it does.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
