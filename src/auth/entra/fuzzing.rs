//! The reading of ID tokens without network and signature, so that `fuzz/` can try any bytes on it. Nothing else uses this.

use url::Url;

use super::discovery::Provider;
use super::token::{self, Identity};
use crate::settings::{Credentials, EmailClaim, EntraSettings};

/// The tenant, the application and the nonce that claims have to name here.
pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// See [`TENANT`].
pub const CLIENT: &str = "22222222-3333-4444-8555-666666666666";
/// See [`TENANT`].
pub const NONCE: &str = "nonce";

/// Whether a token with that header would be looked at any further.
pub fn header_is_taken(token: &str) -> bool {
    jsonwebtoken::decode_header(token).is_ok_and(|header| token::check_header(&header).is_ok())
}

/// Who claims (a JSON text) would be, were they signed.
pub fn identity(claims: &[u8]) -> Option<Identity> {
    let claims = serde_json::from_slice(claims).ok()?;
    let authority = "https://login.example".to_owned();
    let here = Url::parse(&authority).ok()?;
    let provider = Provider {
        issuer: format!("{authority}/{TENANT}/v2.0"),
        tenant_id: TENANT.to_owned(),
        authorization_endpoint: here.clone(),
        token_endpoint: here.clone(),
        jwks_uri: here,
        end_session_endpoint: None,
    };
    let settings = EntraSettings {
        authority,
        tenant: TENANT.to_owned(),
        client_id: Some(CLIENT.to_owned()),
        credentials: Credentials::of_secret(""),
        email_claim: EmailClaim::Email,
        allow_guests: false,
    };
    token::check_claims(&claims, CLIENT, TENANT, NONCE).ok()?;
    token::identify(&claims, &settings, &provider).ok()
}
