//! `/api/items`: the catalogue as JSON.

use actix_multipart::Multipart;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::listing::{self, Listed, Query, Scope};
use super::publish;
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::clock;
use crate::error::{AppError, AppResult};

/// One file.
#[derive(Debug, Serialize)]
struct ItemJson {
    path: String,
    name: String,
    size: u64,
    modified: String,
    sha256: Option<String>,
    title: Option<String>,
    owner: Option<String>,
    download_url: String,
}

impl From<Listed> for ItemJson {
    fn from(listed: Listed) -> Self {
        let Listed { entry, item } = listed;
        let modified_at = clock::micros(entry.modified);
        Self {
            name: entry.path.name().to_owned(),
            size: entry.size,
            modified: clock::rfc3339(modified_at),
            sha256: item
                .as_ref()
                .and_then(|item| item.sha256_of(entry.size, modified_at))
                .map(str::to_owned),
            title: item.as_ref().and_then(|item| item.title.clone()),
            owner: item.map(|item| item.owner),
            download_url: entry.path.download_url(),
            path: entry.path.to_string(),
        }
    }
}

/// `GET /api/items`: the files, everywhere or in `?folder=` and below. People with a role.
/// The number on all pages is in `X-Total-Count`.
///
/// # Errors
/// 404 for a folder that is not there.
pub async fn list(
    _: Reader,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.ok_or_else(bad_query)?.into_inner();
    let listing = listing::page(&state, &query, Scope::Below).await?;
    let items: Vec<ItemJson> = listing.rows.into_iter().map(ItemJson::from).collect();
    Ok(HttpResponse::Ok()
        .insert_header(("X-Total-Count", listing.total))
        .json(items))
}

/// `POST /api/items`: publishes a file (multipart: `file`, `folder`, `title`, `overwrite`). Editors.
///
/// # Errors
/// 409 for a name that is taken, 413, 422, 507; nothing was published then.
pub async fn publish(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let submission = publish::receive(&state, &req, form).await?;
    let listed = publish::publish(&state, &editor, submission).await?;
    let item = ItemJson::from(listed);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, item.download_url.clone()))
        .json(item))
}

fn bad_query() -> AppError {
    AppError::Unusable("page and per_page have to be whole numbers.".to_owned())
}
