//! `GET …/.well-known/openid-configuration` and `…/keys`: what clients read before they believe
//! anything. No secrets here.

use std::time::{Duration, SystemTime};

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, http::header};
use serde_json::{Value, json};

use super::faults::Endpoint;
use super::state::{State, check_tenant};

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub async fn discovery(state: Data<State>, tenant: Path<String>) -> HttpResponse {
    if let Some(answer) = state.disturbed(Endpoint::Discovery).await {
        return answer;
    }
    if let Err(problem) = check_tenant(&tenant) {
        return problem.json();
    }
    let mut document = document(&state);
    for (name, value) in &state.lock().knobs.metadata {
        match (value, document.as_object_mut()) {
            (Some(value), Some(fields)) => fields.insert(name.clone(), value.clone()),
            (None, Some(fields)) => fields.remove(name),
            (_, None) => None,
        };
    }
    let mut answer = public(&document);
    let ahead = state.lock().knobs.clock_ahead;
    if let Some(date) = ahead.and_then(http_date) {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// What the clock shows to somebody who is so many seconds ahead of it.
fn http_date(ahead: i64) -> Option<header::HeaderValue> {
    let shift = Duration::from_secs(ahead.unsigned_abs());
    let now = SystemTime::now();
    let shown = match ahead {
        0.. => now - shift,
        _ => now + shift,
    };
    let date = header::HttpDate::from(shown).to_string();
    header::HeaderValue::from_str(&date).ok()
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub async fn keys(state: Data<State>, tenant: Path<String>) -> HttpResponse {
    if let Some(answer) = state.disturbed(Endpoint::Keys).await {
        return answer;
    }
    if let Err(problem) = check_tenant(&tenant) {
        return problem.json();
    }
    let inner = state.lock();
    if inner.knobs.empty_keys {
        return public(&json!({ "keys": [] }));
    }
    let mut document = inner.keys.document(&state.issuer());
    if let Some(current) = document["keys"]
        .as_array_mut()
        .and_then(|keys| keys.last_mut())
    {
        for (name, value) in &inner.knobs.key_fields {
            current[name] = value.clone();
        }
    }
    public(&document)
}

fn public(document: &Value) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::CACHE_CONTROL, "max-age=86400, private"))
        .json(document)
}

fn document(state: &State) -> Value {
    json!({
        "issuer": state.issuer(),
        "authorization_endpoint": state.address("oauth2/v2.0/authorize"),
        "token_endpoint": state.address("oauth2/v2.0/token"),
        "jwks_uri": state.address("discovery/v2.0/keys"),
        "end_session_endpoint": state.address("oauth2/v2.0/logout"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email"],
        "code_challenge_methods_supported": ["S256"],
        "request_uri_parameter_supported": false,
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "nbf", "nonce", "ver", "tid", "oid", "sid", "acct", "idp", "name",
            "preferred_username", "upn", "email", "xms_edov", "login_hint",
        ],
        "tenant_region_scope": null,
        "cloud_instance_name": "localhost",
    })
}
