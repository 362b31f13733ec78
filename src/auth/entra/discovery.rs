//! The tenant's discovery document (OpenID Connect Discovery 1.0, section 4), fetched and believed only as far as it fits.

use serde::Deserialize;
use url::Url;

use super::http::Http;
use crate::settings::EntraSettings;

/// What we need of the document.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Compared with `iss` to the letter.
    pub issuer: String,
    /// The tenant's directory id, out of the issuer; compared with `tid`.
    pub tenant_id: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub jwks_uri: Url,
    pub end_session_endpoint: Option<Url>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    end_session_endpoint: Option<Url>,
}

/// Fetches and checks the document.
pub async fn fetch(http: &Http, settings: &EntraSettings) -> Result<Provider, String> {
    let (provider, _) = fetch_dated(http, settings).await?;
    Ok(provider)
}

/// As [`fetch`], with the time on Entra's clock, in seconds since 1970.
pub async fn fetch_dated(
    http: &Http,
    settings: &EntraSettings,
) -> Result<(Provider, Option<i64>), String> {
    let url = format!(
        "{}/{}/v2.0/.well-known/openid-configuration",
        settings.authority, settings.tenant
    );
    let (document, date): (Document, _) = http
        .get_json(&url)
        .await
        .map_err(|error| format!("Entra's discovery document cannot be had: {error}"))?;
    Ok((understand(document, settings)?, date))
}

fn understand(document: Document, settings: &EntraSettings) -> Result<Provider, String> {
    let tenant_id = tenant_of(&document.issuer, settings)?;
    let endpoints = [
        Some(&document.authorization_endpoint),
        Some(&document.token_endpoint),
        Some(&document.jwks_uri),
        document.end_session_endpoint.as_ref(),
    ];
    // http only where the authority itself is on this machine.
    let plain_allowed = settings.authority.starts_with("http:");
    for endpoint in endpoints.into_iter().flatten() {
        let fits = endpoint.scheme() == "https"
            || (plain_allowed && crate::settings::origin_of(endpoint) == settings.authority);
        if !fits {
            return Err(format!(
                "Entra's discovery document names the endpoint {endpoint}, which is not https"
            ));
        }
    }
    Ok(Provider {
        tenant_id,
        issuer: document.issuer,
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        jwks_uri: document.jwks_uri,
        end_session_endpoint: document.end_session_endpoint,
    })
}

/// The issuer must be `{authority}/{directory id}/v2.0`, with our directory id where that was configured
/// (a verified domain is not repeated in the issuer).
fn tenant_of(issuer: &str, settings: &EntraSettings) -> Result<String, String> {
    let tenant = issuer
        .strip_prefix(settings.authority.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.strip_suffix("/v2.0"))
        .filter(|tenant| is_guid(tenant));
    match tenant {
        Some(tenant) if !is_guid(&settings.tenant) || tenant == settings.tenant => {
            Ok(tenant.to_owned())
        }
        _ => Err(format!(
            "Entra's discovery document names the issuer {issuer:?}, which does not fit AZURE_AUTHORITY_HOST {} and AZURE_TENANT_ID {}",
            settings.authority, settings.tenant
        )),
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Credentials, EmailClaim};

    const GUID: &str = "11111111-2222-4333-8444-555555555555";

    fn understood(tenant: &str, issuer: &str, token_endpoint: &str) -> Result<Provider, String> {
        let settings = EntraSettings {
            authority: "https://login.example".to_owned(),
            tenant: tenant.to_owned(),
            client_id: None,
            credentials: Credentials::of_secret(""),
            email_claim: EmailClaim::Email,
            allow_guests: false,
        };
        let document = serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": "https://login.example/a",
            "token_endpoint": token_endpoint,
            "jwks_uri": "https://login.example/k",
        });
        understand(serde_json::from_value(document).unwrap(), &settings)
    }

    #[test]
    fn the_issuer_must_be_the_configured_tenants() {
        let issuer = format!("https://login.example/{GUID}/v2.0");
        let endpoint = "https://login.example/t";
        assert_eq!(understood(GUID, &issuer, endpoint).unwrap().tenant_id, GUID);
        assert_eq!(
            understood("contoso.example", &issuer, endpoint)
                .unwrap()
                .tenant_id,
            GUID
        );
        for wrong in [
            format!("https://evil.example/{GUID}/v2.0"),
            format!("https://login.example.evil/{GUID}/v2.0"),
            format!("https://login.example/{GUID}/v2.0/"),
            "https://login.example/99999999-2222-4333-8444-555555555555/v2.0".to_owned(),
            "https://login.example/{tenantid}/v2.0".to_owned(),
        ] {
            assert!(understood(GUID, &wrong, endpoint).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_without_tls_is_refused() {
        let issuer = format!("https://login.example/{GUID}/v2.0");
        assert!(understood(GUID, &issuer, "http://login.example/t").is_err());
    }
}
