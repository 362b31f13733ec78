//! `/item/title`: another title.

use actix_web::{HttpResponse, web};

use super::{ConfirmPage, Form, Kind, Query, again, form_page, found, item_url, url};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::relocate::Eyes;
use crate::changing::{Refusal, Shown, item, retitle};
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
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = file(&state, &eyes, &path).await?;
    let form = Form {
        title: shown.row.and_then(|row| row.title).unwrap_or_default(),
        ..Form::default()
    };
    html(&form_page(page, TITLE, &path, form, None))
}

/// `POST /item/title`: asks, then gives the title. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_title(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = file(&state, &eyes, &path).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let title = match place::title(&form.title) {
        Ok(title) => title,
        Err(error) => {
            let refusal = Refusal {
                field: "title",
                error,
            };
            return again(page, TITLE, &path, form, refusal);
        }
    };
    if form.sure {
        retitle(&state, &editor, &path, title, None).await?;
        return Ok(see_other(&item_url(&shown.thing.path, "titled")));
    }
    let none = || "no title".to_owned();
    let before = shown.row.and_then(|row| row.title);
    let facts = vec![
        ("File", shown.thing.path.to_string()),
        ("Now", before.unwrap_or_else(none)),
        ("Then", title.unwrap_or_else(none)),
    ];
    let fields = vec![("title", form.title)];
    html(&ConfirmPage::change(
        page,
        facts,
        url("/item/title", &path),
        fields,
    ))
}

async fn file(state: &State, eyes: &Eyes, path: &ItemPath) -> AppResult<Shown> {
    let shown = item::asked(state, eyes, path).await?;
    match shown.thing.is_folder {
        true => Err(AppError::NotFound),
        false => Ok(shown),
    }
}
