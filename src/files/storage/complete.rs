//! The last step of an upload: one object is made of its parts, on a condition. The library's own call has none.

use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use reqwest::{Method, StatusCode};

use super::sign::SERVES;
use super::upload::Condition;
use super::{PATIENCE, Storage, within};
use crate::error::{AppError, AppResult};
use crate::settings::Provider;

/// Longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Makes one object of the parts, as long as what is there keeps the condition. Returns its entity tag, where the storage
/// tells it.
///
/// # Errors
/// 409 when it does not; 503 when the storage does not answer or refuses.
pub async fn complete(
    storage: &Storage,
    key: &Path,
    id: &str,
    parts: &[PartId],
    condition: &Condition,
) -> AppResult<Option<String>> {
    let condition = match condition {
        Condition::Free => Some((IF_NONE_MATCH, HeaderValue::from_static("*"))),
        Condition::Same(etag) => HeaderValue::from_str(etag)
            .ok()
            .map(|etag| (IF_MATCH, etag)),
        Condition::Any => None,
    };
    let request = match &storage.settings.provider {
        Provider::Azure(account) => azure_complete(storage, account, key, parts, condition).await?,
        Provider::S3 => s3_complete(storage, key, id, parts, condition).await?,
    };
    let answer = request.send().await.map_err(|error| {
        // Its own text holds the address, and that the signature.
        AppError::StorageAway(super::causes(&error.without_url()))
    })?;
    let status = answer.status();
    let etag = answer
        .headers()
        .get(ETAG)
        .and_then(|etag| etag.to_str().ok());
    let etag = etag.map(str::to_owned);
    let text = body(answer).await?;
    // S3 may begin with 200 and find out later.
    let failed_late = text.contains("<Error>");
    match status {
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
            Err(AppError::Conflict("It is there already.".to_owned()))
        }
        status if status.is_success() && !failed_late => {
            let completed: Result<Completed, _> = quick_xml::de::from_str(&text);
            Ok(etag.or_else(|| completed.ok()?.etag))
        }
        status => Err(AppError::StorageAway(format!(
            "the storage does not make one file of the parts: {status} {text}"
        ))),
    }
}

/// What S3 says then; Azure has it in the head.
#[derive(serde::Deserialize)]
struct Completed {
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

async fn s3_complete(
    storage: &Storage,
    key: &Path,
    id: &str,
    parts: &[PartId],
    condition: Option<(HeaderName, HeaderValue)>,
) -> AppResult<reqwest::RequestBuilder> {
    let mut xml =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (index, part) in parts.iter().enumerate() {
        let (number, etag) = (index + 1, escaped(&part.content_id));
        let _ = write!(
            xml,
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        );
    }
    xml.push_str("</CompleteMultipartUpload>");
    let mut options = SignedUrlOptions::new().with_query([("uploadId", id)]);
    let headers: HeaderMap = condition.into_iter().collect();
    for (name, value) in &headers {
        options = options.with_signed_header(name.clone(), value.clone());
    }
    let signed = storage
        .store
        .signed_url_opts(Method::POST, key, SERVES, &options);
    let url = within(PATIENCE, signed).await?;
    let request = storage.http.post(url).headers(headers);
    Ok(request.header(CONTENT_TYPE, "application/xml").body(xml))
}

async fn azure_complete(
    storage: &Storage,
    account: &str,
    key: &Path,
    parts: &[PartId],
    condition: Option<(HeaderName, HeaderValue)>,
) -> AppResult<reqwest::RequestBuilder> {
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for part in parts {
        // Azure wants in the list what stood, encoded, in the address of the block.
        let id = BASE64_STANDARD.encode(&part.content_id);
        let _ = write!(xml, "<Uncommitted>{id}</Uncommitted>");
    }
    xml.push_str("</BlockList>");
    let mut url = storage.azure_url(account, key)?;
    url.query_pairs_mut().append_pair("comp", "blocklist");
    let mut headers: HeaderMap = condition.into_iter().collect();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(xml.len()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    let request = storage.azure_request(account, Method::PUT, &url, headers);
    Ok(request.await?.body(xml))
}

/// The text of an answer, as far as it may be long.
///
/// # Errors
/// 503 when it breaks off.
pub(super) async fn body(mut answer: reqwest::Response) -> AppResult<String> {
    let mut body = Vec::new();
    loop {
        let chunk = answer.chunk().await;
        let chunk =
            chunk.map_err(|error| AppError::StorageAway(super::causes(&error.without_url())))?;
        match chunk {
            Some(chunk) if body.len() + chunk.len() <= LONGEST => body.extend_from_slice(&chunk),
            _ => return Ok(String::from_utf8_lossy(&body).into_owned()),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
