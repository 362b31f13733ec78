//! The token endpoint's two answers, in the shapes that the oauth2 crate parses for us.

use oauth2::basic::BasicTokenType;
use oauth2::{ErrorResponse, ExtraTokenFields, StandardTokenResponse};
use serde::{Deserialize, Serialize};

/// A success: RFC 6749 section 5.1 with OpenID Connect's `id_token`.
pub type TokenResponse = StandardTokenResponse<IdTokenField, BasicTokenType>;

/// The one field that OpenID Connect adds. No `Debug` of its content: it is a credential.
#[derive(Clone, Serialize, Deserialize)]
pub struct IdTokenField {
    pub id_token: Option<String>,
}

impl std::fmt::Debug for IdTokenField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl ExtraTokenFields for IdTokenField {}

/// A refusal: RFC 6749 section 5.2 with what Entra adds ("Microsoft Entra authentication and authorization error codes").
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenError {
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub error_description: String,
    #[serde(default)]
    pub error_codes: Vec<u32>,
    #[serde(default)]
    pub correlation_id: Option<String>,
}

impl std::fmt::Display for TokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error, self.error_description)
    }
}

impl ErrorResponse for TokenError {}
