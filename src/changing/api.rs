//! `/api/items/{path}` and `/api/folders`: one file or folder as JSON, and changes to it.

use actix_web::http::header::{ETAG, IF_MATCH, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::{Deserialize as Read, Serialize};
use utoipa::ToSchema;

use super::relocate::{Along, Eyes};
use super::{Goal, Shown, item, make, relocate, retitle};
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::items::api::ItemJson;
use crate::items::{publish, stored};
use crate::openapi::{ForChanges, ForRoles};
use crate::trash::{self, api::EntryJson};

const ITEMS: &str = "/api/items/";
const FOLDERS: &str = "/api/folders/";

/// One folder.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Folder)]
pub struct FolderJson {
    /// Where it is.
    path: String,
    /// The last part of the path.
    name: String,
    /// Last change (RFC 3339).
    #[schema(format = DateTime)]
    modified: String,
    /// Files in it and below, where nothing of that is hidden.
    files: i64,
    /// Bytes of them.
    size: i64,
}

impl From<&Shown> for FolderJson {
    fn from(shown: &Shown) -> Self {
        Self {
            path: shown.thing.path.to_string(),
            name: shown.thing.path.name().to_owned(),
            modified: clock::rfc3339(shown.thing.modified_at),
            files: shown.inside.files,
            size: shown.inside.bytes,
        }
    }
}

/// What a file shall become; what is not named stays.
#[derive(Debug, Default, Read, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemChange {
    /// Where it shall be: folders, which have to be there, and name.
    path: Option<String>,
    /// `null` takes the title away.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
}

/// Where a folder shall be.
#[derive(Debug, Read, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderPath {
    /// Folders, which have to be there, and name.
    path: String,
}

/// Tells `null` from what is not there.
fn named<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// `GET /api/items/{path}`: one file. People with a role.
///
/// # Errors
/// 404 for what is not there or not to be seen, and for a folder.
#[utoipa::path(
    get,
    path = "/api/items/{path}",
    operation_id = "show_item",
    tag = "Items",
    summary = "Tell one file.",
    params(("path" = String, Path, description = "Folders and name", example = "Reports/2026/Revenue.pdf")),
    responses((status = 200, description = "The file", body = ItemJson), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn show_item(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let path = path(&req, ITEMS)?;
    let eyes = Eyes::of(&state, &reader.person).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    Ok(answer(&of_kind(shown, false)?))
}

/// `PATCH /api/items/{path}`: renames or moves a file, gives it another title, or both in one step. Editors.
///
/// # Errors
/// 400 for other JSON, 404, 409, 412, 422; nothing has changed then.
#[utoipa::path(
    patch,
    path = "/api/items/{path}",
    operation_id = "change_item",
    tag = "Items",
    summary = "Rename, move or retitle a file.",
    description = "For editors and admins. What is not named stays; nothing is replaced.",
    params(("path" = String, Path, description = "Folders and name", example = "Reports/2026/Revenue.pdf"), ("If-Match" = Option<String>, Header, description = "Only as long as the content has that `ETag`")),
    request_body(content = ItemChange, content_type = "application/json"),
    responses((status = 200, description = "It is changed", body = ItemJson), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn change_item(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    body: web::Bytes,
) -> AppResult<HttpResponse> {
    let path = path(&req, ITEMS)?;
    let change: ItemChange = json(
        &body,
        "{\"path\": \"Folder/name.txt\", \"title\": \"What it is\"}",
    )?;
    let title = match change.title {
        Some(Some(title)) => Some(publish::title(&title)?),
        other => other,
    };
    let eyes = Eyes::of(&state, &editor.person).await?;
    let thing = item::find(&state, &eyes.sight, &path).await?;
    if thing.is_folder {
        return Err(AppError::NotFound);
    }
    let expected = expected(&req);
    let shown = match (change.path, title) {
        (Some(to), title) if to != thing.path.as_str() => {
            let along = Along { title, expected };
            relocate::relocate(&state, &editor, &path, &Goal::of_path(&to), along).await?
        }
        (_, Some(title)) => retitle(&state, &editor, &path, title, expected).await?,
        (_, None) => {
            let nothing = "There is nothing to change. Name a path or a title that differs.";
            return Err(AppError::Unprocessable(nothing.to_owned()));
        }
    };
    Ok(answer(&shown))
}

/// `DELETE /api/items/{path}`: puts a file into the trash, and tells its number there. Editors.
///
/// # Errors
/// 404, 412.
#[utoipa::path(
    delete,
    path = "/api/items/{path}",
    operation_id = "delete_item",
    tag = "Items",
    summary = "Put a file into the trash.",
    description = "For editors and admins.",
    params(("path" = String, Path, description = "Folders and name", example = "Reports/2026/Revenue.pdf"), ("If-Match" = Option<String>, Header, description = "Only as long as the content has that `ETag`")),
    responses((status = 200, description = "It is in the trash", body = EntryJson), (status = 204, description = "It is deleted for good, where the files lie in object storage"), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn delete_item(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    delete(&editor, &req, &state, ITEMS).await
}

/// `GET /api/folders/{path}`: one folder. People with a role.
///
/// # Errors
/// 404 for what is not there or not to be seen, and for a file.
#[utoipa::path(
    get,
    path = "/api/folders/{path}",
    operation_id = "show_folder",
    tag = "Items",
    summary = "Tell one folder.",
    params(("path" = String, Path, description = "The folder", example = "Reports/2026")),
    responses((status = 200, description = "The folder", body = FolderJson), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn show_folder(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let path = path(&req, FOLDERS)?;
    let eyes = Eyes::of(&state, &reader.person).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    Ok(answer(&of_kind(shown, true)?))
}

/// `POST /api/folders`: makes a folder in one that is there. Editors.
///
/// # Errors
/// 400 for other JSON, 404, 409, 422, 507.
#[utoipa::path(
    post,
    path = "/api/folders",
    operation_id = "make_folder",
    tag = "Items",
    summary = "Make a folder.",
    description = "For editors and admins. The folder that it lies in has to be there.",
    request_body(content = FolderPath, content_type = "application/json"),
    responses((status = 201, description = "It is made", body = FolderJson, headers(("Location" = String, description = "Where it is told"))), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn make_folder(
    editor: Editor,
    state: web::Data<State>,
    body: web::Bytes,
) -> AppResult<HttpResponse> {
    let wanted: FolderPath = json(&body, "{\"path\": \"Folder/New\"}")?;
    let goal = Goal::of_path(wanted.path.trim_matches('/'));
    let shown = make(&state, &editor, &goal).await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("{FOLDERS}{}", shown.thing.path.encoded())))
        .json(FolderJson::from(&shown)))
}

/// `PATCH /api/folders/{path}`: renames or moves a folder with all that is below. Editors.
///
/// # Errors
/// 400 for other JSON, 404, 409, 422; nothing has changed then.
#[utoipa::path(
    patch,
    path = "/api/folders/{path}",
    operation_id = "change_folder",
    tag = "Items",
    summary = "Rename or move a folder with all that is below.",
    description = "For editors and admins; for admins alone where rules say who sees it.",
    params(("path" = String, Path, description = "The folder", example = "Reports/2026")),
    request_body(content = FolderPath, content_type = "application/json"),
    responses((status = 200, description = "It is changed", body = FolderJson), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn change_folder(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    body: web::Bytes,
) -> AppResult<HttpResponse> {
    let path = path(&req, FOLDERS)?;
    let wanted: FolderPath = json(&body, "{\"path\": \"Folder/New name\"}")?;
    let eyes = Eyes::of(&state, &editor.person).await?;
    if !item::find(&state, &eyes.sight, &path).await?.is_folder {
        return Err(AppError::NotFound);
    }
    let goal = Goal::of_path(wanted.path.trim_matches('/'));
    let shown = relocate::relocate(&state, &editor, &path, &goal, Along::default()).await?;
    Ok(answer(&shown))
}

/// `DELETE /api/folders/{path}`: puts a folder with all that is below into the trash. Editors.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin deletes it.
#[utoipa::path(
    delete,
    path = "/api/folders/{path}",
    operation_id = "delete_folder",
    tag = "Items",
    summary = "Put a folder with all that is below into the trash.",
    description = "For editors and admins; for admins alone where rules say who sees it.",
    params(("path" = String, Path, description = "The folder", example = "Reports/2026")),
    responses((status = 200, description = "It is in the trash", body = EntryJson), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn delete_folder(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    delete(&editor, &req, &state, FOLDERS).await
}

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
    let sent = req.headers().get(IF_MATCH)?;
    // What cannot be read matches nothing.
    Some(sent.to_str().unwrap_or("").to_owned())
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
