//! What we sign ourselves, because the library cannot: addresses that are bound to a name, and the last step of an
//! upload, on a condition.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::azure::AzureAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use reqwest::{Method, StatusCode};
use url::Url;

use super::delegation::Key;
use super::upload::Condition;
use super::{PATIENCE, Storage, within};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::settings::Provider;

/// How long an address serves. It has to be asked for only once, at once; a download that has begun goes on after it.
const SERVES: Duration = Duration::from_secs(60);
/// Clocks may differ by so much, in seconds.
pub(super) const CLOCKS: i64 = 300;
/// The version of Azure's signatures that is written here.
const AZURE_VERSION: &str = "2023-11-03";
/// Longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;
const CACHE: &str = "private, no-store";

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

    /// A SAS for one blob, signed with the account key, or for an identity with the key that Azure handed out to it.
    async fn azure_address(
        &self,
        account: &str,
        key: &Path,
        disposition: &str,
        content_type: &str,
    ) -> AppResult<Url> {
        let url = self.azure_url(account, key)?;
        let sas = Sas {
            resource: format!("/blob/{account}/{}/{key}", self.settings.container),
            now: clock::now() / clock::SECOND,
            disposition,
            content_type,
        };
        match self.azure_key() {
            Some(secret) => Ok(sas.sign(url, &hmac::Key::new(hmac::HMAC_SHA256, &secret))),
            None => sas.sign_delegated(url, &self.delegation_key(account).await?),
        }
    }

    fn azure_key(&self) -> Option<Vec<u8>> {
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

    fn azure_url(&self, account: &str, key: &Path) -> AppResult<Url> {
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

/// What a SAS is for: reading one blob, from some minutes ago for the next minute, under this name and type.
struct Sas<'a> {
    resource: String,
    /// Seconds since 1970 UTC.
    now: i64,
    disposition: &'a str,
    content_type: &'a str,
}

impl Sas<'_> {
    /// From when and until when it serves.
    fn times(&self) -> [String; 2] {
        let until = self.now + SERVES.as_secs().cast_signed();
        [seconds(self.now - CLOCKS), seconds(until)]
    }

    /// The blob's address with a service SAS (Azure: "Create a service SAS", version 2020-12-06 and later).
    fn sign(&self, url: Url, key: &hmac::Key) -> Url {
        let [from, until] = self.times();
        let protocol = protocol(&url);
        let text = [
            "r",
            &from,
            &until,
            &self.resource,
            "",
            "",
            protocol,
            AZURE_VERSION,
            "b",
            "",
            "",
            CACHE,
            self.disposition,
            "",
            "",
            self.content_type,
        ];
        self.address(url, &[], &signature(key, &text))
    }

    /// The same for an identity (Azure: "Create a user delegation SAS", version 2020-12-06 and later).
    fn sign_delegated(&self, url: Url, key: &Key) -> AppResult<Url> {
        let [from, until] = self.times();
        let protocol = protocol(&url);
        let text = [
            "r",
            &from,
            &until,
            &self.resource,
            &key.signed_oid,
            &key.signed_tid,
            &key.signed_start,
            &key.signed_expiry,
            &key.signed_service,
            &key.signed_version,
            "",
            "",
            "",
            "",
            protocol,
            AZURE_VERSION,
            "b",
            "",
            "",
            CACHE,
            self.disposition,
            "",
            "",
            self.content_type,
        ];
        let whose = [
            ("skoid", key.signed_oid.as_str()),
            ("sktid", &key.signed_tid),
            ("skt", &key.signed_start),
            ("ske", &key.signed_expiry),
            ("sks", &key.signed_service),
            ("skv", &key.signed_version),
        ];
        Ok(self.address(url, &whose, &signature(&key.secret()?, &text)))
    }

    fn address(&self, mut url: Url, whose: &[(&str, &str)], signature: &str) -> Url {
        let [from, until] = self.times();
        let protocol = protocol(&url);
        let pairs = [
            ("sv", AZURE_VERSION),
            ("sp", "r"),
            ("st", &from),
            ("se", &until),
            ("spr", protocol),
            ("sr", "b"),
            ("rscc", CACHE),
            ("rscd", self.disposition),
            ("rsct", self.content_type),
        ];
        let said = pairs.iter().chain(whose);
        let said = said.filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut()
            .extend_pairs(said)
            .append_pair("sig", signature);
        url
    }
}

/// An address is worth a file to whoever reads it on its way, so where the storage has TLS it serves for nothing else.
fn protocol(url: &Url) -> &'static str {
    match url.scheme() {
        "https" => "https",
        _ => "",
    }
}

fn signature(key: &hmac::Key, lines: &[&str]) -> String {
    let signature = hmac::sign(key, lines.join("\n").as_bytes());
    BASE64_STANDARD.encode(signature.as_ref())
}

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

/// `2026-11-26T03:00:00Z`, as Azure signs it.
pub(super) fn seconds(since_1970: i64) -> String {
    clock::rfc3339(since_1970 * clock::SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sas() -> Sas<'static> {
        Sas {
            resource: "/blob/acc/files/a/b.txt".to_owned(),
            now: 1_795_000_000,
            disposition: "attachment; filename=\"b.txt\"",
            content_type: "text/plain; charset=utf-8",
        }
    }

    /// The query of an address, and the signature apart.
    fn parts(url: &Url) -> (Vec<(String, String)>, String) {
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let (_, signature) = pairs.pop().unwrap();
        (pairs, signature)
    }

    fn signed(url: &str) -> (Vec<(String, String)>, String) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        parts(&sas().sign(url.parse().unwrap(), &key))
    }

    #[test]
    fn an_address_with_tls_serves_for_nothing_else() {
        let (pairs, signature) = signed("https://acc.blob.core.windows.net/files/a/b.txt");
        assert!(
            pairs.contains(&("spr".to_owned(), "https".to_owned())),
            "{pairs:?}"
        );
        // printf of the sixteen lines | openssl dgst -sha256 -hmac secret -binary | base64
        assert_eq!(signature, "0YXwtTLpZFUQUo1A/Tv2uKrU0MaX6pKneqdAEqe5jwI=");
        let (pairs, signature) = signed("http://127.0.0.1:10000/acc/files/a/b.txt");
        assert!(pairs.iter().all(|(name, _)| name != "spr"), "{pairs:?}");
        assert_eq!(signature, "KHU5Q/V2aE2e0eTSZ2ONnEI+RuAsMtOm6LwgbVZGfXQ=");
    }

    #[test]
    fn an_address_of_an_identity_is_signed_with_the_key_that_azure_handed_out() {
        let key: Key = quick_xml::de::from_str(
            "<UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>\
             <SignedStart>2026-11-18T11:00:00Z</SignedStart><SignedExpiry>2026-11-18T13:00:00Z</SignedExpiry>\
             <SignedService>b</SignedService><SignedVersion>2023-11-03</SignedVersion><Value>c2VjcmV0</Value>\
             </UserDelegationKey>",
        )
        .unwrap();
        let url = "https://acc.blob.core.windows.net/files/a/b.txt";
        let url = sas().sign_delegated(url.parse().unwrap(), &key).unwrap();
        let (pairs, signature) = parts(&url);
        for (name, value) in [("skoid", "oid"), ("sktid", "tid"), ("sks", "b")] {
            assert!(pairs.contains(&(name.to_owned(), value.to_owned())));
        }
        // Twenty-four lines, written out apart from this code in the order above, and openssl as above.
        assert_eq!(signature, "6GkX67C8OqQaVO12PKc9luhs5WeujsG8gacakTq7e0A=");
    }
}
