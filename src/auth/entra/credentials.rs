//! The proof that we are the registered client: a secret, or an assertion signed by the certificate's key
//! (Entra: "Microsoft identity platform application authentication certificate credentials"; RFC 7523).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use oauth2::CsrfToken;
use serde::Serialize;

use crate::clock;
use crate::settings::{AssertionAlg, ClientCertificate, Credential};

/// Form fields that hold the proof. Has no `Debug`: they are secrets.
pub struct Proof(Vec<(&'static str, String)>);

impl Proof {
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.0.iter()
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

/// The fields for one request to `token_endpoint`.
pub fn proof(
    credential: &Credential,
    client_id: &str,
    token_endpoint: &str,
) -> Result<Proof, String> {
    match credential {
        Credential::Secret(secret) => Ok(Proof(vec![("client_secret", secret.expose().clone())])),
        Credential::Certificate(certificate, algorithm) => {
            let assertion = assertion(certificate, *algorithm, client_id, token_endpoint)?;
            Ok(Proof(vec![
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ),
                ("client_assertion", assertion),
            ]))
        }
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
