//! `/item/delete`: into the trash, or for good where there is none.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::{CHANGED, ConfirmPage, Form, Query, asked, with_status};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::relocate::Eyes;
use crate::changing::{Shown, item, relocate};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::incoming::human_size;
use crate::files::storage::Object;
use crate::items::pages::folder_url;
use crate::items::stored;
use crate::page::{Page, html, see_other};
use crate::trash;

/// `GET /item/delete`: asks. Editors.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin asks.
pub async fn ask_delete(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let path = asked(query)?;
    html(&confirm(&state, &editor, page, &path).await?)
}

/// The page that asks, with what would be deleted as it is now.
async fn confirm(
    state: &State,
    editor: &Editor,
    page: Page,
    path: &ItemPath,
) -> AppResult<ConfirmPage> {
    if let Some(storage) = state.files.storage() {
        let object = stored::found(state, storage, editor, path).await?;
        return Ok(confirm_for_good(page, path, &object));
    }
    let eyes = Eyes::of(state, &editor.person).await?;
    let shown = item::asked(state, &eyes, path).await?;
    relocate::carries_rules(&eyes, &shown.thing)?;
    let path = &shown.thing.path;
    let mut facts = vec![("Now", path.to_string())];
    let mut fields = vec![("etag", shown.thing.etag.clone())];
    if shown.thing.is_folder {
        facts.push(("With it", files_in_words(&shown)));
        fields.push(("files", shown.inside.files.to_string()));
    }
    facts.push((
        "Then",
        format!(
            "in the trash for {} days, and nowhere else",
            trash::KEPT_DAYS
        ),
    ));
    let note = "It can be brought back from the trash, with title, owner and count. Until then nobody can download it.";
    Ok(ConfirmPage {
        note: Some(note.to_owned()),
        ..ConfirmPage::deletion(page, facts, path, fields)
    })
}

/// In object storage there is no trash.
fn confirm_for_good(page: Page, path: &ItemPath, object: &Object) -> ConfirmPage {
    let facts = vec![
        ("Now", path.to_string()),
        ("Then", "gone for everybody".to_owned()),
    ];
    let fields = vec![("etag", object.etag.clone().unwrap_or_default())];
    ConfirmPage {
        heading: "Delete this for good?",
        note: Some("This portal keeps its files in object storage, which has no trash.".to_owned()),
        back: folder_url(path.folder().as_ref()),
        ..ConfirmPage::deletion(page, facts, path, fields)
    }
}

/// `POST /item/delete`: puts it into the trash, then shows the folder. Editors. What was changed since it was shown is asked
/// about anew.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin deletes it.
pub async fn submit_delete(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let path = asked(query)?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    match delete(&state, &editor, &path, &form).await {
        Ok(folder) => Ok(see_other(&folder_url(folder.as_ref()))),
        Err(AppError::Changed) => {
            let asking = confirm(&state, &editor, page, &path).await?;
            let again = ConfirmPage {
                problem: Some(CHANGED.to_owned()),
                ..asking
            };
            with_status(&again, StatusCode::PRECONDITION_FAILED)
        }
        Err(error) => Err(error),
    }
}

/// Deletes what the form is about, and returns the folder that it was in.
async fn delete(
    state: &web::Data<State>,
    editor: &Editor,
    path: &ItemPath,
    form: &Form,
) -> AppResult<Option<ItemPath>> {
    if let Some(storage) = state.files.storage() {
        stored::delete(state, storage, editor, path, form.expected()).await?;
        return Ok(path.folder());
    }
    if let Some(files) = form.files {
        let eyes = Eyes::of(state, &editor.person).await?;
        let shown = item::shown(state, &eyes.sight, path).await?;
        if shown.inside.files != files {
            return Err(AppError::Changed);
        }
    }
    let entry = trash::delete(state, editor, path, form.expected()).await?;
    Ok(trash::origin(&entry)?.folder())
}

fn files_in_words(shown: &Shown) -> String {
    let size = human_size(u64::try_from(shown.inside.bytes).unwrap_or(0));
    match shown.inside.files {
        0 => "no files".to_owned(),
        1 => format!("1 file, {size}"),
        files => format!("{files} files, {size}"),
    }
}
