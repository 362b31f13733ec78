//! `/api/folders`: one folder.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FOLDERS, answer, delete, expected, json, of_kind, path};
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::changing::relocate::{Along, Eyes};
use crate::changing::{Goal, Shown, item, make, relocate};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::openapi::{ForChanges, ForRoles};
use crate::trash::api::EntryJson;

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

/// Where a folder shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderPath {
    /// Folders, which have to be there, and name.
    path: String,
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
    let along = Along {
        expected: expected(&req),
        ..Along::default()
    };
    let shown = relocate::relocate(&state, &editor, &path, &goal, along).await?;
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
