//! Looks at Entra as an operator would, without anybody signing in: is it there, does it know us, does it take our proof?

use std::collections::HashMap;

use oauth2::{CsrfToken, PkceCodeChallenge, RequestTokenError, Scope};
use url::Url;

use super::refusal::{self, Refusal};
use super::{Entra, discovery};
use crate::clock;
use crate::settings::Credential;

/// What discovery says.
pub struct Discovered {
    /// The tenant's issuer.
    pub issuer: String,
    /// How far our clock is ahead of Entra's, in seconds; negative where it is behind. `None` without a `Date` header.
    pub clock_ahead: Option<i64>,
}

/// Why nobody can say that Entra takes a credential.
pub enum NotTaken {
    /// Entra refuses it, and why.
    Refused(String),
    /// It cannot be shown, and why.
    Unusable(String),
    /// No decision came.
    NotAsked(String),
}

impl Entra {
    /// Fetches discovery anew, whatever is kept.
    ///
    /// # Errors
    /// What is wrong, naming the settings.
    pub async fn probe_discovery(&self) -> Result<Discovered, String> {
        let (provider, date) = discovery::fetch_dated(&self.http, &self.settings).await?;
        Ok(Discovered {
            issuer: provider.issuer,
            clock_ahead: date.map(|date| clock::now() / clock::SECOND - date),
        })
    }

    /// Asks whether the redirect URI and the client id are registered: a silent request is sent back with
    /// `login_required` when they are (OpenID Connect Core section 3.1.2.6), and shown a page with a number when not.
    ///
    /// # Errors
    /// What to change.
    pub async fn probe_registration(&self) -> Result<(), String> {
        let provider = self.provider().await?;
        let (challenge, _) = PkceCodeChallenge::new_random_sha256();
        let (url, _) = self
            .client(&provider)?
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("openid".to_owned()))
            .set_pkce_challenge(challenge)
            .add_extra_param("response_mode", "query")
            .add_extra_param("nonce", CsrfToken::new_random().into_secret())
            .add_extra_param("prompt", "none")
            .url();
        let answer = self
            .http
            .get(url.as_str())
            .await
            .map_err(|e| e.to_string())?;
        let location = answer
            .headers()
            .get("location")
            .and_then(|location| Url::parse(location.to_str().ok()?).ok());
        if let Some(location) = location
            && location.as_str().starts_with(self.redirect_uri.as_str())
        {
            return came_back(&location);
        }
        let page = String::from_utf8_lossy(answer.body());
        Err(match refusal::hint_in(&page) {
            Some(hint) => hint,
            None => format!(
                "Entra answers {} without sending back to {}",
                answer.status(),
                self.redirect_uri
            ),
        })
    }

    /// Shows Entra a credential, with the client credentials grant (RFC 6749 section 4.4). What it may be used for does
    /// not matter: only a refusal of the proof itself counts.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn probe_credential(&self, credential: &Credential) -> Result<(), NotTaken> {
        let provider = self.provider().await.map_err(NotTaken::NotAsked)?;
        let fields = self
            .fields(credential, &provider)
            .await
            .map_err(NotTaken::Unusable)?;
        let client = self.client(&provider).map_err(NotTaken::NotAsked)?;
        let mut request = client
            .exchange_client_credentials()
            .add_scope(Scope::new(format!("{}/.default", self.client_id)));
        for (name, value) in fields.iter() {
            request = request.add_extra_param(*name, value.as_str());
        }
        let sent = request
            .request_async(&|request| self.http.send(request))
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(RequestTokenError::ServerResponse(error)) => {
                let refusal = Refusal::from(error);
                match (refusal.is_operators, refusal.is_no_answer()) {
                    (true, _) => Err(NotTaken::Refused(refusal.cause)),
                    (false, true) => Err(NotTaken::NotAsked(refusal.cause)),
                    (false, false) => Ok(()),
                }
            }
            Err(RequestTokenError::Request(cause)) => Err(NotTaken::NotAsked(cause.to_string())),
            Err(_) => Err(NotTaken::NotAsked(
                "the token endpoint's answer is not a token response".to_owned(),
            )),
        }
    }
}

/// `login_required` is as good as it gets without a person; other errors are Entra's word on what is wrong.
fn came_back(location: &Url) -> Result<(), String> {
    let answer: HashMap<_, _> = location.query_pairs().collect();
    let error = answer.get("error").map_or("", |error| error.as_ref());
    let silent = [
        "",
        "login_required",
        "interaction_required",
        "consent_required",
    ];
    if silent.contains(&error) {
        return Ok(());
    }
    let description = answer.get("error_description");
    let description = description.map_or("", |description| description.as_ref());
    Err(Refusal::from_redirect(error, description).cause)
}
