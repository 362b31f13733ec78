//! Microsoft Entra ID as an OpenID provider: the only files that know Microsoft. No actix types, no SQL.

use std::sync::Arc;
use std::time::Duration;

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenUrl,
};
use url::Url;

use crate::settings::{Credential, EntraSettings};

mod credentials;
mod discovery;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod kept;
mod keys;
mod platform;
mod probe;
pub mod refusal;
mod response;
mod token;

pub use credentials::Keychain;
use discovery::Provider;
use http::Http;
use kept::Kept;
use keys::SigningKeys;
pub use probe::{Discovered, NotTaken};
pub use refusal::Refusal;
use response::{TokenError, TokenResponse};
pub use token::{Identity, is_plain_address};

type OauthClient = oauth2::Client<
    TokenError,
    TokenResponse,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Our registration in one tenant.
pub struct Entra {
    settings: EntraSettings,
    client_id: String,
    redirect_uri: Url,
    http: Http,
    provider: Kept<Provider>,
    keys: Kept<SigningKeys>,
    keychain: Keychain,
}

/// A sign-in that was begun: where to send the browser, and what to remember until it comes back.
pub struct Begun {
    /// Address at Entra.
    pub url: Url,
    /// To be compared with what comes back.
    pub state: String,
    /// To be found in the ID token.
    pub nonce: String,
    /// To be shown when the code is redeemed.
    pub code_verifier: String,
}

impl Entra {
    /// A client that has not spoken to Entra yet. `None` without a client id: then nobody can sign in.
    ///
    /// # Errors
    /// A sentence when the HTTP client cannot be made.
    pub fn new(settings: &EntraSettings, redirect_uri: &Url) -> Result<Option<Self>, String> {
        let Some(client_id) = settings.client_id.clone() else {
            return Ok(None);
        };
        Ok(Some(Self {
            settings: settings.clone(),
            client_id,
            redirect_uri: redirect_uri.clone(),
            http: Http::new()?,
            provider: Kept::new(),
            keys: Kept::new(),
            keychain: Keychain::new(settings.credentials.clone()),
        }))
    }

    /// Fetches discovery and keys until both are there once, then keeps them fresh. Runs until the process ends.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            if let Err(cause) = self.keys().await {
                log::warn!("{cause}");
            }
            tokio::time::sleep(self.provider.rest().min(self.keys.rest())).await;
        }
    }

    /// Begins a sign-in: authorization code flow with `state`, `nonce` and PKCE S256.
    ///
    /// # Errors
    /// A cause for the log, when discovery cannot be had.
    pub async fn begin(&self, other_account: bool) -> Result<Begun, String> {
        let provider = self.provider().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let client = self.client(&provider)?;
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("openid".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(challenge)
            // A form_post answer would come without our SameSite=Lax cookie.
            .add_extra_param("response_mode", "query")
            .add_extra_param("nonce", nonce.clone());
        if other_account {
            request = request.add_extra_param("prompt", "select_account");
        }
        let (url, state) = request.url();
        Ok(Begun {
            url,
            state: state.into_secret(),
            nonce,
            code_verifier: verifier.into_secret(),
        })
    }

    /// Redeems a code and validates the ID token that it gives. When Entra refuses our proof, the next one is tried.
    ///
    /// # Errors
    /// Why the person is not let in.
    pub async fn redeem(
        &self,
        code: String,
        code_verifier: String,
        nonce: &str,
    ) -> Result<Identity, Refusal> {
        let provider = self.provider().await.map_err(Refusal::unreachable)?;
        let mut refused = None;
        for credential in self.keychain.in_order() {
            let grant = (code.clone(), code_verifier.clone());
            match self.exchange(&provider, &credential, grant).await {
                Err(refusal) if refusal.is_of_credential() => {
                    log::error!("{}: {}", credential.variable, refusal.cause);
                    refused = refused.or(Some(refusal));
                }
                Err(refusal) => return Err(refusal),
                Ok(answer) => {
                    self.keychain.taken(&credential);
                    return token::validate(self, &provider, &answer, nonce).await;
                }
            }
        }
        Err(refused.unwrap_or_else(|| Refusal::unreachable("there is no credential".to_owned())))
    }

    async fn exchange(
        &self,
        provider: &Provider,
        credential: &Credential,
        (code, code_verifier): (String, String),
    ) -> Result<TokenResponse, Refusal> {
        let client = self.client(provider).map_err(Refusal::unreachable)?;
        let fields = self
            .fields(credential, provider)
            .await
            .map_err(Refusal::credential)?;
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(code_verifier));
        for (name, value) in fields.iter() {
            request = request.add_extra_param(*name, value.as_str());
        }
        let sent = request
            .request_async(&|request| self.http.send(request))
            .await;
        sent.map_err(|error| match error {
            RequestTokenError::ServerResponse(error) => error.into(),
            // The parsed text may hold tokens, so it stays out of the log.
            RequestTokenError::Parse(_, body) => Refusal::garbage(format!(
                "the token endpoint's answer of {} bytes is not a token response",
                body.len()
            )),
            RequestTokenError::Request(cause) => Refusal::unreachable(cause.to_string()),
            RequestTokenError::Other(cause) => Refusal::garbage(cause),
        })
    }

    /// How old the signing keys are, once they were fetched.
    pub fn keys_age(&self) -> Option<Duration> {
        self.keys.age()
    }

    /// The proofs at hand; may be replaced while the portal runs.
    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// Where to send the browser to end the session at Entra, too, if Entra has such a place.
    pub async fn sign_out_url(&self, hint: Option<&str>, signed_out: &str) -> Option<Url> {
        let provider = self.provider().await.ok()?;
        let mut url = provider.end_session_endpoint.clone()?;
        url.query_pairs_mut()
            .append_pair("post_logout_redirect_uri", signed_out);
        if let Some(hint) = hint {
            url.query_pairs_mut().append_pair("logout_hint", hint);
        }
        Some(url)
    }

    /// Whether `issuer` (RFC 9207, or front-channel logout) is ours.
    pub async fn is_issuer(&self, issuer: &str) -> bool {
        self.provider()
            .await
            .is_ok_and(|provider| provider.issuer == issuer)
    }

    async fn provider(&self) -> Result<Arc<Provider>, String> {
        self.provider
            .get(|| discovery::fetch(&self.http, &self.settings))
            .await
    }

    async fn keys(&self) -> Result<Arc<SigningKeys>, String> {
        let provider = self.provider().await?;
        self.keys.get(|| keys::fetch(&self.http, &provider)).await
    }

    /// The keys again, because a token names one that we do not know.
    async fn newer_keys(&self) -> Result<Arc<SigningKeys>, String> {
        let provider = self.provider().await?;
        self.keys
            .get_newer(|| keys::fetch(&self.http, &provider))
            .await
    }

    fn client(&self, provider: &Provider) -> Result<OauthClient, String> {
        let wrong = |error: url::ParseError| error.to_string();
        // `RequestBody` although no secret is set here: the proof goes into the form, as Entra expects it.
        Ok(oauth2::Client::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(oauth2::AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(provider.authorization_endpoint.to_string()).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(provider.token_endpoint.to_string()).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(self.redirect_uri.to_string()).map_err(wrong)?))
    }
}
