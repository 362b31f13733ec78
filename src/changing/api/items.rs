//! `/api/items/{path}`: one file.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::Deserializer;
use utoipa::ToSchema;

use super::{ITEMS, answer, delete, expected, json, of_kind, path};
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::changing::relocate::{Along, Eyes};
use crate::changing::{Goal, Seen, item, relocate, retitle};
use crate::error::{AppError, AppResult};
use crate::items::api::ItemJson;
use crate::items::place;
use crate::openapi::{ForChanges, ForRoles};
use crate::trash::api::EntryJson;

/// What a file shall become; what is not named stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemChange {
    /// Where it shall be: folders, which have to be there, and name.
    path: Option<String>,
    /// `null` takes the title away.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
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
        Some(Some(title)) => Some(place::title(&title)?),
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
        (_, Some(title)) => {
            let seen = Seen {
                etag: expected,
                title: None,
            };
            retitle(&state, &editor, &path, title, seen).await?
        }
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
