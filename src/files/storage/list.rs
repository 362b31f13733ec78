//! Listing, asked for and read by ourselves: the library gives a whole page up for one key that is no path, and takes the slash
//! from the end of the keys that other tools make for folders.

use std::time::Duration;

use object_store::signer::SignedUrlOptions;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Object, PAGE_PATIENCE, Storage, causes, within};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::settings::Provider;

/// Longest page that is read, in bytes. Azure's have 5,000 keys.
const LONGEST: usize = 64 * 1024 * 1024;
/// How often a page is asked for, and how long apart, when the storage stumbles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// How many pages are read to find whether a folder has files.
const PAGES: usize = 3;
/// How long a signed request serves.
const SERVES: Duration = Duration::from_secs(60);

/// Some keys of a listing.
#[derive(Debug, Default)]
pub struct Listed {
    /// Those that are files of the portal's.
    pub objects: Vec<(ItemPath, Object)>,
    /// Keys that no path can be, and that are not hidden either.
    pub strange: Vec<String>,
    /// Where the listing goes on; `None` at its end.
    pub next: Option<String>,
}

impl Listed {
    fn take(&mut self, storage: &Storage, key: &str, object: Object) {
        let Some(rest) = storage.below_prefix(key) else {
            return;
        };
        // Tools make empty objects for folders. Hidden names are nobody's matter.
        let is_marker = object.size == 0 && rest.ends_with('/');
        if is_marker || rest.split('/').any(|name| name.starts_with('.')) {
            return;
        }
        let path = ItemPath::parse(rest).filter(|path| storage.key(path).is_ok());
        match path {
            Some(path) => self.objects.push((path, object)),
            None => self.strange.push(key.to_owned()),
        }
    }
}

/// A page as a provider writes it, with the key of each object.
struct Page {
    objects: Vec<(String, Object)>,
    next: Option<String>,
}

impl Storage {
    /// The next keys, in no order that could be relied upon.
    ///
    /// # Errors
    /// 503 when the storage does not answer.
    pub async fn list(&self, after: Option<String>) -> AppResult<Listed> {
        let prefix = match self.settings.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        self.page(&prefix, after).await
    }

    /// Whether any file lies in `folder` or deeper, as far as its first pages tell: what is hidden may come first, and
    /// anybody may ask. The listing of everything finds the rest.
    ///
    /// # Errors
    /// 503 when the storage does not answer.
    pub async fn has_folder(&self, folder: &ItemPath) -> AppResult<bool> {
        let prefix = format!("{}/", self.key(folder)?);
        let mut after = None;
        for _ in 0..PAGES {
            let page = self.page(&prefix, after).await?;
            if !page.objects.is_empty() {
                return Ok(true);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(false)
    }

    async fn page(&self, prefix: &str, after: Option<String>) -> AppResult<Listed> {
        let asked = self.ask_for_page(prefix, after.as_deref());
        let page = tokio::time::timeout(PAGE_PATIENCE, asked);
        let page = page
            .await
            .map_err(|_| away("the storage did not list its keys in time".to_owned()))??;
        let mut listed = Listed {
            next: page.next.filter(|next| !next.is_empty()),
            ..Listed::default()
        };
        for (key, object) in page.objects {
            listed.take(self, &key, object);
        }
        Ok(listed)
    }

    async fn ask_for_page(&self, prefix: &str, after: Option<&str>) -> AppResult<Page> {
        let mut tries = 1;
        loop {
            let request = match &self.settings.provider {
                Provider::Azure(account) => self.azure_list(account, prefix, after).await?,
                Provider::S3 => self.s3_list(prefix, after).await?,
            };
            match (answer(request).await, &self.settings.provider) {
                (Ok(text), Provider::Azure(_)) => return azure_page(&text),
                (Ok(text), Provider::S3) => return s3_page(&text),
                (Err(Refusal::Passing(cause)), _) if tries == TRIES => return Err(away(cause)),
                (Err(Refusal::Passing(_)), _) => {}
                (Err(Refusal::Lasting(cause)), _) => return Err(away(cause)),
            }
            tokio::time::sleep(PAUSE * tries).await;
            tries += 1;
        }
    }

    /// What a key is after the portal's own prefix.
    fn below_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        match self.settings.prefix.as_str() {
            "" => Some(key),
            prefix => key.strip_prefix(prefix)?.strip_prefix('/'),
        }
    }

    async fn azure_list(
        &self,
        account: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> AppResult<reqwest::RequestBuilder> {
        let mut url = self.azure_container(account)?;
        url.query_pairs_mut()
            .extend_pairs([("restype", "container"), ("comp", "list")])
            .extend_pairs((!prefix.is_empty()).then_some(("prefix", prefix)))
            .extend_pairs(after.map(|after| ("marker", after)));
        let none = HeaderMap::new();
        self.azure_request(account, Method::GET, &url, none).await
    }

    async fn s3_list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> AppResult<reqwest::RequestBuilder> {
        let mut query = vec![("list-type", "2")];
        query.extend((!prefix.is_empty()).then_some(("prefix", prefix)));
        query.extend(after.map(|after| ("continuation-token", after)));
        let options = SignedUrlOptions::new().with_query(query);
        let bucket = object_store::path::Path::default();
        let signed = self
            .store
            .signed_url_opts(Method::GET, &bucket, SERVES, &options);
        Ok(self.http.get(within(super::PATIENCE, signed).await?))
    }
}

/// Why there is no page.
enum Refusal {
    /// Asking again may help.
    Passing(String),
    Lasting(String),
}

async fn answer(request: reqwest::RequestBuilder) -> Result<String, Refusal> {
    // An error's own text holds the address, and that the signature.
    let broken = |error: reqwest::Error| Refusal::Passing(causes(&error.without_url()));
    let mut answer = request.send().await.map_err(broken)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(Refusal::Lasting(
                "a page of the listing is too long".to_owned(),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let cause = || format!("the storage does not list its keys: {status} {text}");
    match status {
        StatusCode::OK => Ok(text),
        StatusCode::TOO_MANY_REQUESTS => Err(Refusal::Passing(cause())),
        status if status.is_server_error() => Err(Refusal::Passing(cause())),
        _ => Err(Refusal::Lasting(cause())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzurePage {
    #[serde(default)]
    blobs: AzureBlobs,
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct AzureBlobs {
    #[serde(rename = "Blob", default)]
    blobs: Vec<AzureBlob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzureBlob {
    name: AzureName,
    properties: AzureProperties,
}

/// Encoded where XML has no sign for it.
#[derive(Deserialize)]
struct AzureName {
    #[serde(rename = "@Encoded", default)]
    is_encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
struct AzureProperties {
    #[serde(rename = "Content-Length")]
    content_length: u64,
    #[serde(rename = "Last-Modified")]
    last_modified: String,
    #[serde(rename = "Etag", alias = "ETag")]
    etag: Option<String>,
    /// `directory`, where the account has folders of its own.
    #[serde(rename = "ResourceType")]
    resource_type: Option<String>,
}

fn azure_page(text: &str) -> AppResult<Page> {
    let page: AzurePage = quick_xml::de::from_str(text).map_err(|error| unread(&error))?;
    let blobs = page.blobs.blobs.into_iter();
    let files = blobs.filter(|blob| blob.properties.resource_type.as_deref() != Some("directory"));
    let objects = files.map(|blob| {
        let AzureProperties {
            content_length,
            last_modified,
            etag,
            ..
        } = blob.properties;
        let AzureName { is_encoded, text } = blob.name;
        let key = match is_encoded {
            true => percent_encoding::percent_decode_str(&text)
                .decode_utf8_lossy()
                .into_owned(),
            false => text,
        };
        let seconds = clock::seconds_of_http_date(&last_modified);
        Ok((key, object(content_length, seconds, etag)?))
    });
    Ok(Page {
        objects: objects.collect::<AppResult<_>>()?,
        next: page.next_marker,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct S3Page {
    #[serde(default)]
    contents: Vec<S3Object>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct S3Object {
    key: String,
    size: u64,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

fn s3_page(text: &str) -> AppResult<Page> {
    let page: S3Page = quick_xml::de::from_str(text).map_err(|error| unread(&error))?;
    let objects = page.contents.into_iter().map(|found| {
        let seconds = clock::seconds_of_rfc3339(&found.last_modified);
        Ok((found.key, object(found.size, seconds, found.etag)?))
    });
    Ok(Page {
        objects: objects.collect::<AppResult<_>>()?,
        next: page.next_continuation_token,
    })
}

fn object(size: u64, seconds: Option<i64>, etag: Option<String>) -> AppResult<Object> {
    let seconds = seconds.ok_or_else(|| away("the listing tells no time".to_owned()))?;
    Ok(Object {
        size,
        modified_at: seconds * clock::SECOND,
        etag,
    })
}

fn unread(error: &quick_xml::DeError) -> AppError {
    away(format!("the storage's listing cannot be read: {error}"))
}

fn away(cause: String) -> AppError {
    AppError::StorageAway(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_azure_are_read_encoded_or_not_and_its_folders_left_out() {
        let blob = |name: &str, kind: &str| {
            format!(
                "<Blob>{name}<Properties><Creation-Time>Thu, 26 Nov 2026 03:00:00 GMT</Creation-Time>\
                 <Last-Modified>Thu, 26 Nov 2026 03:00:00 GMT</Last-Modified><Etag>0x8D</Etag>{kind}\
                 <Content-Length>7</Content-Length></Properties></Blob>"
            )
        };
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"c\"><Blobs>{}{}{}</Blobs><NextMarker />\
             </EnumerationResults>",
            blob("<Name>a &amp; b//c 100%.txt</Name>", ""),
            blob("<Name Encoded=\"true\">a%EF%BF%BE.txt</Name>", ""),
            blob(
                "<Name>folder</Name>",
                "<ResourceType>directory</ResourceType>"
            ),
        );
        let page = azure_page(&text).unwrap();
        let keys: Vec<&str> = page.objects.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a & b//c 100%.txt", "a\u{fffe}.txt"]);
        let object = &page.objects[0].1;
        assert_eq!(
            (object.size, object.modified_at),
            (7, 1_795_662_000_000_000)
        );
        let empty = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        assert!(azure_page(empty).unwrap().objects.is_empty());
    }

    #[test]
    fn a_page_of_s3_tells_where_it_goes_on() {
        let text = "<ListBucketResult><Contents><Key>a//b</Key><LastModified>2026-11-26T03:00:00.000Z</LastModified>\
                    <ETag>&quot;e&quot;</ETag><Size>7</Size></Contents><NextContinuationToken>n</NextContinuationToken>\
                    </ListBucketResult>";
        let page = s3_page(text).unwrap();
        assert_eq!(page.next.as_deref(), Some("n"));
        assert_eq!(page.objects[0].0, "a//b");
        assert_eq!(page.objects[0].1.etag.as_deref(), Some("\"e\""));
        assert_eq!(page.objects[0].1.modified_at, 1_795_662_000_000_000);
    }
}
