//! `/account`: one's own sessions, each with a button that ends it. Everybody who is signed in, with or without a role.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::app::{State, finish};
use crate::auth::store::{self, Living};
use crate::auth::user::CurrentUser;
use crate::auth::{me, session};
use crate::clock;
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::{Page, html, see_other};

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct SessionsPage {
    page: Page,
    email: String,
    sessions: Vec<Row>,
}

struct Row {
    id: String,
    agent: String,
    address: String,
    started: String,
    started_exact: String,
    is_this: bool,
}

/// The form beside a session.
#[derive(Debug, Deserialize)]
pub struct SignOutForm {
    id: String,
}

/// `GET /account`: the list.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    user: CurrentUser,
    page: Page,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let now = clock::now();
    let oldest = now - clock::span(state.settings.session.ttl);
    let mut conn = state.db.conn().await?;
    let living = store::living(&mut conn, &user.owner(), oldest).await?;
    drop(conn);
    let row = |living: Living| Row {
        is_this: user.session_id.as_deref() == Some(living.id.as_str()),
        agent: living
            .agent
            .unwrap_or_else(|| "An unknown program".to_owned()),
        address: living.address.unwrap_or_default(),
        started: clock::ago(living.started_at, now),
        started_exact: clock::rfc3339(living.started_at),
        id: living.id,
    };
    html(&SessionsPage {
        page,
        email: user.email().to_owned(),
        sessions: living.into_iter().map(row).collect(),
    })
}

/// `POST /account/sign-out`: ends one of one's own sessions.
///
/// # Errors
/// 404 for a session that is not there, or somebody else's.
pub async fn sign_out(
    user: CurrentUser,
    req: HttpRequest,
    state: web::Data<State>,
    form: Option<web::Form<SignOutForm>>,
) -> AppResult<HttpResponse> {
    let id = form.ok_or(AppError::NotFound)?.into_inner().id;
    let is_this = user.session_id.as_deref() == Some(id.as_str());
    let (actor, owner, task_state) = (user.actor(), user.owner(), state.clone());
    let ended = finish(async move {
        let ended = task_state
            .db
            .transaction(async |conn: &mut Conn| store::end(conn, &actor, &id, &owner).await)
            .await?;
        task_state.people.forget(&owner.email);
        Ok(ended)
    })
    .await?;
    if ended.is_none() {
        return Err(AppError::NotFound);
    }
    if is_this {
        session::leave(&req);
        return Ok(see_other("/signed-out"));
    }
    Ok(see_other("/account"))
}

/// `POST /account/sign-out-everywhere`: ends all of them, this one among them.
///
/// # Errors
/// The database's; then nothing was ended.
pub async fn sign_out_everywhere(
    user: CurrentUser,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    me::end_all_sessions(&user, &req, &state).await?;
    Ok(see_other("/signed-out"))
}
