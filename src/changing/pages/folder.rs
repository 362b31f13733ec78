//! `/item/folder`: a new folder.

use actix_web::{HttpResponse, web};

use super::{ConfirmPage, Form, FormPage, Problem, Query, told, with_status};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::relocate::Eyes;
use crate::changing::{Goal, Refusal, folder, item, make};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::path::encode;
use crate::items::pages::folder_url;
use crate::page::{Page, html, see_other};

/// `GET /item/folder`: the form for a new folder in the one that the address names; without a path in the root. Editors.
///
/// # Errors
/// 404.
pub async fn ask_folder(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let above = above(&editor, &state, query).await?;
    html(&folder_page(page, above.as_ref(), Form::default(), None))
}

/// `POST /item/folder`: asks, then makes the folder. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_folder(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let above = above(&editor, &state, query).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let goal = Goal {
        folder: above.as_ref().map(|f| f.to_string()).unwrap_or_default(),
        name: form.name.trim_matches('/').to_owned(),
    };
    let eyes = Eyes::of(&state, &editor.person).await?;
    let made = match (folder::planned(&state, &eyes, &goal).await, form.sure) {
        (Ok(path), false) => {
            let facts = vec![("Folder", path.to_string())];
            let fields = vec![("name", form.name)];
            return html(&ConfirmPage {
                heading: "Make this folder?",
                button: "Yes, make it",
                ..ConfirmPage::change(page, facts, folder_action(above.as_ref()), fields)
            });
        }
        (Ok(_), true) => make(&state, &editor, &goal).await.map_err(Refusal::from),
        (Err(refusal), _) => Err(refusal),
    };
    match made {
        Ok(shown) => Ok(see_other(&folder_url(Some(&shown.thing.path)))),
        Err(refusal) => {
            let (status, problem) = told(refusal, "name")?;
            with_status(
                &folder_page(page, above.as_ref(), form, Some(problem)),
                status,
            )
        }
    }
}

/// The folder in which another one shall be made; `None` is the root.
async fn above(
    editor: &Editor,
    state: &State,
    query: Option<web::Query<Query>>,
) -> AppResult<Option<ItemPath>> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let eyes = Eyes::of(state, &editor.person).await?;
    if query.path.trim_matches('/').is_empty() {
        return match eyes.sight.shows("") {
            true => Ok(None),
            false => Err(AppError::NotFound),
        };
    }
    let thing = item::find(state, &eyes.sight, &query.path()?).await?;
    match thing.is_folder {
        true => Ok(Some(thing.path)),
        false => Err(AppError::NotFound),
    }
}

fn folder_page(
    page: Page,
    above: Option<&ItemPath>,
    form: Form,
    problem: Option<Problem>,
) -> FormPage {
    FormPage {
        page,
        heading: "New folder",
        about: above.map(ToString::to_string).unwrap_or_default(),
        action: folder_action(above),
        back: folder_url(above),
        problem,
        kind: "folder",
        form,
    }
}

fn folder_action(above: Option<&ItemPath>) -> String {
    let path = above.map_or("", ItemPath::as_str);
    format!("/item/folder?path={}", encode(path))
}
