//! `/logout`: ends the session here, on the server, and at Entra.

use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::refuse_prefetch;
use crate::app::{State, finish};
use crate::audit::Actor;
use crate::auth::session::Ticket;
use crate::auth::store::Owner;
use crate::auth::{session, store, user};
use crate::db::{Conn, DbError, DbResult};
use crate::error::{AppError, AppResult};
use crate::message::{Action, Message};
use crate::page::see_other;
use crate::settings::Mode;

const TRY_EVERY: Duration = Duration::from_secs(1);

/// Query of `/logout/frontchannel`.
#[derive(Debug, Default, Deserialize)]
pub struct FrontchannelQuery {
    sid: Option<String>,
    iss: Option<String>,
}

/// `GET /logout`: public. Signs out, unless another site sent the visitor: then it asks first.
///
/// # Errors
/// 503 when the session could not be ended on the server.
pub async fn logout(req: HttpRequest, state: web::Data<State>) -> AppResult<HttpResponse> {
    refuse_prefetch(&req)?;
    let from_elsewhere = req
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere {
        return Ok(confirm(&req));
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
pub async fn signed_out(req: HttpRequest, state: web::Data<State>) -> AppResult<HttpResponse> {
    let is_real = state.settings.mode == Mode::Entra;
    let message = Message {
        status: 200,
        heading: "You are signed out".into(),
        sentence: "The gate is down, and nothing in this portal opens in this browser until somebody signs in again."
            .into(),
        note: (!is_real).then_some(
            "This portal runs in a mode for trying it out: the button lets you in again at once, and nobody asks for a password.",
        ),
        details: Vec::new(),
        actions: vec![Action {
            label: "Sign in".into(),
            href: "/login".to_owned(),
            post: false,
        }],
        reference: None,
    };
    Ok(message.answer(&req, true))
}

/// Asks whether whoever followed another site's link wants to sign out.
fn confirm(req: &HttpRequest) -> HttpResponse {
    let action = |label: &'static str, href: &str, post| Action {
        label: label.into(),
        href: href.to_owned(),
        post,
    };
    let message = Message {
        status: 200,
        heading: "Do you want to sign out?".into(),
        sentence: "A link on another site asked to sign you out of this portal. Nothing has happened yet, and nothing will unless you say so."
            .into(),
        note: None,
        details: Vec::new(),
        actions: vec![
            action("Sign out", "/logout", true),
            action("Stay signed in", "/", false),
        ],
        reference: None,
    };
    message.answer(req, true)
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
    let sid = query.sid.filter(|sid| is_sid(sid));
    if let (Some(sid), true) = (sid, issuer_fits) {
        let task_state = state.clone();
        finish(async move {
            // Anybody may ask, and only one who knows a session makes the portal write.
            if !store::is_living_sid(&mut task_state.db.conn().await?, &sid).await? {
                return Ok(());
            }
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

async fn sign_out(req: &HttpRequest, state: &web::Data<State>) -> AppResult<HttpResponse> {
    let ticket = session::ticket(req, &state.settings.session);
    // The cookie goes first: whatever happens to the database, this browser is signed out.
    session::leave(req);
    let Some(ticket) = ticket else {
        return Ok(see_other("/signed-out"));
    };
    let actor = user::actor(req, &ticket.email);
    let (task_state, task_ticket, task_actor) = (state.clone(), ticket.clone(), actor.clone());
    let ended = finish(async move {
        end_on_server(&task_state, &task_ticket, &task_actor)
            .await
            .map_err(AppError::from)
    });
    let hint = match ended.await {
        Ok(hint) => hint,
        Err(AppError::DatabaseAway(cause)) => {
            actix_web::rt::spawn(end_later(state.clone(), ticket, actor));
            return Err(AppError::SignOutPending(cause));
        }
        Err(error) => return Err(error),
    };
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

/// Ends the session, and returns what to hand to Entra as `logout_hint`.
async fn end_on_server(state: &State, ticket: &Ticket, actor: &Actor) -> DbResult<Option<String>> {
    let owner = Owner::whoever(&ticket.email);
    let hint = state
        .db
        .transaction(async |conn: &mut Conn| store::end(conn, actor, &ticket.id, &owner).await)
        .await?;
    state.people.forget(&ticket.email);
    Ok(hint.flatten())
}

/// The person has left, and their cookie with them; a copy of it must not outlive the outage. While the database is
/// away the portal is closed, so trying every second is early enough.
async fn end_later(state: web::Data<State>, ticket: Ticket, actor: Actor) {
    let gives_up = Instant::now() + state.settings.session.ttl;
    while Instant::now() < gives_up {
        tokio::time::sleep(TRY_EVERY).await;
        match end_on_server(&state, &ticket, &actor).await {
            Ok(_) => return log::info!("a sign-out of {} was made up for", ticket.email),
            Err(DbError::Away(_)) => {}
            Err(error) => return log::error!("a sign-out of {} failed: {error}", ticket.email),
        }
    }
}

/// A short word in ASCII, as Entra's are; anything else names no session, and need not be looked for.
fn is_sid(text: &str) -> bool {
    text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic())
}
