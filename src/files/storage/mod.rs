//! Object storage in the place of FILES_DIR: a container of Azure Blob Storage or a bucket of S3. What a path is for a
//! person is a key here, after the prefix that FILES_URL names; nothing else of the container exists for the portal.
//!
//! No answer of the storage's is waited for without an end, and none that did not come means that a file is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use aws_lc_rs::digest::{Context, SHA256};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use object_store::azure::AzureCredentialProvider;
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::ItemPath;
use super::range::Part;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::settings::certificate::hex;
use crate::settings::{Downloads, Provider as Protocol, StorageSettings};

mod azure;
mod complete;
mod connect;
mod delegation;
mod list;
mod probe;
mod sas;
mod sign;
mod upload;

pub use list::Listed;
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
    /// For the requests that the library has no calls for.
    http: reqwest::Client,
    /// The key that signs addresses where no account key does.
    delegation: Arc<delegation::Kept>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store's own would print what proves who we are.
        f.debug_struct("Storage")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
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
            delegation: Arc::default(),
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

    /// The checksum of the object at `path`, by reading all of it.
    ///
    /// # Errors
    /// 404; 503 when it was changed meanwhile or the storage does not answer.
    pub async fn sha256(&self, path: &ItemPath, object: &Object) -> AppResult<String> {
        let mut digest = Context::new(&SHA256);
        let whole = Part {
            first: 0,
            length: object.size,
        };
        let mut bytes = match object.size {
            0 => stream::empty().boxed(),
            _ => self.read(path, object, whole).await?,
        };
        while let Some(chunk) = within_bytes(bytes.next()).await? {
            digest.update(&chunk);
        }
        Ok(hex(digest.finish().as_ref()))
    }

    /// Removes the object at `path`. One that is gone by now is removed.
    ///
    /// # Errors
    /// 503 when the storage does not answer: it may be gone then.
    pub async fn remove(&self, path: &ItemPath) -> AppResult<()> {
        let key = self.key(path)?;
        match within(PATIENCE, self.store.delete(&key)).await {
            // Of a repetition whose first answer was lost.
            Err(AppError::NotFound) => Ok(()),
            done => done,
        }
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
}

/// Waits for the next bytes of an object; `None` at its end.
async fn within_bytes(
    next: impl Future<Output = Option<object_store::Result<Bytes>>>,
) -> AppResult<Option<Bytes>> {
    let next = async { next.await.transpose() };
    match within(BYTES_PATIENCE, next).await {
        Err(AppError::Changed) => Err(AppError::BeingWritten),
        next => next,
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
        Wrong::InvalidPath { source } => {
            AppError::StorageAway(format!("an object's key is no path: {source}"))
        }
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
