//! The client of the storage, made from the settings and not from the environment: few repetitions, and time-outs on all
//! that is waited for.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureCredentialProvider, MicrosoftAzureBuilder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::Provider;
use crate::settings::{Provider as Kind, StorageSettings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The storage may be silent for so long between bytes. What is asked for before there are any has an end of its own.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Where S3 is when nothing is said.
pub const REGION: &str = "us-east-1";
const RETRIES: usize = 2;

/// The store, and Azure's credentials for what we send ourselves.
type Connected = (Arc<dyn Provider>, Option<AzureCredentialProvider>);

pub fn store(settings: &StorageSettings) -> Result<Connected, String> {
    match &settings.provider {
        Kind::Azure(account) => azure(settings, account),
        Kind::S3 => s3(settings),
    }
}

/// A client for the requests that we make ourselves. It takes no redirects: they would carry a signed address elsewhere.
pub fn http() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| format!("the HTTP client cannot be made: {error}"))
}

fn azure(settings: &StorageSettings, account: &str) -> Result<Connected, String> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&settings.container)
        .with_client_options(client(settings))
        .with_retry(retry());
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned());
    }
    for (name, value) in &settings.options {
        let key = name.parse().map_err(|_| unknown(name))?;
        builder = builder.with_config(key, value.expose());
    }
    let store = builder.build().map_err(|error| wrong(&error))?;
    let credentials = store.credentials().clone();
    Ok((Arc::new(store), Some(credentials)))
}

fn s3(settings: &StorageSettings) -> Result<Connected, String> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.container)
        .with_region(REGION)
        .with_client_options(client(settings))
        .with_retry(retry())
        // Not every server has the request that removes many at once.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    for (name, value) in &settings.options {
        let key = name.parse().map_err(|_| unknown(name))?;
        builder = builder.with_config(key, value.expose());
    }
    let store = builder.build().map_err(|error| wrong(&error))?;
    Ok((Arc::new(store), None))
}

fn client(settings: &StorageSettings) -> ClientOptions {
    // The settings allow http for a loopback host only.
    let is_http = settings
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.scheme() == "http");
    ClientOptions::new()
        .with_allow_http(is_http)
        // A download may take hours; what must not take long is the next answer and the next bytes.
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(60),
    }
}

fn unknown(name: &str) -> String {
    format!("FILES_URL: the storage's client does not know {name}")
}

fn wrong(error: &object_store::Error) -> String {
    format!("FILES_URL: {}", super::causes(error))
}
