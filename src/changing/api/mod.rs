//! `/api/items/{path}` and `/api/folders`: one file or folder as JSON, and changes to it.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;

use super::relocate::Eyes;
use super::{Shown, item};
use crate::app::State;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::moving::if_match;
use crate::items::api::ItemJson;
use crate::items::stored;
use crate::trash::{self, api::EntryJson};

pub mod folders;
pub mod items;

use folders::FolderJson;

const ITEMS: &str = "/api/items/";
const FOLDERS: &str = "/api/folders/";

async fn delete(
    editor: &Editor,
    req: &HttpRequest,
    state: &web::Data<State>,
    prefix: &str,
) -> AppResult<HttpResponse> {
    let path = path(req, prefix)?;
    if let Some(storage) = state.files.storage().filter(|_| prefix == ITEMS) {
        stored::delete(state, storage, editor, &path, expected(req)).await?;
        return Ok(HttpResponse::NoContent().finish());
    }
    let eyes = Eyes::of(state, &editor.person).await?;
    let thing = item::find(state, &eyes.sight, &path).await?;
    if thing.is_folder != (prefix == FOLDERS) {
        return Err(AppError::NotFound);
    }
    let entry = trash::delete(state, editor, &path, expected(req)).await?;
    Ok(HttpResponse::Ok().json(EntryJson::from(&entry)))
}

/// A file or folder, as the JSON API shows it.
pub fn answer(shown: &Shown) -> HttpResponse {
    match shown.thing.is_folder {
        true => HttpResponse::Ok().json(FolderJson::from(shown)),
        false => HttpResponse::Ok()
            .insert_header((ETAG, shown.thing.etag.as_str()))
            .json(ItemJson::from(shown)),
    }
}

fn of_kind(shown: Shown, folder: bool) -> AppResult<Shown> {
    match shown.thing.is_folder == folder {
        true => Ok(shown),
        false => Err(AppError::NotFound),
    }
}

/// From the raw address: the router has decoded some of it, and a name may hold a percent sign.
fn path(req: &HttpRequest, prefix: &str) -> AppResult<ItemPath> {
    let path = req.uri().path().strip_prefix(prefix);
    path.and_then(ItemPath::from_url).ok_or(AppError::NotFound)
}

fn expected(req: &HttpRequest) -> Option<String> {
    if_match(req.headers())
}

/// The JSON of a body.
///
/// # Errors
/// 400 with what would have been taken.
pub fn json<T: DeserializeOwned>(body: &[u8], example: &str) -> AppResult<T> {
    serde_json::from_slice(body).map_err(|error| {
        AppError::Unusable(format!(
            "Send JSON such as {example}. What came was another thing: {error}."
        ))
    })
}
