//! Entra's signing keys (RFC 7517), of which only RSA keys for signatures count.

use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::discovery::Provider;
use super::http::Http;

/// The keys that may have signed an ID token.
pub struct SigningKeys(Vec<SigningKey>);

struct SigningKey {
    kid: Option<String>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    n: String,
    e: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    issuer: Option<String>,
}

/// Fetches the set. An empty or unusable one is an error, so that it is never kept.
pub async fn fetch(http: &Http, provider: &Provider) -> Result<SigningKeys, String> {
    let (document, _): (Document, _) = http
        .get_json(provider.jwks_uri.as_str())
        .await
        .map_err(|error| format!("Entra's signing keys cannot be had: {error}"))?;
    let keys: Vec<SigningKey> = document
        .keys
        .into_iter()
        .filter_map(|jwk| usable(jwk, &provider.issuer))
        .collect();
    if keys.is_empty() {
        return Err(format!(
            "Entra's key document {} holds no RSA signing key",
            provider.jwks_uri
        ));
    }
    Ok(SigningKeys(keys))
}

/// Entra's keys usually carry no `alg`; what they may be used for is our decision (RFC 8725 section 3.1).
fn usable(jwk: serde_json::Value, issuer: &str) -> Option<SigningKey> {
    let jwk: Jwk = serde_json::from_value(jwk).ok()?;
    let for_us = jwk.kty == "RSA"
        && jwk.purpose.is_none_or(|purpose| purpose == "sig")
        && jwk.alg.is_none_or(|alg| alg == "RS256")
        && jwk.issuer.is_none_or(|named| named == issuer);
    if !for_us {
        return None;
    }
    let key = DecodingKey::from_rsa_components(&jwk.n, &jwk.e).ok()?;
    Some(SigningKey { kid: jwk.kid, key })
}

impl SigningKeys {
    /// The key named `kid`. A token that names none may mean the only key there is, and no other.
    pub fn find(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        match (kid, self.0.as_slice()) {
            (None, [only]) => Some(&only.key),
            (None, _) => None,
            (Some(kid), keys) => keys
                .iter()
                .find(|key| key.kid.as_deref() == Some(kid))
                .map(|key| &key.key),
        }
    }
}
