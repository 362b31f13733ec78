//! `/login`: always begins a sign-in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::{begin, refuse_prefetch};
use crate::app::State;
use crate::auth::return_to;
use crate::error::{AppError, AppResult};
use crate::page::see_other;
use crate::settings::Mode;

/// Query of `/login`.
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    redirect_uri: Option<String>,
    account: Option<String>,
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
    if state.is_ending() {
        return Err(AppError::Restarting);
    }
    state.limit_sign_ins(&req)?;
    let other_account = query.account.as_deref() == Some("other");
    begin(
        &req,
        &state,
        state.flows(&req),
        target,
        other_account,
        false,
    )
    .await
}
