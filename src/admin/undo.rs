//! `/admin/audit/undo`: takes back a change of roles, or all of an import. First what would happen, then it happens.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::differences::{Shown, shown};
use super::{Section, gone, sections, turn, with_status};
use crate::app::{State, finish};
use crate::auth::user::Admin;
use crate::db::Conn;
use crate::error::AppResult;
use crate::page::{Page, see_other};
use crate::roles::change::ChangeError;
use crate::roles::undo;

const GONE: &str =
    "There is no such row in the audit, or it tells of nothing that can be taken back.";
const WAY_BACK: (&str, &str) = ("/admin/audit", "All activity");

/// Which row of the audit, and, when it is confirmed, the plan that the person was shown.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct UndoForm {
    #[serde(default)]
    event: i64,
    #[serde(default)]
    plan: String,
}

#[derive(Template)]
#[template(path = "admin/undo.html")]
struct UndoPage {
    page: Page,
    sections: Vec<Section>,
    event: i64,
    plan: String,
    shown: Shown,
    skipped: Vec<(String, &'static str)>,
    problem: Option<String>,
}

/// `GET /admin/audit/undo`: shows what would be changed. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<UndoForm>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    ask(page, &state, query.event, None).await
}

/// `POST /admin/audit/undo`: takes it back, when the plan is still the one that the page showed. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn submit(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<UndoForm>>,
) -> AppResult<HttpResponse> {
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let (task_state, event) = (state.clone(), form.event);
    let done = finish(async move {
        let done = turn::change(&task_state, &admin, async |conn: &mut Conn| {
            let plan = undo::plan(conn, form.event).await?;
            let plan = plan.filter(|plan| plan.fingerprint() == form.plan);
            plan.ok_or(ChangeError::Moved)?
                .apply(conn, &admin.actor(), "undo")
                .await
        })
        .await;
        task_state.people.forget_all();
        done
    })
    .await?;
    match done {
        Ok(()) => Ok(see_other("/admin/audit?done=undone")),
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(error) => ask(page, &state, event, Some(error)).await,
    }
}

async fn ask(
    page: Page,
    state: &State,
    event: i64,
    error: Option<ChangeError>,
) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let Some(plan) = undo::plan(&mut conn, event).await? else {
        return gone(page, &mut conn, GONE, WAY_BACK).await;
    };
    let status = match &error {
        None => StatusCode::OK,
        Some(ChangeError::Moved) => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let view = UndoPage {
        page,
        sections: sections(&mut conn, "/admin/audit").await?,
        event,
        plan: plan.fingerprint(),
        shown: shown(&plan),
        skipped: plan.skipped,
        problem: error.map(|error| error.to_string()),
    };
    with_status(&view, status)
}
