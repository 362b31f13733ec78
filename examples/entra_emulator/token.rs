//! `POST /{tenant}/oauth2/v2.0/token`: a code, or the application's own word, becomes tokens.
//! Apart because here the portal's server is talked to, never a browser.

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::credentials;
use super::encoding::{base64url, fields};
use super::errors::Problem;
use super::faults::Endpoint;
use super::state::{CLIENT_ID, Form, Inner, State, TokenRequest, check_tenant};
use super::tokens;

const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// `POST`: tokens, or the reason why not.
pub async fn redeem(
    state: Data<State>,
    tenant: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let text = |name| {
        request
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    let seen = TokenRequest {
        form: fields(&body),
        authorization: text(header::AUTHORIZATION),
        origin: text(header::ORIGIN),
    };
    state.lock().last_token_request = Some(seen.clone());
    if let Some(answer) = state.disturbed(Endpoint::Token).await {
        return answer;
    }
    match answer(&state, &tenant, &seen) {
        Ok(tokens) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store, no-cache"))
            .insert_header((header::PRAGMA, "no-cache"))
            .json(tokens),
        Err(problem) => problem.json(),
    }
}

/// Any other method: what a browser's address bar or back button sends.
pub async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let text = format!(
        "The endpoint only accepts POST requests. Received a {} request.",
        request.method()
    );
    Problem::new("invalid_request", 900_561, text).json()
}

fn answer(state: &State, tenant: &str, request: &TokenRequest) -> Result<Value, Problem> {
    check_tenant(tenant)?;
    if let Some(origin) = &request.origin {
        let text = format!(
            "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request \
             origin: '{origin}'."
        );
        return Err(Problem::new("invalid_request", 9_002_326, text));
    }
    let form = &request.form;
    let grant = form
        .get("grant_type")
        .ok_or_else(|| Problem::missing("grant_type"))?;
    let audiences = [
        state.address("oauth2/v2.0/token"),
        format!("{}/{tenant}/oauth2/v2.0/token", state.origin),
    ];
    let inner = &mut *state.lock();
    match grant.as_str() {
        "authorization_code" | "client_credentials" => {}
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return Err(Problem::new("unsupported_grant_type", 70_003, text));
        }
    }
    credentials::check(inner, form, request.authorization.as_deref(), &audiences)?;
    match grant.as_str() {
        "authorization_code" => for_code(inner, &state.issuer(), form),
        _ => for_application(inner, &state.issuer(), form),
    }
}

/// A code is good once, for the address and the verifier that it was made with.
fn for_code(inner: &mut Inner, issuer: &str, form: &Form) -> Result<Value, Problem> {
    let code = form.get("code").ok_or_else(|| Problem::missing("code"))?;
    let redirect_uri = form
        .get("redirect_uri")
        .ok_or_else(|| Problem::missing("redirect_uri"))?;
    let grant = inner.codes.get_mut(code).ok_or_else(|| {
        Problem::new(
            "invalid_grant",
            70_000,
            "The provided value for the 'code' parameter is not valid.",
        )
    })?;
    grant.check_fresh()?;
    if *redirect_uri != grant.redirect_uri {
        let text = format!(
            "The reply address '{redirect_uri}' does not match the reply address '{}' provided when requesting \
             Authorization code.",
            grant.redirect_uri
        );
        return Err(Problem::new("invalid_grant", 500_112, text));
    }
    let verifier = form
        .get("code_verifier")
        .map(String::as_str)
        .unwrap_or_default();
    if base64url(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()) != grant.challenge {
        let text = "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
        return Err(Problem::new("invalid_grant", 501_481, text));
    }
    grant.redeem();
    Ok(tokens_for(inner, issuer, code))
}

fn tokens_for(inner: &mut Inner, issuer: &str, code: &str) -> Value {
    let Some(grant) = inner.codes.get(code) else {
        return Value::Null;
    };
    let mut answer = json!({
        "token_type": "Bearer",
        "scope": grant.scope,
        "expires_in": 4_199,
        "ext_expires_in": 4_199,
        "access_token": tokens::access_token(inner, issuer, GRAPH, &grant.account.oid),
    });
    let id_token = tokens::id_token(inner, issuer, grant);
    if !inner.knobs.omit_id_token {
        answer["id_token"] = json!(id_token);
    }
    inner.last_id_token = Some(id_token);
    answer
}

/// Client credentials: the cheapest way to try whether a secret or a certificate is good.
fn for_application(inner: &Inner, issuer: &str, form: &Form) -> Result<Value, Problem> {
    let scope = form.get("scope").ok_or_else(|| Problem::missing("scope"))?;
    let resource = scope.strip_suffix("/.default").ok_or_else(|| {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        );
        Problem::new("invalid_scope", 1_002_012, text)
    })?;
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": 3_599,
        "ext_expires_in": 3_599,
        "access_token": tokens::access_token(inner, issuer, resource, CLIENT_ID),
    }))
}
