//! Asking for access: whoever is signed in without a role has one button, admins see who pressed it and answer.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::app::{State, finish};
use crate::auth::user::CurrentUser;
use crate::clock;
use crate::db::{Conn, DbResult};
use crate::error::AppResult;
use crate::page::{Page, html, see_other};

pub mod store;
pub mod webhook;

use store::{Asked, Request, RequestState};

/// Where one asks, and sees what became of it.
pub const ADDRESS: &str = "/account/access-request";

/// How it stands with somebody's asking, for the pages that tell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They may ask.
    MayAsk,
    /// They asked, and nobody has answered yet. The day, in words.
    Open(String),
    /// They asked and were declined: the day in words, and the answer. They may ask again.
    Declined(String, String),
}

#[derive(Template)]
#[template(path = "account/access_request.html")]
struct RequestPage {
    page: Page,
    role: Option<&'static str>,
    standing: Standing,
    too_often: bool,
}

/// `GET /account/access-request`: how it stands. Everybody who is signed in.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    user: CurrentUser,
    page: Page,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let view = RequestPage {
        page,
        role: user.person.role.map(|role| role.as_str()),
        standing: standing(&mut conn, user.email()).await?,
        too_often: false,
    };
    html(&view)
}

/// `POST /account/access-request`: asks. Everybody who is signed in; with a role there is nothing to ask for.
///
/// # Errors
/// The database's; then nothing was asked.
pub async fn ask(
    user: CurrentUser,
    page: Page,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    if user.person.role.is_some() {
        return Ok(see_other(ADDRESS));
    }
    let task_state = state.clone();
    let (actor, person, session) = (user.actor(), user.person.clone(), user.session_id.clone());
    let asked = finish(async move {
        let asked = task_state
            .db
            .transaction(async |conn: &mut Conn| {
                let asked = store::ask(conn, &actor, &person, session.as_deref()).await?;
                if let (Asked::New(id), Some(_)) = (&asked, &task_state.settings.webhook) {
                    let origin = &task_state.settings.web.origin;
                    webhook::post(conn, *id, &person, origin).await?;
                }
                Ok::<_, crate::db::DbError>(asked)
            })
            .await?;
        Ok(asked)
    })
    .await?;
    if asked != Asked::TooOften {
        return Ok(see_other(ADDRESS));
    }
    log::info!(
        "{} asks for access too often ({})",
        user.email(),
        req.path()
    );
    let mut conn = state.db.conn().await?;
    let mut response = html(&RequestPage {
        page,
        role: None,
        standing: standing(&mut conn, user.email()).await?,
        too_often: true,
    })?;
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    Ok(response)
}

/// How it stands with the asking of an address.
///
/// # Errors
/// The database's.
pub async fn standing(conn: &mut Conn, email: &str) -> DbResult<Standing> {
    let latest = store::latest(conn, email).await?;
    Ok(latest.map_or(Standing::MayAsk, |request| told(&request)))
}

fn told(request: &Request) -> Standing {
    let day = clock::day_in_words(clock::day(request.asked_at));
    match request.state() {
        RequestState::Open => Standing::Open(day),
        RequestState::Declined => {
            Standing::Declined(day, request.answer.clone().unwrap_or_default())
        }
        // Whoever reads this has no role, so the one that was given has ended or was taken away.
        RequestState::Approved => Standing::MayAsk,
    }
}
