//! `/api/trash`: the trash as JSON.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{Entry, KEPT, remove_for_good, restore, shows, store};
use crate::app::State;
use crate::auth::user::{Admin, Editor};
use crate::changing::Goal;
use crate::changing::api::{answer, json};
use crate::changing::relocate::Eyes;
use crate::clock;
use crate::error::{AppError, AppResult};

const PER_PAGE: usize = 100;
const MOST_PER_PAGE: usize = 500;
/// Rows read in one go.
const CHUNK: i64 = 500;

/// Something that was deleted.
#[derive(Debug, Serialize)]
pub struct EntryJson {
    id: i64,
    path: String,
    kind: String,
    files: i64,
    size: i64,
    deleted_by: String,
    deleted_at: String,
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
#[derive(Debug, Default, Deserialize)]
pub struct Query {
    /// Only entries with a lower number.
    pub before: Option<i64>,
    /// How many; at most 500.
    pub per_page: Option<usize>,
}

/// Where an entry shall be brought back to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: Option<String>,
}

/// `GET /api/trash`: what was deleted, the newest first, as far as the rules of its places of origin admit. Editors.
///
/// # Errors
/// 400 for an address that is no such list; 503 without a database.
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
/// The database's.
pub async fn page(state: &State, eyes: &Eyes, query: &Query) -> AppResult<(Vec<Entry>, bool)> {
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
