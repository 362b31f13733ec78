//! RSA signing keys: made once per process, published under fresh key ids, rotated on request.
//! Apart because key material is slow to make, so all emulators of one test run share it.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde_json::{Value, json};

use super::encoding::{base64url, random};

static MADE: Mutex<Vec<Arc<KeyPair>>> = Mutex::new(Vec::new());
static FOREIGN: LazyLock<Arc<KeyPair>> = LazyLock::new(|| Arc::new(make()));

fn make() -> KeyPair {
    let Ok(pair) = KeyPair::generate(KeySize::Rsa2048) else {
        panic!("no RSA key could be made");
    };
    pair
}

/// The process's key number `index`, made when first asked for.
fn shared(index: usize) -> Arc<KeyPair> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    while made.len() <= index {
        made.push(Arc::new(make()));
    }
    Arc::clone(&made[index])
}

/// A key pair under its published name.
#[derive(Clone)]
pub struct SigningKey {
    /// The key id.
    pub kid: String,
    pair: Arc<KeyPair>,
}

impl SigningKey {
    fn new(pair: Arc<KeyPair>) -> Self {
        Self {
            kid: base64url(&random::<20>()),
            pair,
        }
    }

    /// A key that is never published, under another key's name.
    pub fn foreign(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Arc::clone(&FOREIGN),
        }
    }

    /// An RS256 signature, as it stands in a token.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message,
            &mut signature,
        );
        assert!(signed.is_ok(), "the key could not sign");
        base64url(&signature)
    }

    /// The public half as a JWK. Entra's carry no `alg`, so neither does this one.
    pub fn jwk(&self) -> Value {
        let key = DecodingKey::from_rsa_der(self.pair.public_key().as_ref());
        let Ok(mut jwk) = Jwk::from_decoding_key(&key, None) else {
            return Value::Null;
        };
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(self.kid.clone());
        jwk.common.x509_sha1_fingerprint = Some(self.kid.clone());
        json!(jwk)
    }

    /// The public half as PEM text.
    pub fn pem(&self) -> String {
        let der: Result<PublicKeyX509Der<'_>, _> = self.pair.public_key().as_der();
        der.map_or_else(
            |_| String::new(),
            |der| pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref())),
        )
    }
}

/// The published keys; the newest signs.
pub struct KeyRing {
    older: Vec<SigningKey>,
    current: SigningKey,
    made: usize,
}

impl KeyRing {
    /// A ring of one key.
    pub fn new() -> Self {
        Self {
            older: Vec::new(),
            current: SigningKey::new(shared(0)),
            made: 1,
        }
    }

    /// The key that signs now.
    pub fn current(&self) -> &SigningKey {
        &self.current
    }

    /// A new key signs from now on; the old one stays published or goes at once.
    pub fn rotate(&mut self, keep_old: bool) {
        let next = SigningKey::new(shared(self.made));
        let old = std::mem::replace(&mut self.current, next);
        self.made += 1;
        if keep_old {
            self.older.push(old);
        } else {
            self.older.clear();
        }
    }

    /// The key document's entries. The current key stands last: order means nothing to Entra, and must
    /// not to clients.
    pub fn document(&self, issuer: &str) -> Value {
        let keys = self.older.iter().chain([&self.current]);
        let with_issuer = |mut jwk: Value| {
            jwk["issuer"] = json!(issuer);
            jwk
        };
        json!({ "keys": keys.map(SigningKey::jwk).map(with_issuer).collect::<Vec<_>>() })
    }
}
