//! `/callback`: what Entra sends back becomes a session, a refusal, or a new try.

use actix_web::{HttpRequest, HttpResponse, web};
use oauth2::CsrfToken;
use serde::Deserialize;

use super::{add_cookie, begin};
use crate::app::{State, finish};
use crate::audit::{Action, Event};
use crate::auth::entra::{Entra, Identity, Refusal};
use crate::auth::flow::{Flows, Pending};
use crate::auth::session::{self, Ticket};
use crate::auth::store::Owner;
use crate::auth::{gate, store, user};
use crate::clock;
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::see_other;

/// Query of `/callback`, whatever of it came.
#[derive(Default, Deserialize)]
pub struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
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
        return continue_or_start_again(&req, &state, query.state.as_deref()).await;
    };
    if !state.may_attempt(&pending.state).await {
        return continue_or_start_again(&req, &state, Some(&pending.state)).await;
    }
    let entra = state.entra()?;
    let signed_in = match answer(entra, query, &pending).await {
        Ok(identity) => sign_in(&req, &state, identity, &pending).await,
        Err(refusal) if refusal.already_redeemed => {
            return already_redeemed(&req, &state, refusal, pending, flows).await;
        }
        Err(refusal) => Err(refused(&req, &state, refusal, None, pending.target).await),
    };
    let mut response = signed_in.unwrap_or_else(HttpResponse::from_error);
    add_cookie(&mut response, &state.flow_cookie(&flows));
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
    let actor = user::actor(req, &identity.email);
    let replaced = session::ticket(req, &state.settings.session);
    let (task_state, row) = (state.clone(), ticket.clone());
    let (place, claimed) = (user::place(req), Claimed::of(&identity));
    let begun = finish(async move {
        let begun = task_state
            .db
            .transaction(async |conn: &mut Conn| {
                if let Some(old) = &replaced {
                    let owner = Owner::whoever(&old.email);
                    store::end(conn, &actor, &old.id, &owner).await?;
                }
                store::begin(conn, &actor, &row, &identity, &place).await
            })
            .await?;
        task_state.people.forget(&identity.email);
        if let Some(old) = &replaced {
            task_state.people.forget(&old.email);
        }
        Ok(begun)
    })
    .await?;
    if !begun {
        session::end(req);
        let refusal = Refusal::other_account(&claimed.email);
        return Err(refused(req, state, refusal, Some(claimed), pending.target.clone()).await);
    }
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
        return begin(req, state, Flows::default(), pending.target, false, true).await;
    }
    let mut response = match signed_in {
        Some(_) => see_other(&pending.target),
        None => HttpResponse::from_error(refused(req, state, refusal, None, pending.target).await),
    };
    add_cookie(&mut response, &state.flow_cookie(&flows));
    Ok(response)
}

/// The address that an account came under without owning it, so that admins find the refusal by it.
struct Claimed {
    email: String,
    oid: String,
}

impl Claimed {
    fn of(identity: &Identity) -> Self {
        Self {
            email: identity.email.clone(),
            oid: identity.oid.clone(),
        }
    }
}

/// Writes the refusal down and makes the page's error of it.
async fn refused(
    req: &HttpRequest,
    state: &web::Data<State>,
    refusal: Refusal,
    claimed: Option<Claimed>,
    target: String,
) -> AppError {
    // Nobody's name: who it would have been is not established.
    let actor = user::actor(req, "");
    let outcome = state.metrics.sign_ins.with_label_values(&[refusal.reason]);
    outcome.inc();
    let (subject, oid) = claimed.map(|who| (who.email, who.oid)).unzip();
    let subject = subject.unwrap_or_default();
    let mut event = Event::new(Action::SignInRefused, &subject, refusal.reason)
        .with("cause", refusal.cause.as_str())
        .with("correlation_id", refusal.correlation_id.clone());
    if let Some(oid) = oid {
        event = event.with("oid", oid);
    }
    state.audit.tell(actor, event).await;
    AppError::SignInRefused(Box::new(refusal), target)
}

/// A state that is unknown, used or too old: whoever is signed in goes on, everybody else may start again.
async fn continue_or_start_again(
    req: &HttpRequest,
    state: &State,
    callback_state: Option<&str>,
) -> AppResult<HttpResponse> {
    let recent = state.recent(req);
    let target = callback_state.and_then(|state| recent.target(state));
    let target = target.unwrap_or("/");
    match gate::identify(req).await? {
        Some(_) => Ok(see_other(target)),
        None => Err(AppError::SignInLost(target.to_owned())),
    }
}
