//! `/health/live` and `/health/ready`: public, for whatever restarts and balances; no secrets, no versions.

use actix_web::{HttpResponse, web};

use crate::app::State;

/// `GET /health/live`: the process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("live\n")
}

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
