//! Validates an ID token whole (OpenID Connect Core 1.0, section 3.1.3.7; Entra: "ID token claims reference").

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use oauth2::TokenResponse as _;
use serde_json::{Map, Value};

use super::Entra;
use super::discovery::Provider;
use super::refusal::Refusal;
use super::response::TokenResponse;
use crate::clock;
use crate::settings::{EmailClaim, EntraSettings};

/// How far Entra's clock and ours may differ, in seconds.
const TOLERANCE: u64 = 300;
const LONGEST_EMAIL: usize = 254;
const LONGEST_TEXT: usize = 256;

type Claims = Map<String, Value>;

/// Who signed in, as a valid ID token tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Lower-case address from the claim that `EMAIL_CLAIM` names.
    pub email: String,
    /// Display name.
    pub name: Option<String>,
    /// The tenant.
    pub tid: String,
    /// The account; never re-used within the tenant.
    pub oid: String,
    /// Entra's session, for front-channel logout.
    pub sid: Option<String>,
    /// What to hand back as `logout_hint`.
    pub logout_hint: Option<String>,
}

/// Checks signature and claims. Makes at most one request: for keys, when the token names an unknown one.
pub async fn validate(
    entra: &Entra,
    provider: &Provider,
    answer: &TokenResponse,
    nonce: &str,
) -> Result<Identity, Refusal> {
    let token = answer
        .extra_fields()
        .id_token
        .as_deref()
        .ok_or_else(|| Refusal::invalid("the token response holds no id_token"))?;
    let header = jsonwebtoken::decode_header(token)
        .map_err(|error| Refusal::invalid(format!("its header is unreadable: {error}")))?;
    check_header(&header)?;
    let claims = verified_claims(entra, provider, token, &header).await?;
    check_claims(&claims, &entra.client_id, &provider.tenant_id, nonce)?;
    check_access_token_hash(&claims, answer.access_token().secret())?;
    identify(&claims, &entra.settings, provider)
}

/// The algorithm is ours to choose, never the token's; and an extension that must be understood is not.
pub(super) fn check_header(header: &Header) -> Result<(), Refusal> {
    if header.alg != Algorithm::RS256 {
        return Err(Refusal::invalid(format!(
            "it is signed with {:?}",
            header.alg
        )));
    }
    if header.crit.is_some() {
        return Err(Refusal::invalid(
            "its header has crit, which nothing here understands",
        ));
    }
    Ok(())
}

async fn verified_claims(
    entra: &Entra,
    provider: &Provider,
    token: &str,
    header: &Header,
) -> Result<Claims, Refusal> {
    let kid = header.kid.as_deref();
    let mut keys = entra.keys().await.map_err(Refusal::unreachable)?;
    if kid.is_some() && keys.find(kid).is_none() {
        keys = entra.newer_keys().await.map_err(Refusal::unreachable)?;
    }
    let key = keys.find(kid).ok_or_else(|| {
        Refusal::invalid("it is signed with a key that the tenant does not publish")
    })?;

    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = TOLERANCE;
    validation.validate_nbf = true;
    validation.set_issuer(&[&provider.issuer]);
    validation.set_audience(&[&entra.client_id]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map_err(|error| Refusal::invalid(describe(&error)))?;
    Ok(decoded.claims)
}

fn describe(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => {
            "it has expired; is the clock of this machine right?".to_owned()
        }
        ErrorKind::ImmatureSignature => {
            "it is not valid yet; is the clock of this machine right?".to_owned()
        }
        ErrorKind::InvalidIssuer => "its iss is not the tenant's issuer".to_owned(),
        ErrorKind::InvalidAudience => "its aud is another application".to_owned(),
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        _ => error.to_string(),
    }
}

/// What jsonwebtoken leaves to its caller.
pub(super) fn check_claims(
    claims: &Claims,
    client_id: &str,
    tenant_id: &str,
    nonce: &str,
) -> Result<(), Refusal> {
    let ours_alone = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(audiences)) => {
            matches!(audiences.as_slice(), [only] if only == client_id)
        }
        _ => false,
    };
    if !ours_alone {
        return Err(Refusal::invalid("its aud is not this application alone"));
    }
    if claims.get("azp").is_some_and(|azp| azp != client_id) {
        return Err(Refusal::invalid("its azp is another application"));
    }
    if claims.get("tid").is_none_or(|tid| tid != tenant_id) {
        return Err(Refusal::invalid("its tid is another tenant"));
    }
    if claims.get("nonce").is_none_or(|value| value != nonce) {
        return Err(Refusal::invalid("its nonce is not the one that was sent"));
    }
    let latest = clock::now() / clock::SECOND + i64::try_from(TOLERANCE).unwrap_or(0);
    match claims.get("iat").and_then(Value::as_i64) {
        Some(issued_at) if issued_at <= latest => {}
        Some(_) => {
            return Err(Refusal::invalid(
                "its iat lies in the future; is the clock of this machine right?",
            ));
        }
        None => return Err(Refusal::invalid("its iat is missing or no number")),
    }
    required_text(claims, "sub")?;
    required_text(claims, "oid")?;
    Ok(())
}

/// OpenID Connect Core section 3.1.3.8: when `at_hash` is there, it must fit.
fn check_access_token_hash(claims: &Claims, access_token: &str) -> Result<(), Refusal> {
    let Some(hash) = claims.get("at_hash") else {
        return Ok(());
    };
    let whole = digest(&SHA256, access_token.as_bytes());
    let half = &whole.as_ref()[..16];
    if *hash == URL_SAFE_NO_PAD.encode(half) {
        Ok(())
    } else {
        Err(Refusal::invalid(
            "its at_hash does not fit the access token",
        ))
    }
}

pub(super) fn identify(
    claims: &Claims,
    settings: &EntraSettings,
    provider: &Provider,
) -> Result<Identity, Refusal> {
    if !settings.allow_guests && is_guest(claims, provider) {
        return Err(Refusal::guest());
    }
    Ok(Identity {
        email: email(claims, settings.email_claim)?,
        name: optional_text(claims, "name"),
        tid: required_text(claims, "tid")?,
        oid: required_text(claims, "oid")?,
        sid: optional_text(claims, "sid"),
        logout_hint: optional_text(claims, "login_hint"),
    })
}

/// A guest of the tenant, by any of the marks that Entra may give (`acct` and `idp` are optional claims).
fn is_guest(claims: &Claims, provider: &Provider) -> bool {
    // The form that tokens of version 1 name the tenant by.
    let older_issuer = format!("https://sts.windows.net/{}/", provider.tenant_id);
    let account = claims
        .get("acct")
        .is_some_and(|acct| acct == 1 || acct == "1");
    let foreign = claims
        .get("idp")
        .and_then(Value::as_str)
        .is_some_and(|idp| idp != provider.issuer && idp != older_issuer);
    let external = ["upn", "preferred_username"]
        .iter()
        .filter_map(|name| claims.get(*name)?.as_str())
        .any(|name| name.to_ascii_uppercase().contains("#EXT#"));
    account || foreign || external
}

fn email(claims: &Claims, claim: EmailClaim) -> Result<String, Refusal> {
    // `xms_edov` says whether the owner of the e-mail's domain is verified; it has been seen in all these forms.
    let unverified = claims.get("xms_edov").is_some_and(|verified| {
        verified == false || verified == 0 || verified == "0" || verified == "false"
    });
    if claim == EmailClaim::Email && unverified {
        return Err(Refusal::no_email(
            "xms_edov says that its domain is not verified",
            claim,
        ));
    }
    match claims.get(claim.name()) {
        Some(Value::String(text)) if is_plain_address(text) => Ok(text.to_ascii_lowercase()),
        Some(_) => Err(Refusal::no_email("it is not a plain address", claim)),
        None => Err(Refusal::no_email("it is missing", claim)),
    }
}

/// One `@` with something on both sides, printable ASCII, no spaces: nothing that could look like another address.
pub fn is_plain_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('@').collect();
    text.len() <= LONGEST_EMAIL
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && matches!(parts.as_slice(), [local, domain] if !local.is_empty() && !domain.is_empty())
}

/// Entra's own identifiers: visible ASCII of a sensible length, so that no two of them look alike.
fn required_text(claims: &Claims, name: &str) -> Result<String, Refusal> {
    let text = claims.get(name).and_then(Value::as_str).unwrap_or("");
    let usable = !text.is_empty()
        && text.len() <= LONGEST_TEXT
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    match usable {
        true => Ok(text.to_owned()),
        false => Err(Refusal::invalid(format!(
            "its {name} is missing or unusable"
        ))),
    }
}

/// For display and for handing back; one that is no short line of text is left out.
fn optional_text(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?.trim();
    let usable =
        !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control);
    usable.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_name_a_person() {
        for good in ["ada@x.example", "A.B+c@X.EXAMPLE", "o'neil@x"] {
            assert!(is_plain_address(good), "{good}");
        }
        let long = format!("{}@x.example", "a".repeat(250));
        for wrong in [
            "",
            "@",
            "ada",
            "ada@",
            "@x",
            "a@b@c",
            "ada @x",
            "ada@x\n",
            "аda@x.example",
            "ada@ｘ",
            &long,
        ] {
            assert!(!is_plain_address(wrong), "{wrong:?}");
        }
    }
}
