//! `/login`, `/callback`, `/logout`: the trip to Entra and back.

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
