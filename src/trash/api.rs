//! `/api/trash`: the trash as JSON.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Entry, KEPT, remove_for_good, restore, shows, store};
use crate::app::State;
use crate::auth::user::{Admin, Editor};
use crate::changing::Goal;
use crate::changing::api::{answer, json};
use crate::changing::relocate::Eyes;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::openapi::{ForChanges, ForRoles};

const PER_PAGE: usize = 100;
const MOST_PER_PAGE: usize = 500;
/// Rows read in one go.
const CHUNK: i64 = 500;

/// Something that was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrashEntry)]
pub struct EntryJson {
    /// Its number.
    id: i64,
    /// Where it came from.
    path: String,
    /// `file` or `folder`.
    kind: String,
    /// Files in it.
    files: i64,
    /// Bytes of them.
    size: i64,
    /// Address of whoever deleted it.
    deleted_by: String,
    /// When (RFC 3339).
    #[schema(format = DateTime)]
    deleted_at: String,
    /// Until when it can be brought back (RFC 3339).
    #[schema(format = DateTime)]
    kept_until: String,
}

impl From<&Entry> for EntryJson {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id,
            path: entry.origin.clone(),
            kind: entry.kind.clone(),
            files: entry.files,
            size: entry.size,
            deleted_by: entry.deleted_by.clone(),
            deleted_at: clock::rfc3339(entry.deleted_at),
            kept_until: clock::rfc3339(entry.deleted_at + KEPT),
        }
    }
}

/// Which part of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Query {
    /// Only entries with a lower number.
    #[param(nullable = false)]
    pub before: Option<i64>,
    /// How many; at most 500.
    #[param(nullable = false)]
    pub per_page: Option<usize>,
}

/// Where an entry shall be brought back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Folders, which have to be there, and name.
    path: Option<String>,
}

/// `GET /api/trash`: what was deleted, the newest first, as far as the rules of its places of origin admit. Editors.
///
/// # Errors
/// 400 for an address that is no such list; 503 without a database.
#[utoipa::path(
    get,
    path = "/api/trash",
    operation_id = "list_trash",
    tag = "Trash",
    summary = "List what was deleted, the newest first.",
    description = "For editors and admins. Only what comes from places that you may see.",
    params(Query),
    responses((status = 200, description = "One page", body = [EntryJson]), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn list(
    editor: Editor,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.ok_or_else(|| {
        AppError::Unusable("before and per_page have to be whole numbers.".to_owned())
    })?;
    let eyes = Eyes::of(&state, &editor.person).await?;
    let (entries, _) = page(&state, &eyes, &query).await?;
    let entries: Vec<EntryJson> = entries.iter().map(EntryJson::from).collect();
    Ok(HttpResponse::Ok().json(entries))
}

/// `POST /api/trash/{id}/restore`: brings an entry back, to `path` if the body names one. Editors.
///
/// # Errors
/// 400 for other JSON, 404, 409 for a name that is taken again, 422.
#[utoipa::path(
    post,
    path = "/api/trash/{id}/restore",
    operation_id = "restore",
    tag = "Trash",
    summary = "Bring something back.",
    description = "For editors and admins. Without a body to where it was.",
    params(("id" = i64, Path, description = "Its number in the trash", example = 7)),
    request_body(content = Option<Place>, content_type = "application/json"),
    responses((status = 200, description = "It is back: an Item or a Folder"), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn bring_back(
    editor: Editor,
    state: web::Data<State>,
    id: web::Path<String>,
    body: web::Bytes,
) -> AppResult<HttpResponse> {
    let id = number(&id)?;
    let place = match body.is_empty() {
        true => Place { path: None },
        false => json(&body, "{\"path\": \"Folder/name.txt\"}, or nothing")?,
    };
    let goal = place.path.as_deref().map(Goal::of_path);
    Ok(answer(&restore(&state, &editor, id, goal.as_ref()).await?))
}

/// `DELETE /api/trash/{id}`: removes an entry for good. Admins.
///
/// # Errors
/// 404.
#[utoipa::path(
    delete,
    path = "/api/trash/{id}",
    operation_id = "remove_for_good",
    tag = "Trash",
    summary = "Remove something for good.",
    description = "For admins.",
    params(("id" = i64, Path, description = "Its number in the trash", example = 7)),
    responses((status = 204, description = "It is gone"), ForRoles, ForChanges),
    security(("session" = [])),
)]
pub async fn remove(
    admin: Admin,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    remove_for_good(&state, &admin, number(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A page of what these eyes see, and whether there is more.
///
/// # Errors
/// The database's; 501 where the files lie in object storage.
pub async fn page(state: &State, eyes: &Eyes, query: &Query) -> AppResult<(Vec<Entry>, bool)> {
    super::needs_folder(state)?;
    let most = query.per_page.unwrap_or(PER_PAGE).clamp(1, MOST_PER_PAGE);
    let mut before = query.before.unwrap_or(i64::MAX);
    let mut seen = Vec::new();
    let mut conn = state.db.conn().await?;
    loop {
        let rows = store::newest(&mut conn, before, CHUNK).await?;
        let Some(last) = rows.last() else {
            return Ok((seen, false));
        };
        before = last.id;
        for entry in rows.into_iter().filter(|entry| shows(eyes, entry)) {
            if seen.len() == most {
                return Ok((seen, true));
            }
            seen.push(entry);
        }
    }
}

/// What is no number has no entry.
///
/// # Errors
/// 404.
pub fn number(text: &str) -> AppResult<i64> {
    text.parse().map_err(|_| AppError::NotFound)
}
