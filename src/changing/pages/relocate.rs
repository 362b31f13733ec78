//! `/item/move`: another name or folder.

use actix_web::{HttpResponse, web};

use super::{ConfirmPage, Form, Kind, Query, again, form_page, found, item_url, url};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::item;
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
    let (thing, _) = found(&editor, &state, query).await?;
    let folder = thing.path.folder();
    let form = Form {
        folder: folder.map(|f| f.to_string()).unwrap_or_default(),
        name: thing.path.name().to_owned(),
        ..Form::default()
    };
    html(&form_page(page, MOVE, &thing, form, None))
}

/// `POST /item/move`: asks, then renames or moves. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404 for what is not there, 412 as the form for what was changed meanwhile; what is not the form's fault.
pub async fn submit_move(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (thing, eyes) = found(&editor, &state, query).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let (path, expected) = (thing.path.clone(), form.expected());
    let plan = match thing.expect(expected.as_deref()) {
        Ok(()) => relocate::planned(&state, &eyes, &path, &form.goal()).await,
        Err(error) => Err(error.into()),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return again(page, MOVE, &thing, form, refusal),
    };
    if !form.sure {
        return html(&confirm_move(page, &plan, &form));
    }
    let along = Along {
        expected,
        ..Along::default()
    };
    match relocate::relocate(&state, &editor, &path, &form.goal(), along).await {
        Ok(shown) => Ok(see_other(&item_url(&shown.thing.path, "moved"))),
        Err(error) => {
            let thing = item::find(&state, &eyes.sight, &path).await?;
            again(page, MOVE, &thing, form, error.into())
        }
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
    let fields = vec![
        ("folder", form.folder.clone()),
        ("name", form.name.clone()),
        ("etag", plan.thing.etag.clone()),
    ];
    ConfirmPage {
        note: Some(note),
        ..ConfirmPage::change(page, facts, url("/item/move", &plan.thing.path), fields)
    }
}
