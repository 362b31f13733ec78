//! The proof that we are the registered client: a secret, an assertion signed by the certificate's key, or one that the
//! platform made (Entra: "Microsoft identity platform application authentication certificate credentials"; RFC 7523).

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth2::CsrfToken;
use serde::Serialize;

use super::discovery::Provider;
use super::{Entra, platform};
use crate::clock;
use crate::settings::{AssertionAlg, ClientCertificate, Credential, Credentials, Proof};

/// Larger than any token that a platform writes, in bytes.
const LARGEST_TOKEN: usize = 64 * 1024;

/// The credentials at hand, and which of them Entra took last.
pub struct Keychain(RwLock<Held>);

#[derive(Clone)]
struct Held {
    credentials: Arc<Credentials>,
    next_in_use: bool,
}

impl Keychain {
    /// With the first of them in use.
    pub fn new(credentials: Credentials) -> Self {
        Self(RwLock::new(Held {
            credentials: Arc::new(credentials),
            next_in_use: false,
        }))
    }

    /// What to try, in this order.
    pub fn in_order(&self) -> Vec<Credential> {
        let Held {
            credentials,
            next_in_use,
        } = self.held();
        let first = credentials.first.clone();
        match &credentials.next {
            None => vec![first],
            Some(next) if next_in_use => vec![next.clone(), first],
            Some(next) => vec![first, next.clone()],
        }
    }

    /// Every credential, the first one first.
    pub fn all(&self) -> Vec<Credential> {
        let credentials = self.held().credentials;
        let next = credentials.next.clone();
        [credentials.first.clone()]
            .into_iter()
            .chain(next)
            .collect()
    }

    /// Remembers which one Entra took.
    pub fn taken(&self, credential: &Credential) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_next = credential.variable != held.credentials.first.variable;
        if is_next != held.next_in_use {
            held.next_in_use = is_next;
            log::warn!(
                "Entra took {} instead, which is used from now on: make it the first and remove the other",
                credential.variable
            );
        }
    }

    /// Puts others in their place; whether they are others.
    pub fn replace(&self, credentials: Credentials) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if *held.credentials == credentials {
            return false;
        }
        *held = Held {
            credentials: Arc::new(credentials),
            next_in_use: false,
        };
        true
    }

    fn held(&self) -> Held {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Form fields that hold the proof. Has no `Debug`: they are secrets.
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.0.iter()
    }

    fn assertion(assertion: String) -> Self {
        Self(vec![
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
            ),
            ("client_assertion", assertion),
        ])
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Entra {
    /// The fields for one request to the provider's token endpoint.
    pub(super) async fn fields(
        &self,
        credential: &Credential,
        provider: &Provider,
    ) -> Result<Fields, String> {
        let endpoint = provider.token_endpoint.as_str();
        let assertion = match &credential.proof {
            Proof::Secret(secret) => {
                return Ok(Fields(vec![("client_secret", secret.expose().clone())]));
            }
            Proof::Certificate(certificate, algorithm) => {
                assertion(certificate, *algorithm, &self.client_id, endpoint)
            }
            Proof::TokenFile(path) => token(path).await,
            Proof::ManagedIdentity(identity) => {
                platform::assertion(&self.http, identity, &self.settings.authority).await
            }
        };
        assertion.map(Fields::assertion)
    }
}

/// The platform renews the file, so it is read each time.
async fn token(path: &Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| {
        format!(
            "AZURE_FEDERATED_TOKEN_FILE names {}, which cannot be read: {error}",
            path.display()
        )
    })?;
    match text.trim() {
        token if !token.is_empty() && token.len() <= LARGEST_TOKEN => Ok(token.to_owned()),
        _ => Err(format!(
            "AZURE_FEDERATED_TOKEN_FILE names {}, which holds no token",
            path.display()
        )),
    }
}

fn assertion(
    certificate: &ClientCertificate,
    algorithm: AssertionAlg,
    client_id: &str,
    token_endpoint: &str,
) -> Result<String, String> {
    let header = match algorithm {
        AssertionAlg::Ps256 => Header {
            x5t_s256: Some(URL_SAFE_NO_PAD.encode(&certificate.sha256)),
            ..Header::new(Algorithm::PS256)
        },
        AssertionAlg::Rs256 => Header {
            x5t: Some(URL_SAFE_NO_PAD.encode(&certificate.sha1)),
            ..Header::new(Algorithm::RS256)
        },
    };
    let now = clock::now() / clock::SECOND;
    let claims = Claims {
        aud: token_endpoint,
        iss: client_id,
        sub: client_id,
        jti: CsrfToken::new_random_len(16).into_secret(),
        iat: now,
        // Our clock may run ahead of Entra's.
        nbf: now - 60,
        exp: now + 300,
    };
    let cannot = |_| "the client certificate's key cannot sign".to_owned();
    let key =
        EncodingKey::from_rsa_pem(certificate.private_key.expose().as_bytes()).map_err(cannot)?;
    jsonwebtoken::encode(&header, &claims, &key).map_err(cannot)
}
