//! `/login`, `/callback`, `/logout`: the trip to Entra and back.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use oauth2::CsrfToken;
use serde::Deserialize;

use super::entra::{Entra, Identity, Refusal};
use super::flow::{Flows, Pending};
use super::session::{self, Ticket};
use super::{gate, return_to, store, user};
use crate::app::{State, finish};
use crate::audit::{Action, Actor, Event};
use crate::clock;
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::{Page, html, see_other};
use crate::reference::Reference;
use crate::settings::Mode;

/// Query of `/login`.
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    redirect_uri: Option<String>,
    account: Option<String>,
}

/// Query of `/callback`, whatever of it came.
#[derive(Debug, Default, Deserialize)]
pub struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// Query of `/logout/frontchannel`.
#[derive(Debug, Default, Deserialize)]
pub struct FrontchannelQuery {
    sid: Option<String>,
    iss: Option<String>,
}

/// `GET /login`: public. Always begins a sign-in, signed in or not.
///
/// # Errors
/// 429, or 503 when signing in is not set up or Entra is away.
pub async fn login(
    req: HttpRequest,
    state: web::Data<State>,
    query: Option<web::Query<LoginQuery>>,
) -> AppResult<HttpResponse> {
    refuse_prefetch(&req)?;
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let target = return_to::local(query.redirect_uri.as_deref().unwrap_or("/"));
    if state.settings.mode != Mode::Entra {
        return Ok(see_other(&target));
    }
    state.limit_sign_ins(&req)?;
    let other_account = query.account.as_deref() == Some("other");
    begin(&state, state.flows(&req), target, other_account, false).await
}

/// `GET /callback`: public. Entra sends people back here.
///
/// # Errors
/// 400 when the sign-in is not known, 401 when it was refused, 503 without a database.
pub async fn callback(
    req: HttpRequest,
    state: web::Data<State>,
    query: Option<web::Query<CallbackQuery>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let mut flows = state.flows(&req);
    // The state is looked at before anything else: an answer that we did not ask for is not even read.
    let Some(pending) = query.state.as_deref().and_then(|state| flows.take(state)) else {
        return continue_or_start_again(&req).await;
    };
    let entra = state.entra()?;
    let signed_in = match answer(entra, query, &pending).await {
        Ok(identity) => sign_in(&req, &state, identity, &pending).await,
        Err(refusal) if refusal.already_redeemed => {
            return already_redeemed(&req, &state, refusal, pending, flows).await;
        }
        Err(refusal) => Err(refused(&req, &state, refusal, pending.target).await),
    };
    let mut response = signed_in.unwrap_or_else(HttpResponse::from_error);
    add_cookie(&mut response, &state, &flows);
    Ok(response)
}

/// `GET /logout`: public. Signs out, unless another site sent the visitor: then it asks first.
///
/// # Errors
/// 503 when the session could not be ended on the server.
pub async fn logout(
    req: HttpRequest,
    state: web::Data<State>,
    page: Page,
) -> AppResult<HttpResponse> {
    refuse_prefetch(&req)?;
    let from_elsewhere = req
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere {
        return html(&ConfirmSignOutPage { page });
    }
    sign_out(&req, &state).await
}

/// `POST /logout`: public, behind the origin check.
///
/// # Errors
/// As [`logout`].
pub async fn logout_now(req: HttpRequest, state: web::Data<State>) -> AppResult<HttpResponse> {
    sign_out(&req, &state).await
}

/// `GET /signed-out`: public. Says so, and signs nobody in again.
///
/// # Errors
/// None of its own.
pub async fn signed_out(page: Page) -> AppResult<HttpResponse> {
    html(&SignedOutPage { page })
}

/// `GET /logout/frontchannel`: public. Entra asks for it in a frame, where no cookie of ours arrives,
/// so the session is found by Entra's own `sid` (OpenID Connect Front-Channel Logout 1.0).
///
/// # Errors
/// 503 without a database.
pub async fn frontchannel(
    state: web::Data<State>,
    query: Option<web::Query<FrontchannelQuery>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let issuer_fits = match (&query.iss, &state.entra) {
        (None, _) => true,
        (Some(issuer), Some(entra)) => entra.is_issuer(issuer).await,
        (Some(_), None) => false,
    };
    if let (Some(sid), true) = (query.sid, issuer_fits) {
        let task_state = state.clone();
        finish(async move {
            let emails = task_state
                .db
                .transaction(async |conn: &mut Conn| store::end_by_sid(conn, &sid).await)
                .await?;
            for email in emails {
                task_state.people.forget(&email);
            }
            Ok(())
        })
        .await?;
    }
    // The one answer that may be framed, and only by Entra.
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            format!("default-src 'none'; frame-ancestors {}", state.authority()),
        ))
        .content_type("text/plain; charset=utf-8")
        .body("signed out"))
}

#[derive(Template)]
#[template(path = "auth/signed_out.html")]
struct SignedOutPage {
    page: Page,
}

#[derive(Template)]
#[template(path = "auth/confirm_sign_out.html")]
struct ConfirmSignOutPage {
    page: Page,
}

async fn begin(
    state: &State,
    mut flows: Flows,
    target: String,
    other_account: bool,
    restarted: bool,
) -> AppResult<HttpResponse> {
    let begun = state
        .entra()?
        .begin(other_account)
        .await
        .map_err(AppError::AuthorityAway)?;
    flows.add(Pending {
        state: begun.state,
        nonce: begun.nonce,
        code_verifier: begun.code_verifier,
        target,
        begun_at: clock::now() / clock::SECOND,
        restarted,
    });
    let mut response = see_other(begun.url.as_str());
    add_cookie(&mut response, state, &flows);
    Ok(response)
}

/// What Entra sent, made into an identity or a refusal.
async fn answer(
    entra: &Entra,
    query: CallbackQuery,
    pending: &Pending,
) -> Result<Identity, Refusal> {
    if let Some(issuer) = &query.iss
        && !entra.is_issuer(issuer).await
    {
        return Err(Refusal::wrong_issuer());
    }
    if let Some(error) = &query.error {
        let description = query.error_description.as_deref().unwrap_or("");
        return Err(Refusal::from_redirect(error, description));
    }
    let code = query.code.filter(|code| !code.is_empty()).ok_or_else(|| {
        Refusal::garbage("the callback carries neither code nor error".to_owned())
    })?;
    entra
        .redeem(code, pending.code_verifier.clone(), &pending.nonce)
        .await
}

async fn sign_in(
    req: &HttpRequest,
    state: &web::Data<State>,
    identity: Identity,
    pending: &Pending,
) -> AppResult<HttpResponse> {
    let now = clock::now();
    let ticket = Ticket {
        id: CsrfToken::new_random().into_secret(),
        email: identity.email.clone(),
        started_at: now,
        seen_at: now,
    };
    let actor = Actor::person(
        &identity.email,
        user::address(req),
        Reference::of(req).map(|reference| reference.to_string()),
    );
    let replaced = session::ticket(req, &state.settings.session);
    let (task_state, row) = (state.clone(), ticket.clone());
    finish(async move {
        task_state
            .db
            .transaction(async |conn: &mut Conn| {
                if let Some(old) = &replaced {
                    store::end(conn, &actor, &old.id, &old.email).await?;
                }
                store::begin(conn, &actor, &row, &identity).await
            })
            .await?;
        if let Some(old) = &replaced {
            task_state.people.forget(&old.email);
        }
        Ok(())
    })
    .await?;
    state
        .metrics
        .sign_ins
        .with_label_values(&["signed_in"])
        .inc();
    session::begin(req, &ticket).map_err(|error| AppError::Internal(error.to_string()))?;
    Ok(see_other(&pending.target))
}

/// 54005: a repeated callback. Whoever is signed in goes on; whoever is not gets one new try, then a page.
async fn already_redeemed(
    req: &HttpRequest,
    state: &web::Data<State>,
    refusal: Refusal,
    pending: Pending,
    flows: Flows,
) -> AppResult<HttpResponse> {
    let signed_in = gate::identify(req).await?;
    if signed_in.is_none() && !pending.restarted {
        session::end(req);
        return begin(state, Flows::default(), pending.target, false, true).await;
    }
    let mut response = match signed_in {
        Some(_) => see_other(&pending.target),
        None => HttpResponse::from_error(refused(req, state, refusal, pending.target).await),
    };
    add_cookie(&mut response, state, &flows);
    Ok(response)
}

/// Writes the refusal down and makes the page's error of it.
async fn refused(
    req: &HttpRequest,
    state: &web::Data<State>,
    refusal: Refusal,
    target: String,
) -> AppError {
    let reference = Reference::of(req).map(|reference| reference.to_string());
    let actor = Actor::unknown(user::address(req), reference);
    let outcome = state.metrics.sign_ins.with_label_values(&[refusal.reason]);
    outcome.inc();
    let event = Event::new(Action::SignInRefused, "", refusal.reason)
        .with("cause", refusal.cause.as_str())
        .with("correlation_id", refusal.correlation_id.clone());
    state.audit.tell(actor, event).await;
    AppError::SignInRefused(Box::new(refusal), target)
}

async fn continue_or_start_again(req: &HttpRequest) -> AppResult<HttpResponse> {
    match gate::identify(req).await? {
        Some(_) => Ok(see_other("/")),
        None => Err(AppError::SignInLost),
    }
}

async fn sign_out(req: &HttpRequest, state: &web::Data<State>) -> AppResult<HttpResponse> {
    let ticket = session::ticket(req, &state.settings.session);
    // The cookie goes first: whatever happens to the database, this browser is signed out.
    session::end(req);
    let Some(ticket) = ticket else {
        return Ok(see_other("/signed-out"));
    };
    let reference = Reference::of(req).map(|reference| reference.to_string());
    let actor = Actor::person(&ticket.email, user::address(req), reference);
    let task_state = state.clone();
    let hint = finish(async move {
        let hint = task_state
            .db
            .transaction(async |conn: &mut Conn| {
                store::end(conn, &actor, &ticket.id, &ticket.email).await
            })
            .await?;
        task_state.people.forget(&ticket.email);
        Ok(hint)
    })
    .await?;
    let here = format!("{}/signed-out", state.settings.web.origin);
    let there = match &state.entra {
        Some(entra) => entra.sign_out_url(hint.as_deref(), &here).await,
        None => None,
    };
    Ok(match there {
        Some(url) => see_other(url.as_str()),
        None => see_other("/signed-out"),
    })
}

fn add_cookie(response: &mut HttpResponse, state: &State, flows: &Flows) {
    if let Err(error) = response.add_cookie(&state.flow_cookie(flows)) {
        log::error!("the sign-in cookie could not be set: {error}");
    }
}

/// A browser that loads ahead must neither begin a sign-in nor sign out; it asks again when the person clicks.
fn refuse_prefetch(req: &HttpRequest) -> AppResult<()> {
    let purpose = req
        .headers()
        .get("sec-purpose")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    match purpose.contains("prefetch") {
        true => Err(AppError::Prefetch),
        false => Ok(()),
    }
}
