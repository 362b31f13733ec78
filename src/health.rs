//! `/health/live` and `/health/ready`: public, for whatever restarts and balances; no secrets, no versions.

use actix_web::{HttpResponse, web};

use crate::app::State;
use crate::openapi::ForEverybody;

/// `GET /health/live`: the process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "Health",
    summary = "Whether the process answers.",
    description = "",
    responses((status = 200, description = "It does", body = String), ForEverybody),
)]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("live\n")
}

#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Health",
    summary = "Whether people can be let in.",
    description = "",
    responses(
        (status = 200, description = "They can", body = String),
        (status = 503, description = "The database does not answer, or the portal is about to end", body = String),
        ForEverybody,
    ),
)]
/// `GET /health/ready`: the database can be used and the portal is not about to end, so people can be let in.
pub async fn ready(state: web::Data<State>) -> HttpResponse {
    let (mut response, text) = match (state.is_ending(), state.people.is_available()) {
        (true, _) => (
            HttpResponse::ServiceUnavailable(),
            "the portal is about to end\n",
        ),
        (_, true) => (HttpResponse::Ok(), "ready\n"),
        (_, false) => (
            HttpResponse::ServiceUnavailable(),
            "the database does not answer\n",
        ),
    };
    response
        .content_type("text/plain; charset=utf-8")
        .body(text)
}
