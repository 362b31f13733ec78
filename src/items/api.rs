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
    size: i64,
    modified: String,
    sha256: Option<String>,
    title: Option<String>,
    owner: Option<String>,
    downloads: i64,
    download_url: String,
}

impl From<Listed> for ItemJson {
    fn from(listed: Listed) -> Self {
        Self {
            name: listed.path.name().to_owned(),
            size: listed.size,
            modified: clock::rfc3339(listed.modified_at),
            sha256: listed.sha256,
            title: listed.title,
            owner: listed.owner,
            downloads: listed.downloads,
            download_url: listed.path.download_url(),
            path: listed.path.to_string(),
        }
    }
}

/// `GET /api/items`: the files, everywhere or in `?folder=` and below, as far as its rules admit. People with a role.
/// The number on all pages is in `X-Total-Count`.
///
/// # Errors
/// 404 for a folder that is not there.
pub async fn list(
    reader: Reader,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.ok_or_else(bad_query)?.into_inner();
    let listing = listing::page(&state, &reader, &query, Scope::Below).await?;
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
    let submission = publish::receive(&state, &editor, &req, form).await?;
    let listed = publish::publish(&state, &editor, submission).await?;
    let item = ItemJson::from(listed);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, item.download_url.clone()))
        .json(item))
}

fn bad_query() -> AppError {
    AppError::Unusable("page and per_page have to be whole numbers.".to_owned())
}
