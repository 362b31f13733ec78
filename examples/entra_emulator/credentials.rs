//! How the application proves itself at the token endpoint: a secret in the form, a secret by Basic, or
//! a signed assertion. Apart because every grant needs it before anything else.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::encoding::{fields, from_base64, now};
use super::errors::Problem;
use super::state::{CLIENT_ID, Certificate, Form, Inner};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an assertion must say.
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: Option<u64>,
    jti: String,
}

/// Refuses a request that does not come from the registered application. `audiences` are the token
/// endpoint's addresses.
pub(super) fn check(
    inner: &mut Inner,
    form: &Form,
    authorization: Option<&str>,
    audiences: &[String],
) -> Result<(), Problem> {
    let basic = authorization.map(basic).transpose()?;
    let field = |name: &str| form.get(name).cloned();
    let client = field("client_id").or_else(|| basic.as_ref().map(|(id, _)| id.clone()));
    let client = client.ok_or_else(|| Problem::missing("client_id"))?;
    if !client.eq_ignore_ascii_case(CLIENT_ID) {
        return Err(Problem::unknown_client(&client));
    }
    if let Some(assertion) = field("client_assertion") {
        if field("client_assertion_type").as_deref() != Some(ASSERTION_TYPE) {
            return Err(Problem::no_credential());
        }
        // A token of another issuer that the registration trusts; who made it is not looked at here.
        if inner.federated.contains(&assertion) {
            return Ok(());
        }
        return check_assertion(inner, &assertion, audiences);
    }
    let secret = field("client_secret").or_else(|| basic.map(|(_, secret)| secret));
    let secret = secret
        .filter(|secret| !secret.is_empty())
        .ok_or_else(Problem::no_credential)?;
    if secret != inner.secret {
        return Err(Problem::wrong_secret());
    }
    Ok(())
}

/// Name and secret of a Basic header; both are URL-encoded inside it (RFC 6749, 2.3.1).
fn basic(header: &str) -> Result<(String, String), Problem> {
    let malformed = || {
        Problem::new(
            "invalid_request",
            900_144,
            "The Authorization header is malformed.",
        )
    };
    let (scheme, encoded) = header.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let bytes = from_base64(encoded.trim()).ok_or_else(malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    Ok((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("v={}", text.replace('&', "%26"));
    fields(pair.as_bytes()).remove("v").unwrap_or_default()
}

fn check_assertion(
    inner: &mut Inner,
    assertion: &str,
    audiences: &[String],
) -> Result<(), Problem> {
    let (certificate, algorithm, thumbprint) = certificate(inner, assertion)?;
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = false;
    rules.validate_aud = false;
    let read = decode::<Assertion>(assertion, &certificate.key, &rules);
    let claims = read
        .map_err(|error| {
            let reason = format!("The signature or a claim is not acceptable: {error}.");
            Problem::unknown_certificate(&reason, &thumbprint)
        })?
        .claims;
    check_claims(&claims, audiences)?;
    if !inner.used_assertions.insert(claims.jti) {
        let reason = "The assertion was used before: its jti is known.";
        return Err(Problem::unknown_certificate(reason, &thumbprint));
    }
    Ok(())
}

fn check_claims(claims: &Assertion, audiences: &[String]) -> Result<(), Problem> {
    if claims.iss != CLIENT_ID || claims.sub != CLIENT_ID {
        let text = "Client assertion application identifier doesn't match 'client_id' parameter.";
        return Err(Problem::new("invalid_client", 700_021, text));
    }
    if !audiences.contains(&claims.aud) {
        let text = format!(
            "Client assertion audience claim does not match Realm issuer: '{}'.",
            claims.aud
        );
        return Err(Problem::new("invalid_client", 700_023, text));
    }
    let now = now();
    if claims.exp <= now || claims.nbf.is_some_and(|from| from > now + 300) {
        let text = format!(
            "Client assertion is not within its valid time range. Current time: {now}, expiry: {}.",
            claims.exp
        );
        return Err(Problem::new("invalid_client", 700_024, text));
    }
    Ok(())
}

/// The registered certificate that the header names, and the one algorithm that goes with the way of
/// naming it.
fn certificate<'a>(
    inner: &'a Inner,
    assertion: &str,
) -> Result<(&'a Certificate, Algorithm, String), Problem> {
    let malformed = |reason: String| {
        Problem::new(
            "invalid_client",
            50_027,
            format!("Invalid JWT token. {reason}"),
        )
    };
    let header = decode_header(assertion)
        .map_err(|error| malformed(format!("The header is unreadable: {error}.")))?;
    let (found, wanted, named) = match (header.x5t_s256, header.x5t) {
        (Some(named), _) => (
            inner
                .certificates
                .iter()
                .find(|known| known.x5t_s256 == named),
            Algorithm::PS256,
            named,
        ),
        (None, Some(named)) => (
            inner.certificates.iter().find(|known| known.x5t == named),
            Algorithm::RS256,
            named,
        ),
        (None, None) => {
            return Err(malformed(
                "No certificate thumbprint specified in token header.".to_owned(),
            ));
        }
    };
    let certificate =
        found.ok_or_else(|| Problem::unknown_certificate("The key was not found.", &named))?;
    if header.alg != wanted {
        return Err(malformed(format!(
            "'{:?}' is not the algorithm that goes with this thumbprint.",
            header.alg
        )));
    }
    Ok((certificate, wanted, named))
}
