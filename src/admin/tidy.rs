//! `/admin/person/tidy`: makes one row in lower case of several spellings of an address. First what would happen, then it
//! happens.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::remove::RemoveForm;
use super::{Section, address, gone, person, sections, turn, with_status};
use crate::app::{State, finish};
use crate::audit::Action;
use crate::auth::user::Admin;
use crate::db::Conn;
use crate::error::AppResult;
use crate::page::{Page, see_other};
use crate::roles::change::{self, Change, ChangeError};
use crate::roles::tidy::Untidy;
use crate::roles::{RoleRow, holdings};

const GONE: &str = "This address has no role, so there is nothing to tidy. Somebody else may have taken it away a moment ago.";

#[derive(Template)]
#[template(path = "admin/tidy.html")]
struct TidyPage {
    page: Page,
    sections: Vec<Section>,
    email: String,
    rows: Vec<RoleRow>,
    /// The one row that stays; none where there is a reason against it.
    then: Option<RoleRow>,
    before: String,
    problem: Option<String>,
}

/// `GET /admin/person/tidy`: asks. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<RemoveForm>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    ask(page, &state, &address(Some(&query.email)), None).await
}

/// `POST /admin/person/tidy`: does it, when the rows are still those that the page showed. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn submit(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<RemoveForm>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let email = address(Some(&form.email));
    let (task_state, whose) = (state.clone(), email.clone());
    let done = finish(async move {
        let done = turn::change(&task_state, &admin, async |conn: &mut Conn| {
            let held = holdings::holding(conn, &whose).await?;
            if held.fingerprint() != form.before {
                return Err(ChangeError::Moved);
            }
            let change = Change::tidy(&whose, held).map_err(|_| ChangeError::Moved)?;
            let action = Some(Action::RoleTidied);
            change::apply(conn, &admin.actor(), action, &[change], &[]).await
        })
        .await;
        task_state.people.forget(&whose);
        done
    })
    .await?;
    match done {
        Ok(()) => Ok(see_other(&format!("{}&done=tidied", person::url(&email)))),
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(error) => ask(page, &state, &email, Some(error)).await,
    }
}

async fn ask(
    page: Page,
    state: &State,
    email: &str,
    error: Option<ChangeError>,
) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let held = holdings::holding(&mut conn, email).await?;
    if held.rows.is_empty() {
        return gone(page, &mut conn, GONE, person::WAY_BACK).await;
    }
    let status = match &error {
        None => StatusCode::OK,
        Some(ChangeError::Moved) => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (rows, before) = (held.rows.clone(), held.fingerprint());
    let tidied: Result<Change, Untidy> = Change::tidy(email, held);
    let why_not = tidied.as_ref().err().map(Untidy::to_string);
    let view = TidyPage {
        page,
        sections: sections(&mut conn, "/admin/people").await?,
        email: email.to_owned(),
        rows,
        then: tidied
            .ok()
            .and_then(|change| change.after.rows.into_iter().next()),
        before,
        problem: error.map(|error| error.to_string()).or(why_not),
    };
    with_status(&view, status)
}
