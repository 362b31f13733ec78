//! `/item/delete`: into the trash, or for good where there is none.

use actix_web::{HttpResponse, web};

use super::{ConfirmPage, Query, asked, found};
use crate::app::State;
use crate::auth::user::Editor;
use crate::changing::{Shown, item, relocate};
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::files::incoming::human_size;
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
    if let Some(storage) = state.files.storage() {
        let path = asked(query)?;
        stored::found(&state, storage, &editor, &path).await?;
        return html(&confirm_for_good(page, &path));
    }
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    relocate::carries_rules(&eyes, &shown.thing)?;
    let mut facts = vec![("Now", shown.thing.path.to_string())];
    if shown.thing.is_folder {
        facts.push(("With it", files_in_words(&shown)));
    }
    facts.push((
        "Then",
        format!(
            "in the trash for {} days, and nowhere else",
            trash::KEPT_DAYS
        ),
    ));
    let note = "It can be brought back from the trash, with title, owner and count. Until then nobody can download it.";
    html(&ConfirmPage {
        note: Some(note.to_owned()),
        ..ConfirmPage::deletion(page, facts, &path)
    })
}

/// In object storage there is no trash.
fn confirm_for_good(page: Page, path: &ItemPath) -> ConfirmPage {
    let facts = vec![
        ("Now", path.to_string()),
        ("Then", "gone for everybody".to_owned()),
    ];
    ConfirmPage {
        heading: "Delete this for good?",
        note: Some("This portal keeps its files in object storage, which has no trash.".to_owned()),
        back: folder_url(path.folder().as_ref()),
        ..ConfirmPage::deletion(page, facts, path)
    }
}

/// `POST /item/delete`: puts it into the trash, then shows the folder. Editors.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin deletes it.
pub async fn submit_delete(
    editor: Editor,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    if let Some(storage) = state.files.storage() {
        let path = asked(query)?;
        stored::delete(&state, storage, &editor, &path, None).await?;
        return Ok(see_other(&folder_url(path.folder().as_ref())));
    }
    let (path, _) = found(&editor, &state, query).await?;
    let entry = trash::delete(&state, &editor, &path, None).await?;
    let folder = trash::origin(&entry)?.folder();
    Ok(see_other(&folder_url(folder.as_ref())))
}

fn files_in_words(shown: &Shown) -> String {
    let size = human_size(u64::try_from(shown.inside.bytes).unwrap_or(0));
    match shown.inside.files {
        0 => "no files".to_owned(),
        1 => format!("1 file, {size}"),
        files => format!("{files} files, {size}"),
    }
}
