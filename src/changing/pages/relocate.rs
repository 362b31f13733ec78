//! `/item/move`: another name or folder.

use actix_web::{HttpResponse, web};

use super::{ConfirmPage, Form, Kind, Query, again, form_page, found, item_url, url};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::relocate::{self, Along, Plan};
use crate::error::AppResult;
use crate::page::{Page, html, see_other};

const MOVE: Kind = ("Rename or move", "/item/move", "move");

/// `GET /item/move`: the form for another name or folder. Editors.
///
/// # Errors
/// 404.
pub async fn ask_move(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let (path, _) = found(&editor, &state, query).await?;
    let form = Form {
        folder: path.folder().map(|f| f.to_string()).unwrap_or_default(),
        name: path.name().to_owned(),
        ..Form::default()
    };
    html(&form_page(page, MOVE, &path, form, None))
}

/// `POST /item/move`: asks, then renames or moves. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404 for what is not there; what is not the form's fault.
pub async fn submit_move(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (path, eyes) = found(&editor, &state, query).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let plan = match relocate::planned(&state, &eyes, &path, &form.goal()).await {
        Ok(plan) => plan,
        Err(refusal) => return again(page, MOVE, &path, form, refusal),
    };
    if !form.sure {
        return html(&confirm_move(page, &plan, &form));
    }
    match relocate::relocate(&state, &editor, &path, &form.goal(), Along::default()).await {
        Ok(shown) => Ok(see_other(&item_url(&shown.thing.path, "moved"))),
        Err(error) => again(page, MOVE, &path, form, error.into()),
    }
}

fn confirm_move(page: Page, plan: &Plan, form: &Form) -> ConfirmPage {
    let below = "Titles, owners, counts and checksums of everything below go along. Links that people kept to the old place stop working.";
    let note = match (plan.carries_rules, plan.thing.is_folder) {
        (true, _) => format!("The rules about who sees it go along as well. {below}"),
        (false, true) => below.to_owned(),
        (false, false) => {
            "Title, owner and count go along. Links that people kept to the old place stop working."
                .to_owned()
        }
    };
    let facts = vec![
        ("Now", plan.thing.path.to_string()),
        ("Then", plan.to.to_string()),
    ];
    let fields = vec![("folder", form.folder.clone()), ("name", form.name.clone())];
    ConfirmPage {
        note: Some(note),
        ..ConfirmPage::change(page, facts, url("/item/move", &plan.thing.path), fields)
    }
}
