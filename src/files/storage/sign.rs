//! Addresses at which the storage serves an object to whoever has them, bound to a name and a minute.

use std::time::Duration;

use object_store::signer::SignedUrlOptions;
use reqwest::Method;
use url::Url;

use super::{PATIENCE, Storage, within};
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::settings::Provider;

/// How long an address serves. It has to be asked for only once, at once; a download that has begun goes on after it.
pub(super) const SERVES: Duration = Duration::from_secs(60);
pub(super) const CACHE: &str = "private, no-store";

impl Storage {
    /// An address at which anybody gets the object at `path` for a minute, as an attachment of that name.
    ///
    /// # Errors
    /// 503 when the storage's credentials cannot be had.
    pub async fn address(
        &self,
        path: &ItemPath,
        disposition: &str,
        content_type: &str,
    ) -> AppResult<Url> {
        let key = self.key(path)?;
        if let Provider::Azure(account) = &self.settings.provider {
            return self
                .azure_address(account, &key, disposition, content_type)
                .await;
        }
        let query = [
            ("response-content-disposition", disposition),
            ("response-content-type", content_type),
            ("response-cache-control", CACHE),
        ];
        let options = SignedUrlOptions::new().with_query(query);
        let signed = self
            .store
            .signed_url_opts(Method::GET, &key, SERVES, &options);
        within(PATIENCE, signed).await
    }
}
