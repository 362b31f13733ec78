//! `/admin/people/import`: a list of roles from a file or pasted. First every difference is shown, then all of them are
//! made in one step. In between the portal keeps nothing: the list travels in the page.

use actix_multipart::Multipart;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::StreamExt;
use serde::Deserialize;

use super::differences::{Shown, shown};
use super::{Section, sections, turn, with_status};
use crate::app::{State, finish};
use crate::auth::user::Admin;
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::{Page, html, see_other};
use crate::roles::Mistake;
use crate::roles::change::ChangeError;
use crate::roles::list::{self, WrongLines};
use crate::roles::plan::Plan;

/// A hundred thousand people with notes fit in.
const LARGEST: usize = 12 << 20;

/// What was sent: the list, and, when it is confirmed, the plan that the person was shown.
#[derive(Debug, Clone, Default)]
struct Sent {
    text: String,
    complete: bool,
    plan: String,
}

/// What was typed before the person had to sign in again.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Kept {
    #[serde(default)]
    list: String,
    #[serde(default)]
    complete: bool,
}

#[derive(Template)]
#[template(path = "admin/import.html")]
struct ImportPage {
    page: Page,
    sections: Vec<Section>,
    problem: Option<Mistake>,
    wrong: WrongLines,
    text: String,
    complete: bool,
}

#[derive(Template)]
#[template(path = "admin/import_plan.html")]
struct PlanPage {
    page: Page,
    sections: Vec<Section>,
    text: String,
    complete: bool,
    plan: String,
    shown: Shown,
    unchanged: usize,
    leaves_no_admin: bool,
    has_moved: bool,
}

/// `GET /admin/people/import`: the form. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(_: Admin, page: Page, state: web::Data<State>) -> AppResult<HttpResponse> {
    form_page(page, &state, Kept::default()).await
}

/// `POST /admin/people/import` from the page that kept the form while the person signed in again: shows it filled in. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn again(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    kept: Option<web::Form<Kept>>,
) -> AppResult<HttpResponse> {
    let kept = kept.map(web::Form::into_inner).unwrap_or_default();
    form_page(page, &state, kept).await
}

async fn form_page(page: Page, state: &State, kept: Kept) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    html(&ImportPage {
        page,
        sections: sections(&mut conn, "/admin/people").await?,
        problem: None,
        wrong: WrongLines::default(),
        text: kept.list,
        complete: kept.complete,
    })
}

/// `POST /admin/people/import`: shows the differences, or makes those that were shown. Admins.
///
/// # Errors
/// The database's; then nothing was changed.
pub async fn submit(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let sent = match form {
        Ok(form) => read(form).await,
        Err(_) => Err("Choose a file, or paste the list.".to_owned()),
    };
    let sent = match sent {
        Ok(sent) => sent,
        Err(sentence) => {
            let mistake = Mistake::new("list", sentence);
            return form_again(
                page,
                &state,
                Sent::default(),
                Some(mistake),
                WrongLines::default(),
            )
            .await;
        }
    };
    let mut conn = state.db.conn().await?;
    let plan = match list::plan(&mut conn, &sent.text, sent.complete, &admin.actor()).await? {
        Ok(plan) => plan,
        Err(wrong) => {
            drop(conn);
            return form_again(page, &state, sent, None, wrong).await;
        }
    };
    let is_confirmed = sent.plan == plan.fingerprint() && !plan.leaves_no_admin;
    if !is_confirmed {
        let has_moved = !sent.plan.is_empty() && sent.plan != plan.fingerprint();
        return plan_page(page, &mut conn, sent, &plan, has_moved).await;
    }
    drop(conn);
    apply(admin, page, &state, sent).await
}

async fn apply(
    admin: Admin,
    page: Page,
    state: &web::Data<State>,
    sent: Sent,
) -> AppResult<HttpResponse> {
    let (sender, task_state, list) = (admin.clone(), state.clone(), sent.clone());
    let done = finish(async move {
        let actor = sender.actor();
        let done = turn::change(&task_state, &sender, async |conn: &mut Conn| {
            let plan = list::plan(conn, &list.text, list.complete, &actor).await?;
            let plan = plan.map_err(|_| ChangeError::Moved)?;
            if plan.fingerprint() != list.plan {
                return Err(ChangeError::Moved);
            }
            plan.apply(conn, &actor, "import").await
        })
        .await;
        task_state.people.forget_all();
        done
    })
    .await?;
    match done {
        Ok(()) => Ok(see_other("/admin/people?done=imported")),
        Err(ChangeError::Db(error)) => Err(error.into()),
        Err(ChangeError::Moved) => {
            let mut conn = state.db.conn().await?;
            let plan = list::plan(&mut conn, &sent.text, sent.complete, &admin.actor()).await?;
            let plan = plan.unwrap_or_default();
            plan_page(page, &mut conn, sent, &plan, true).await
        }
        Err(error) => {
            let mistake = Mistake::new("list", error.to_string());
            form_again(page, state, sent, Some(mistake), WrongLines::default()).await
        }
    }
}

/// The fields of the form; a file wins over what was pasted.
async fn read(mut form: Multipart) -> Result<Sent, String> {
    let too_large = || {
        format!(
            "The list is larger than {} MiB. Import it in parts.",
            LARGEST >> 20
        )
    };
    let mut sent = Sent::default();
    let (mut file, mut bytes) = (Vec::new(), 0);
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|_| "The form broke off on its way. Send it again.")?;
        let name = field.name().unwrap_or("").to_owned();
        let value = field
            .bytes(LARGEST)
            .await
            .map_err(|_| too_large())?
            .map_err(|_| "The form broke off on its way. Send it again.")?;
        bytes += value.len();
        if bytes > 2 * LARGEST {
            return Err(too_large());
        }
        match name.as_str() {
            "file" => file = value.to_vec(),
            "list" => sent.text = text(value.to_vec())?,
            "complete" => sent.complete = value.as_ref() == b"true",
            "plan" => sent.plan = text(value.to_vec())?,
            _ => {}
        }
    }
    if !file.is_empty() {
        sent.text = text(file)?;
    }
    match sent.text.trim().is_empty() {
        true => Err("Choose a file, or paste the list.".to_owned()),
        false => Ok(sent),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("This is no text in UTF-8. In a spreadsheet, save it as “CSV UTF-8”.".to_owned()),
    }
}

async fn form_again(
    page: Page,
    state: &State,
    sent: Sent,
    problem: Option<Mistake>,
    wrong: WrongLines,
) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let sentence = "Some lines cannot be taken. Nothing was changed.";
    let view = ImportPage {
        page,
        sections: sections(&mut conn, "/admin/people").await?,
        problem: problem.or_else(|| Some(Mistake::new("list", sentence))),
        wrong,
        text: sent.text,
        complete: sent.complete,
    };
    with_status(&view, StatusCode::UNPROCESSABLE_ENTITY)
}

async fn plan_page(
    page: Page,
    conn: &mut Conn,
    sent: Sent,
    plan: &Plan,
    has_moved: bool,
) -> Result<HttpResponse, AppError> {
    let view = PlanPage {
        page,
        sections: sections(conn, "/admin/people").await?,
        text: sent.text,
        complete: sent.complete,
        plan: plan.fingerprint(),
        shown: shown(plan),
        unchanged: plan.unchanged,
        leaves_no_admin: plan.leaves_no_admin,
        has_moved,
    };
    let status = match has_moved {
        true => StatusCode::CONFLICT,
        false => StatusCode::OK,
    };
    with_status(&view, status)
}
