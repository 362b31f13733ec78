//! `/item/title`: another title.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::{
    ConfirmPage, Form, Kind, Problem, Query, again, form_page, found, item_url, url, with_status,
};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::relocate::Eyes;
use crate::changing::{Refusal, Seen, Shown, item, retitle};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::items::place;
use crate::page::{Page, html, see_other};

const TITLE: Kind = ("Change the title", "/item/title", "title");

/// `GET /item/title`: the form for another title. Editors.
///
/// # Errors
/// 404, also for a folder, which has no title.
pub async fn ask_title(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let (thing, eyes) = found(&editor, &state, query).await?;
    let shown = file(&state, &eyes, &thing.path).await?;
    let title = title_of(&shown);
    let form = Form {
        was: title.clone(),
        title,
        ..Form::default()
    };
    html(&form_page(page, TITLE, &shown.thing, form, None))
}

/// `POST /item/title`: asks, then gives the title. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404, 412 as the form for what was changed meanwhile; what is not the form's fault.
pub async fn submit_title(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (thing, eyes) = found(&editor, &state, query).await?;
    let path = thing.path;
    let shown = file(&state, &eyes, &path).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let title = match place::title(&form.title) {
        Ok(title) => title,
        Err(error) => {
            let refusal = Refusal {
                field: "title",
                error,
            };
            let form = Form {
                was: title_of(&shown),
                ..form
            };
            return again(page, TITLE, &shown.thing, form, refusal);
        }
    };
    if !is_as_shown(&shown, &form) {
        return changed_meanwhile(page, &shown, form);
    }
    if form.sure {
        let etag = form.expected();
        let was = Some(form.was.clone()).filter(|was| !was.is_empty());
        let seen = Seen {
            title: etag.is_some().then_some(was),
            etag,
        };
        return match retitle(&state, &editor, &path, title, seen).await {
            Ok(shown) => Ok(see_other(&item_url(&shown.thing.path, "titled"))),
            Err(AppError::Changed) => {
                let shown = file(&state, &eyes, &path).await?;
                changed_meanwhile(page, &shown, form)
            }
            Err(error) => Err(error),
        };
    }
    let none = || "no title".to_owned();
    let before = title_of(&shown);
    let fields = vec![
        ("title", form.title),
        ("etag", shown.thing.etag.clone()),
        ("was", before.clone()),
    ];
    let before = Some(before).filter(|before| !before.is_empty());
    let facts = vec![
        ("File", shown.thing.path.to_string()),
        ("Now", before.unwrap_or_else(none)),
        ("Then", title.unwrap_or_else(none)),
    ];
    html(&ConfirmPage::change(
        page,
        facts,
        url("/item/title", &path),
        fields,
    ))
}

/// Whether file and title are those that the page showed, as far as it says so.
fn is_as_shown(shown: &Shown, form: &Form) -> bool {
    let Some(expected) = form.expected() else {
        return true;
    };
    shown.thing.expect(Some(&expected)).is_ok() && title_of(shown) == form.was
}

fn changed_meanwhile(page: Page, shown: &Shown, form: Form) -> AppResult<HttpResponse> {
    let now = title_of(shown);
    let sentence = match now.as_str() {
        "" => "Somebody changed it since this page was shown, so nothing was done. It has no title now.".to_owned(),
        now => format!("Somebody changed it since this page was shown, so nothing was done. Its title is “{now}” now."),
    };
    let problem = Problem {
        field: "title",
        sentence,
    };
    let form = Form { was: now, ..form };
    let view = form_page(page, TITLE, &shown.thing, form, Some(problem));
    with_status(&view, StatusCode::PRECONDITION_FAILED)
}

fn title_of(shown: &Shown) -> String {
    let title = shown.row.as_ref().and_then(|row| row.title.clone());
    title.unwrap_or_default()
}

async fn file(state: &State, eyes: &Eyes, path: &ItemPath) -> AppResult<Shown> {
    let shown = item::asked(state, eyes, path).await?;
    match shown.thing.is_folder {
        true => Err(AppError::NotFound),
        false => Ok(shown),
    }
}
