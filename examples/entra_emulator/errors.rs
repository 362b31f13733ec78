//! Entra's errors: an OAuth `error`, an AADSTS number, and the ids and time that support asks for.
//! Apart because all endpoints speak this one language, as JSON, as a page or in a redirect.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::{Value, json};

use super::encoding::{guid, timestamp};
use super::pages;
use super::state::CLIENT_ID;

/// One refusal.
pub struct Problem(Box<Details>);

struct Details {
    status: StatusCode,
    error: String,
    codes: Vec<u32>,
    text: String,
    trace: String,
    correlation: String,
    time: String,
}

impl Problem {
    /// A refusal with status 400, or 401 where the client itself was not believed.
    pub fn new(error: &str, code: u32, text: impl Into<String>) -> Self {
        let status = if error == "invalid_client" {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        log::info!("refused: {error}, AADSTS{code}");
        Self(Box::new(Details {
            status,
            error: error.to_owned(),
            codes: vec![code],
            text: text.into(),
            trace: guid(),
            correlation: guid(),
            time: timestamp(),
        }))
    }

    /// A failure that a test asked for; several codes have been seen in one answer.
    pub fn on_demand(error: &str, codes: &[u32]) -> Self {
        let first = codes.first().copied().unwrap_or_default();
        let mut problem = Self::new(
            error,
            first,
            "The emulator was told to refuse this request.",
        );
        problem.0.codes = codes.to_vec();
        problem
    }

    /// A parameter that is not there.
    pub fn missing(parameter: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::new("invalid_request", 900_144, text)
    }

    /// A tenant other than the one pretended here.
    pub fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. This may happen if there are no active subscriptions for the tenant."
        );
        Self::new("invalid_tenant", 90_002, text)
    }

    /// A client id other than the one registered here.
    pub fn unknown_client(client: &str) -> Self {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory 'Contoso'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self::new("unauthorized_client", 700_016, text)
    }

    /// A redirect URI that nobody registered.
    pub fn unknown_redirect(uri: &str) -> Self {
        let text = format!(
            "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the \
             application '{CLIENT_ID}'. Make sure the redirect URI sent in the request matches one added to your \
             application."
        );
        Self::new("invalid_request", 50_011, text)
    }

    /// Neither secret nor assertion.
    pub fn no_credential() -> Self {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Self::new("invalid_client", 7_000_218, text)
    }

    /// A wrong secret.
    pub fn wrong_secret() -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{CLIENT_ID}'."
        );
        Self::new("invalid_client", 7_000_215, text)
    }

    /// An assertion that no registered certificate vouches for.
    pub fn unknown_certificate(reason: &str, thumbprint: &str) -> Self {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. \
             [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}']"
        );
        Self::new("invalid_client", 700_027, text)
    }

    /// The OAuth error word.
    pub fn error(&self) -> &str {
        &self.0.error
    }

    /// The sentence with the number before and the ids after it.
    pub fn description(&self) -> String {
        let code = self.0.codes.first().copied().unwrap_or_default();
        let Details {
            text,
            trace,
            correlation,
            time,
            ..
        } = &*self.0;
        format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        )
    }

    /// The status as a number.
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// The error as the token endpoint words it.
    pub fn body(&self) -> Value {
        let code = self.0.codes.first().copied().unwrap_or_default();
        json!({
            "error": self.0.error,
            "error_description": self.description(),
            "error_codes": self.0.codes,
            "timestamp": self.0.time,
            "trace_id": self.0.trace,
            "correlation_id": self.0.correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        })
    }

    /// The answer of the token endpoint, and of discovery.
    pub fn json(&self) -> HttpResponse {
        HttpResponse::build(self.0.status)
            .insert_header((header::CACHE_CONTROL, "no-store, no-cache"))
            .json(self.body())
    }

    /// The page shown where sending the browser back would not be safe.
    pub fn page(&self) -> HttpResponse {
        pages::send(self.0.status, pages::problem(&self.description()))
    }
}
