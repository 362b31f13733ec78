//! `/{tenant}/oauth2/v2.0/authorize`: checks the request, finds out who is there, and sends the browser
//! back with a code. Apart because here a browser is talked to, elsewhere the portal's server.

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::accounts::Account;
use super::encoding::{base64url, fields, guid, random};
use super::errors::Problem;
use super::faults::Endpoint;
use super::pages;
use super::state::{CLIENT_ID, Form, Grant, Inner, Session, State, check_tenant};

/// The emulator's own session cookie. Cookies do not know ports, so the name must not be the portal's.
pub const COOKIE: &str = "entra_emulator_session";
/// The parameter that answers the picker: a sign-in name, or `cancel`.
pub const PICKED: &str = "emulator_account";

/// What comes of a request that is in order.
enum Decision {
    SignIn(Account),
    Ask,
    Refuse(Problem),
}

/// `GET`: a browser that comes to sign in.
pub async fn arrive(
    state: Data<State>,
    tenant: Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    if let Some(answer) = state.disturbed(Endpoint::Authorize).await {
        return answer;
    }
    let asked = fields(request.query_string().as_bytes());
    answer(&state, &tenant, &request, &asked).unwrap_or_else(|problem| problem.page())
}

/// `POST`: the same request again, with the picker's answer in it.
pub async fn pick(
    state: Data<State>,
    tenant: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    answer(&state, &tenant, &request, &fields(&body)).unwrap_or_else(|problem| problem.page())
}

/// An `Err` is shown as a page: it means that the redirect URI cannot be trusted.
fn answer(
    state: &State,
    tenant: &str,
    request: &HttpRequest,
    asked: &Form,
) -> Result<HttpResponse, Problem> {
    check_tenant(tenant)?;
    let mut inner = state.lock();
    let target = target(&inner, asked)?;
    let cookie = request
        .cookie(COOKIE)
        .map(|cookie| cookie.value().to_owned())
        .unwrap_or_default();
    let session = inner.sessions.get(&cookie).cloned();
    let decision = match check(asked) {
        Ok(()) => decide(&inner, asked, session.as_ref()),
        Err(problem) => Decision::Refuse(problem),
    };
    Ok(match decision {
        Decision::Ask => pages::send(StatusCode::OK, pages::picker(asked, &inner.people)),
        Decision::Refuse(problem) => send_back(&target, asked, &refusal(&problem), None),
        Decision::SignIn(account) => {
            let (cookie, session) = remember(&mut inner, &account, cookie, session);
            log::info!("signed in as {}", account.username);
            let grant = Grant::new(account, session.sid.clone(), asked);
            let code = format!("1.{}", base64url(&random::<96>()));
            inner.codes.insert(code.clone(), grant);
            let found = [("code", code), ("session_state", session.sid)];
            send_back(&target, asked, &found, Some(cookie))
        }
    })
}

/// The address to go back to, if application and address are the registered ones.
fn target(inner: &Inner, asked: &Form) -> Result<Url, Problem> {
    let client = asked
        .get("client_id")
        .ok_or_else(|| Problem::missing("client_id"))?;
    if !client.eq_ignore_ascii_case(CLIENT_ID) {
        return Err(Problem::unknown_client(client));
    }
    let uri = asked
        .get("redirect_uri")
        .ok_or_else(|| Problem::missing("redirect_uri"))?;
    if !inner.redirect_uris.contains(uri) {
        return Err(Problem::unknown_redirect(uri));
    }
    Url::parse(uri).map_err(|_| Problem::unknown_redirect(uri))
}

/// What is wrong with a request whose sender may be told by redirect.
fn check(asked: &Form) -> Result<(), Problem> {
    let field = |name: &str| {
        asked
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Problem::missing(name))
    };
    let kind = field("response_type")?;
    if kind != "code" {
        let text = format!(
            "The provided value for the input parameter 'response_type' is not enabled for the application: '{kind}'."
        );
        return Err(Problem::new("unsupported_response_type", 700_054, text));
    }
    let scope = field("scope")?;
    if !scope.split(' ').any(|asked| asked == "openid") {
        let text = format!(
            "The provided value for the input parameter 'scope' is not valid: '{scope}' lacks 'openid'."
        );
        return Err(Problem::new("invalid_scope", 70_011, text));
    }
    let mode = asked.get("response_mode").map_or("query", String::as_str);
    if !["query", "fragment", "form_post"].contains(&mode) {
        let text = "The provided value for the input parameter 'response_mode' is not valid.";
        return Err(Problem::new("invalid_request", 90_023, text));
    }
    check_challenge(
        field("code_challenge")?,
        asked.get("code_challenge_method").map(String::as_str),
    )
}

fn check_challenge(challenge: &str, method: Option<&str>) -> Result<(), Problem> {
    if method != Some("S256") {
        let text = "The parameter 'code_challenge_method' must be 'S256'.";
        return Err(Problem::new("invalid_request", 90_023, text));
    }
    if challenge.len() != 43 {
        let text = "Invalid size of Code_Challenge parameter.";
        return Err(Problem::new("invalid_request", 501_491, text));
    }
    Ok(())
}

/// Who signs in, if that can be known without asking.
fn decide(inner: &Inner, asked: &Form, session: Option<&Session>) -> Decision {
    let hint = asked.get("login_hint").map(String::as_str);
    if let Some(picked) = asked.get(PICKED) {
        return picked_account(inner, picked);
    }
    if let Some(usual) = &inner.auto_pick {
        let person = hint.and_then(|hint| inner.person(hint));
        return person.map_or_else(|| picked_account(inner, usual), Decision::SignIn);
    }
    let here = session.and_then(|session| inner.person(&session.username));
    let here = here.filter(|account| hint.is_none_or(|hint| account.answers_to(hint)));
    match (asked.get("prompt").map(String::as_str), here) {
        (Some("select_account" | "login"), _) => Decision::Ask,
        (None | Some("none" | "consent"), Some(account)) => Decision::SignIn(account),
        (None | Some("consent"), None) => Decision::Ask,
        (Some("none"), None) => {
            let text = "A silent sign-in request was sent but no user is signed in.";
            Decision::Refuse(Problem::new("login_required", 50_058, text))
        }
        (Some(other), _) => {
            let text = format!("Unsupported 'prompt' value '{other}'.");
            Decision::Refuse(Problem::new("invalid_request", 90_023, text))
        }
    }
}

fn picked_account(inner: &Inner, picked: &str) -> Decision {
    if picked == "cancel" {
        let text = "User declined to consent to access the app.";
        return Decision::Refuse(Problem::new("access_denied", 65_004, text));
    }
    if let Some(account) = inner.person(picked) {
        return Decision::SignIn(account);
    }
    let text = format!("The user account '{picked}' does not exist in the Contoso directory.");
    Decision::Refuse(Problem::new("access_denied", 50_034, text))
}

/// Keeps the browser's session where the person is the same, and starts a new one otherwise.
fn remember(
    inner: &mut Inner,
    account: &Account,
    cookie: String,
    session: Option<Session>,
) -> (String, Session) {
    if let Some(session) = session {
        if session.username == account.username {
            return (cookie, session);
        }
        inner.sessions.remove(&cookie);
    }
    let cookie = base64url(&random::<32>());
    let session = Session {
        username: account.username.clone(),
        sid: guid(),
    };
    inner.sessions.insert(cookie.clone(), session.clone());
    (cookie, session)
}

fn refusal(problem: &Problem) -> [(&'static str, String); 2] {
    [
        ("error", problem.error().to_owned()),
        ("error_description", problem.description()),
    ]
}

/// The way back in the asked-for response mode, with the state that came along.
fn send_back(
    target: &Url,
    asked: &Form,
    found: &[(&str, String)],
    cookie: Option<String>,
) -> HttpResponse {
    let mut told = found.to_vec();
    told.extend(asked.get("state").map(|state| ("state", state.clone())));
    let mut to = target.clone();
    let mut response = match asked.get("response_mode").map(String::as_str) {
        Some("form_post") => pages::send(StatusCode::OK, pages::form_post(target.as_str(), &told)),
        Some("fragment") => {
            let encoded = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&told)
                .finish();
            to.set_fragment(Some(&encoded));
            pages::redirect(to.as_str())
        }
        _ => {
            to.query_pairs_mut().extend_pairs(&told);
            pages::redirect(to.as_str())
        }
    };
    if let Some(value) = cookie {
        let cookie = Cookie::build(COOKIE, value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .finish();
        if let Ok(value) = cookie.to_string().parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
