//! `/api/me`: who the portal takes me for, and signing out everywhere.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::user::CurrentUser;
use super::{session, store};
use crate::app::{State, finish};
use crate::clock;
use crate::db::Conn;
use crate::error::AppResult;
use crate::openapi::{ForSignedIn, ForTheirPages};

/// Who is signed in.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "email": "ada.byron@contoso.example", "name": "Ada Byron", "role": "admin", "expires_at": "2026-11-27T08:00:00Z",
}))]
struct Me<'a> {
    /// Address, in lower case.
    email: &'a str,
    /// Display name, where Microsoft told one.
    name: Option<&'a str>,
    /// `reader`, `editor` or `admin`; nothing without a role.
    role: Option<&'static str>,
    /// When the session ends (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// `GET /api/me`: everybody who is signed in, with or without a role.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get,
    path = "/api/me",
    operation_id = "me",
    tag = "You",
    summary = "Who the portal takes me for.",
    description = "Answered with or without a role.",
    responses((status = 200, description = "You", body = Me), ForSignedIn),
    security(("session" = [])),
)]
pub async fn show(user: CurrentUser) -> AppResult<HttpResponse> {
    Ok(HttpResponse::Ok().json(Me {
        email: user.email(),
        name: user.person.name.as_deref(),
        role: user.person.role.map(|role| role.as_str()),
        expires_at: user.expires_at.map(clock::rfc3339),
    }))
}

/// `POST /api/me/sign-out`: ends all sessions of whoever asks, this one among them.
///
/// # Errors
/// The database's; then nothing was ended.
#[utoipa::path(
    post,
    path = "/api/me/sign-out",
    operation_id = "sign_out_everywhere",
    tag = "You",
    summary = "End all my sessions, this one among them.",
    description = "",
    responses((status = 204, description = "They have ended"), ForSignedIn, ForTheirPages),
    security(("session" = [])),
)]
pub async fn sign_out_everywhere(
    user: CurrentUser,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    end_all_sessions(&user, &req, &state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all of a person's sessions, and takes this browser's cookie.
///
/// # Errors
/// The database's; then nothing was ended.
pub async fn end_all_sessions(
    user: &CurrentUser,
    req: &HttpRequest,
    state: &web::Data<State>,
) -> AppResult<()> {
    let (actor, owner) = (user.actor(), user.owner());
    let task_state = state.clone();
    finish(async move {
        task_state
            .db
            .transaction(async |conn: &mut Conn| store::end_all(conn, &actor, &owner).await)
            .await?;
        task_state.people.forget(&owner.email);
        Ok(())
    })
    .await?;
    session::leave(req);
    Ok(())
}
