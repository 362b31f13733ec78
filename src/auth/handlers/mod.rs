//! `/login`, `/callback`, `/logout`: the trip to Entra and back.

use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, HttpResponse};

use super::flow::{Flows, Pending};
use crate::app::State;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::page::see_other;

mod callback;
mod login;
mod logout;

pub use callback::callback;
pub use login::login;
pub use logout::{frontchannel, logout, logout_now, signed_out};

/// Remembers a new sign-in in the browser and sends it to Entra.
async fn begin(
    req: &HttpRequest,
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
    let mut recent = state.recent(req);
    recent.add(&begun.state, &target);
    flows.add(Pending {
        state: begun.state,
        nonce: begun.nonce,
        code_verifier: begun.code_verifier,
        target,
        begun_at: clock::now() / clock::SECOND,
        restarted,
    });
    let mut response = see_other(begun.url.as_str());
    add_cookie(&mut response, &state.flow_cookie(&flows));
    add_cookie(&mut response, &state.recent_cookie(&recent));
    Ok(response)
}

fn add_cookie(response: &mut HttpResponse, cookie: &Cookie<'_>) {
    if let Err(error) = response.add_cookie(cookie) {
        log::error!("the cookie {} could not be set: {error}", cookie.name());
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
