//! `/admin/person/remove`: takes every role from an address. First what would happen, then it happens.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Named, Section, address, gone, sections, turn, with_status};
use crate::app::{State, finish};
use crate::auth::user::Admin;
use crate::db::Conn;
use crate::error::AppResult;
use crate::page::{Page, see_other};
use crate::roles::change::{self, Change, ChangeError};
use crate::roles::holdings;

/// Whose role, and, when it is confirmed, the state that the person was shown.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RemoveForm {
    #[serde(default)]
    pub(super) email: String,
    #[serde(default)]
    pub(super) before: String,
}

#[derive(Template)]
#[template(path = "admin/remove.html")]
struct RemovePage {
    page: Page,
    sections: Vec<Section>,
    email: String,
    now: String,
    rows: usize,
    before: String,
    is_me: bool,
    problem: Option<String>,
}

/// `GET /admin/person/remove`: asks. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<RemoveForm>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    ask(&admin, page, &state, &query.email, None).await
}

/// `POST /admin/person/remove`: takes the role away, when it is still the one that the page showed. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn submit(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<RemoveForm>>,
    query: Option<web::Query<Named>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let email = address(Some(Named::or(&query, &form.email)));
    let (sender, task_state, person) = (admin.clone(), state.clone(), email.clone());
    let before = form.before;
    let done = finish(async move {
        let done = turn::change(&task_state, &sender, async |conn: &mut Conn| {
            let held = holdings::holding(conn, &person).await?;
            if held.fingerprint() != before {
                return Err(ChangeError::Moved);
            }
            let change = Change::revoke(&person, held);
            change::apply(conn, &sender.actor(), None, &[change], &[]).await
        })
        .await;
        task_state.people.forget(&person);
        done
    })
    .await?;
    match done {
        Ok(()) => Ok(see_other("/admin/people?done=removed")),
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(error) => ask(&admin, page, &state, &email, Some(error)).await,
    }
}

async fn ask(
    admin: &Admin,
    page: Page,
    state: &State,
    email: &str,
    error: Option<ChangeError>,
) -> AppResult<HttpResponse> {
    let email = address(Some(email));
    let mut conn = state.db.conn().await?;
    let held = holdings::holding(&mut conn, &email).await?;
    if held.rows.is_empty() {
        return gone(page, &mut conn, NO_ROLE, ("/admin/people", "All people")).await;
    }
    let status = match &error {
        None => StatusCode::OK,
        Some(ChangeError::Moved) => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let view = RemovePage {
        page,
        sections: sections(&mut conn, "/admin/people").await?,
        now: held.in_words(&email),
        rows: held.rows.len(),
        before: held.fingerprint(),
        is_me: admin.email() == email,
        problem: error.map(|error| error.to_string()),
        email,
    };
    with_status(&view, status)
}

const NO_ROLE: &str = "This address has no role, so there is nothing to take away. Somebody else may have done it a moment ago.";
