//! The key that signs addresses for a portal that proves itself to Azure with an identity ("user delegation key"). Azure hands it
//! out for some time to whoever may, so it is asked for now and then and kept meanwhile.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::azure::{CLOCKS, seconds};
use super::{PATIENCE, Storage, causes};
use crate::clock;
use crate::error::{AppError, AppResult};

/// For how long a key is asked for, in seconds, and how long before its end another one.
const SERVES: i64 = 3_600;
const RENEWED_BEFORE: i64 = 600;

/// The key that was handed out last.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Key>>);

/// A key and whose it is. All but the value stands in the addresses that it signs.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Key {
    pub signed_oid: String,
    pub signed_tid: String,
    pub signed_start: String,
    pub signed_expiry: String,
    pub signed_service: String,
    pub signed_version: String,
    value: String,
}

impl Key {
    /// The secret itself.
    pub fn secret(&self) -> AppResult<hmac::Key> {
        let secret = BASE64_STANDARD
            .decode(&self.value)
            .map_err(|_| away("its key is not Base64".to_owned()))?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    fn serves(&self) -> bool {
        let until = clock::seconds_of_rfc3339(&self.signed_expiry);
        until.is_some_and(|until| until - RENEWED_BEFORE > clock::now() / clock::SECOND)
    }
}

impl Storage {
    /// The key that signs addresses now.
    pub(super) async fn delegation_key(&self, account: &str) -> AppResult<Key> {
        let asked = async {
            let mut kept = self.delegation.0.lock().await;
            if let Some(key) = kept.as_ref().filter(|key| key.serves()) {
                return Ok(key.clone());
            }
            let key = self.ask_for_key(account).await?;
            Ok(kept.insert(key).clone())
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(key) => key,
            Err(_) => Err(away("it did not answer in time".to_owned())),
        }
    }

    async fn ask_for_key(&self, account: &str) -> AppResult<Key> {
        let now = clock::now() / clock::SECOND;
        let (from, until) = (seconds(now - CLOCKS), seconds(now + SERVES));
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{from}</Start><Expiry>{until}</Expiry></KeyInfo>"
        );
        let mut url = self.azure_root(account)?;
        url.path_segments_mut()
            .map_err(|()| away("its address cannot be made".to_owned()))?
            .push("");
        url.query_pairs_mut()
            .extend_pairs([("restype", "service"), ("comp", "userdelegationkey")]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(xml.len()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        let request = self.azure_request(account, Method::POST, &url, headers);
        let answer = request.await?.body(xml).send().await;
        let answer = answer.map_err(|error| away(causes(&error.without_url())))?;
        let status = answer.status();
        let text = super::complete::body(answer).await?;
        if !status.is_success() {
            return Err(away(format!(
                "the identity needs the role Storage Blob Delegator: {status} {text}"
            )));
        }
        // The text holds the secret, so it is not told.
        quick_xml::de::from_str(&text).map_err(|_| away("its key cannot be read".to_owned()))
    }
}

fn away(cause: String) -> AppError {
    AppError::StorageAway(format!(
        "the storage hands out no key for addresses: {cause}"
    ))
}
