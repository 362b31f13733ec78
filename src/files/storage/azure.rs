//! Requests to Azure: the addresses of account, container and blob, and the proof of who we are.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::azure::AzureAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use super::{PATIENCE, Storage, within};
use crate::clock;
use crate::error::{AppError, AppResult};

/// Clocks may differ by so much, in seconds.
pub(super) const CLOCKS: i64 = 300;

impl Storage {
    pub(super) fn azure_key(&self) -> Option<Vec<u8>> {
        let mut options = self.settings.options.iter();
        let (_, key) = options.find(|(name, _)| *name == "azure_storage_account_key")?;
        BASE64_STANDARD.decode(key.expose()).ok()
    }

    /// The account's address.
    pub(super) fn azure_root(&self, account: &str) -> AppResult<Url> {
        let mut url = match &self.settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://{account}.blob.core.windows.net"))
                .map_err(|_| no_address())?,
        };
        url.path_segments_mut()
            .map_err(|()| no_address())?
            .pop_if_empty();
        Ok(url)
    }

    /// The container's.
    pub(super) fn azure_container(&self, account: &str) -> AppResult<Url> {
        let mut url = self.azure_root(account)?;
        url.path_segments_mut()
            .map_err(|()| no_address())?
            .push(&self.settings.container);
        Ok(url)
    }

    pub(super) fn azure_url(&self, account: &str, key: &Path) -> AppResult<Url> {
        let mut url = self.azure_container(account)?;
        url.path_segments_mut()
            .map_err(|()| no_address())?
            .extend(key.parts());
        Ok(url)
    }

    /// A request to Azure with the proof of who we are.
    pub(super) async fn azure_request(
        &self,
        account: &str,
        method: Method,
        url: &Url,
        headers: HeaderMap,
    ) -> AppResult<reqwest::RequestBuilder> {
        let credentials = self.azure.as_ref().ok_or_else(no_address)?;
        let credential = within(PATIENCE, credentials.get_credential()).await?;
        let mut signed = HttpRequest::new(HttpRequestBody::empty());
        *signed.method_mut() = method.clone();
        *signed.uri_mut() = url.as_str().parse().map_err(|_| no_address())?;
        *signed.headers_mut() = headers;
        AzureAuthorizer::new(&credential, account)
            .try_authorize(&mut signed)
            .map_err(super::told)?;
        let request = self.http.request(method, signed.uri().to_string());
        Ok(request.headers(signed.headers().clone()))
    }
}

fn no_address() -> AppError {
    AppError::Internal("the storage's address cannot be made".to_owned())
}

/// `2026-11-26T03:00:00Z`, as Azure signs it.
pub(super) fn seconds(since_1970: i64) -> String {
    clock::rfc3339(since_1970 * clock::SECOND)
}
