//! What `portcullis doctor` asks the storage: each question by itself, with the storage's own code where it refuses.

use std::time::Duration;

use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

use super::{Storage, causes, connect};
use crate::clock;
use crate::files::WORKROOM;
use crate::settings::Provider;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The storage's own word for it, such as `AuthenticationFailed`; `None` when it did not answer.
    pub code: Option<String>,
    /// All that is known of it.
    pub cause: String,
}

impl Storage {
    /// The address that the storage is asked at.
    pub fn endpoint(&self) -> Option<Url> {
        let settings = &self.settings;
        if let Some(endpoint) = &settings.endpoint {
            return Some(endpoint.clone());
        }
        let text = match &settings.provider {
            Provider::Azure(account) => format!("https://{account}.blob.core.windows.net"),
            Provider::S3 => {
                let mut options = settings.options.iter();
                let region = options.find(|(name, _)| *name == "aws_region");
                let region = region.map_or(connect::REGION, |(_, region)| region.expose());
                format!("https://s3.{region}.amazonaws.com")
            }
        };
        Url::parse(&text).ok()
    }

    /// Asks for anything, without proof, and returns by how many seconds our clock is ahead of the storage's; `None`
    /// when its answer tells no time.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn probe_clock(&self) -> Result<Option<i64>, Trouble> {
        let endpoint = self.endpoint().ok_or_else(|| silent("it has no address"))?;
        let asked = self.http.get(endpoint).timeout(PATIENCE).send();
        let answer = asked
            .await
            .map_err(|error| silent(&causes(&error.without_url())))?;
        let date = answer.headers().get("date");
        let date = date.and_then(|date| clock::seconds_of_http_date(date.to_str().ok()?));
        Ok(date.map(|date| clock::now() / clock::SECOND - date))
    }

    /// Asks for one key.
    ///
    /// # Errors
    /// It cannot be reached, takes no proof of ours, or has no such container.
    pub async fn probe_list(&self) -> Result<(), Trouble> {
        let options = PaginatedListOptions {
            max_keys: Some(1),
            ..PaginatedListOptions::default()
        };
        // Rights may end at the prefix.
        let prefix = format!("{}/", self.settings.prefix);
        let prefix = (!self.settings.prefix.is_empty()).then_some(prefix.as_str());
        let listed = async {
            match self.store.list_paginated(prefix, options).await {
                // A key that is no path is told by the index.
                Err(object_store::Error::InvalidPath { .. }) => Ok(()),
                listed => listed.map(drop),
            }
        };
        asked(listed).await
    }

    /// Writes a hidden object of a few bytes, on the condition that it is not there, tries that again, which has to fail,
    /// and removes it. Returns whether the storage knows the condition.
    ///
    /// # Errors
    /// It does not let us.
    pub async fn probe_write(&self) -> Result<bool, Trouble> {
        let name = format!("{WORKROOM}/doctor-{}", clock::now());
        let key = match self.settings.prefix.as_str() {
            "" => name,
            prefix => format!("{prefix}/{name}"),
        };
        let key = Path::parse(key).map_err(|error| silent(&error.to_string()))?;
        let put = || {
            let content = PutPayload::from_static(b"portcullis doctor");
            let options = PutOptions::from(PutMode::Create);
            self.store.put_opts(&key, content, options)
        };
        asked(put()).await?;
        let again = tokio::time::timeout(PATIENCE, put()).await;
        let knows = matches!(again, Ok(Err(object_store::Error::AlreadyExists { .. })));
        asked(self.store.delete(&key)).await?;
        Ok(knows)
    }
}

async fn asked<T>(work: impl Future<Output = object_store::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let cause = causes(&error);
            Err(Trouble {
                code: code(&cause),
                cause,
            })
        }
        Err(_) => Err(silent("it does not answer within 10 s")),
    }
}

fn silent(cause: &str) -> Trouble {
    Trouble {
        code: None,
        cause: cause.to_owned(),
    }
}

/// Both providers put it into their answer's XML.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.to_owned())
}
