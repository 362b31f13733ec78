//! What the emulator remembers while it runs: the registration, codes, sessions, knobs and counters.
//! Apart so that every endpoint and the handle share one locked place.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use aws_lc_rs::digest;
use jsonwebtoken::DecodingKey;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::accounts::{self, Account};
use super::encoding::base64url;
use super::errors::Problem;
use super::faults::{Endpoint, Fault, Signing};
use super::keys::KeyRing;

/// The directory id of the pretended tenant.
pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// Its verified domain, which works in addresses too.
pub const DOMAIN: &str = "contoso.example";
/// The application id of the one registered application.
pub const CLIENT_ID: &str = "22222222-3333-4444-8555-666666666666";
/// Its secret until `set_client_secret`: the same for every start, so that a `.env` file stays good.
pub const CLIENT_SECRET: &str = "emulator~secret.good_on-loopback-only";

const CODE_LIFE: Duration = Duration::from_secs(600);

/// The fields of a query string or a form.
pub type Form = BTreeMap<String, String>;

/// How often each endpoint was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests for the OpenID configuration.
    pub discovery: usize,
    /// Requests for the signing keys.
    pub keys: usize,
    /// Browsers that came to sign in; the picker's answers are not counted again.
    pub authorize: usize,
    /// Requests for tokens, refused ones included.
    pub token: usize,
    /// Browsers that came to sign out.
    pub logout: usize,
}

/// A request for tokens as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// The form's fields, credentials included.
    pub form: Form,
    /// The `Authorization` header, if there was one.
    pub authorization: Option<String>,
    /// The `Origin` header, which a server must not send.
    pub origin: Option<String>,
}

/// What one authorization code stands for.
pub(super) struct Grant {
    pub account: Account,
    pub sid: String,
    pub redirect_uri: String,
    pub scope: String,
    pub nonce: Option<String>,
    pub challenge: String,
    made: Instant,
    redeemed: bool,
}

/// A browser that has chosen an account.
#[derive(Clone)]
pub(super) struct Session {
    pub username: String,
    pub sid: String,
}

/// A registered certificate: its two thumbprints as tokens carry them, and its key.
pub(super) struct Certificate {
    pub x5t: String,
    pub x5t_s256: String,
    pub key: DecodingKey,
}

/// Everything that tests may turn; `reset` puts it back.
#[derive(Default)]
pub(super) struct Knobs {
    pub claims: BTreeMap<String, Option<Value>>,
    pub headers: BTreeMap<String, Value>,
    pub signing: Signing,
    pub omit_id_token: bool,
    pub metadata: BTreeMap<String, Option<Value>>,
    pub empty_keys: bool,
    pub clock_ahead: Option<i64>,
    pub key_fields: BTreeMap<String, Value>,
    pub faults: HashMap<Endpoint, Fault>,
    pub next_token: VecDeque<Fault>,
}

/// The part of the state behind the lock.
pub(super) struct Inner {
    pub secret: String,
    pub redirect_uris: Vec<String>,
    pub certificates: Vec<Certificate>,
    pub people: Vec<Account>,
    pub auto_pick: Option<String>,
    pub keys: KeyRing,
    pub codes: HashMap<String, Grant>,
    pub sessions: HashMap<String, Session>,
    pub used_assertions: HashSet<String>,
    pub federated: HashSet<String>,
    pub knobs: Knobs,
    pub counts: Counts,
    pub last_token_request: Option<TokenRequest>,
    pub last_id_token: Option<String>,
    pub last_logout: Option<Form>,
}

/// What all endpoints share.
pub struct State {
    pub(super) origin: String,
    inner: Mutex<Inner>,
}

impl State {
    pub(super) fn new(port: u16) -> Self {
        let inner = Inner {
            secret: CLIENT_SECRET.to_owned(),
            redirect_uris: vec!["http://localhost:8000/callback".to_owned()],
            certificates: Vec::new(),
            people: accounts::people(),
            auto_pick: None,
            keys: KeyRing::new(),
            codes: HashMap::new(),
            sessions: HashMap::new(),
            used_assertions: HashSet::new(),
            federated: HashSet::new(),
            knobs: Knobs::default(),
            counts: Counts::default(),
            last_token_request: None,
            last_id_token: None,
            last_logout: None,
        };
        Self {
            origin: format!("http://localhost:{port}"),
            inner: Mutex::new(inner),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The issuer names the tenant by its id, whatever the address said.
    pub(super) fn issuer(&self) -> String {
        format!("{}/{TENANT}/v2.0", self.origin)
    }

    /// An address of the tenant, such as `oauth2/v2.0/token`.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}/{TENANT}/{path}", self.origin)
    }

    /// Counts a call, acts out a fault if one is set, and otherwise lets the endpoint answer.
    pub(super) async fn disturbed(&self, endpoint: Endpoint) -> Option<HttpResponse> {
        let fault = self.lock().arrival(endpoint);
        fault?.act().await
    }
}

/// Whether an address names the pretended tenant.
pub(super) fn check_tenant(tenant: &str) -> Result<(), Problem> {
    if tenant.eq_ignore_ascii_case(TENANT) || tenant.eq_ignore_ascii_case(DOMAIN) {
        return Ok(());
    }
    Err(Problem::unknown_tenant(tenant))
}

impl Inner {
    fn arrival(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let count = match endpoint {
            Endpoint::Discovery => &mut self.counts.discovery,
            Endpoint::Keys => &mut self.counts.keys,
            Endpoint::Authorize => &mut self.counts.authorize,
            Endpoint::Token => &mut self.counts.token,
            Endpoint::Logout => &mut self.counts.logout,
        };
        *count += 1;
        let once = (endpoint == Endpoint::Token).then(|| self.knobs.next_token.pop_front());
        once.flatten()
            .or_else(|| self.knobs.faults.get(&endpoint).cloned())
    }

    /// The person that a hint, a sign-in name or a picker's answer means.
    pub fn person(&self, hint: &str) -> Option<Account> {
        self.people
            .iter()
            .find(|account| account.answers_to(hint))
            .cloned()
    }
}

impl Grant {
    pub fn new(account: Account, sid: String, request: &Form) -> Self {
        let field = |name: &str| request.get(name).cloned();
        Self {
            account,
            sid,
            redirect_uri: field("redirect_uri").unwrap_or_default(),
            scope: field("scope").unwrap_or_default(),
            nonce: field("nonce"),
            challenge: field("code_challenge").unwrap_or_default(),
            made: Instant::now(),
            redeemed: false,
        }
    }

    /// Refuses what cannot be redeemed, whoever asks.
    pub fn check_fresh(&self) -> Result<(), Problem> {
        if self.redeemed {
            let text = "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an \
                        existing refresh token.";
            return Err(Problem::new("invalid_grant", 54_005, text));
        }
        if self.made.elapsed() > CODE_LIFE {
            let text = "The provided authorization code or refresh token has expired due to inactivity. Send a new \
                        interactive authorization request for this user and resource.";
            return Err(Problem::new("invalid_grant", 70_008, text));
        }
        Ok(())
    }

    pub fn redeem(&mut self) {
        self.redeemed = true;
    }

    pub fn asks_for(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|asked| asked == scope)
    }
}

impl Certificate {
    /// Reads the first certificate of a PEM text; a private key beside it is not looked at.
    pub fn from_pem(text: &str) -> io::Result<Self> {
        let blocks = pem::parse_many(text).map_err(io::Error::other)?;
        let block = blocks.iter().find(|block| block.tag() == "CERTIFICATE");
        let der = block
            .ok_or_else(|| io::Error::other("no certificate in this PEM text"))?
            .contents();
        let (_, certificate) = X509Certificate::from_der(der).map_err(io::Error::other)?;
        Ok(Self {
            x5t: base64url(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()),
            x5t_s256: base64url(digest::digest(&digest::SHA256, der).as_ref()),
            key: DecodingKey::from_rsa_der(&certificate.public_key().subject_public_key.data),
        })
    }
}
