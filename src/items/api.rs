//! `/api/items`: the catalogue as JSON.

use actix_multipart::Multipart;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::listing::{self, Listed, Listing, Query, Scope};
use super::{form, publish};
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::changing::Shown;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::moving::if_match;
use crate::openapi::{ForLists, ForPublications, ForRoles};

/// One file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item, example = json!({
    "path": "Reports/2026/Revenue.pdf", "name": "Revenue.pdf", "size": 3100000, "modified": "2026-11-26T08:00:00Z",
    "sha256": null, "title": "Revenue of the third quarter", "owner": "grace.hopper@contoso.example", "downloads": 12,
    "download_url": "/api/files/Reports/2026/Revenue.pdf",
}))]
pub struct ItemJson {
    /// Folders and name.
    path: String,
    /// The last part of the path.
    name: String,
    /// Bytes.
    size: i64,
    /// Last change (RFC 3339).
    #[schema(format = DateTime)]
    modified: String,
    /// Lower-case hexadecimal, once it is known.
    sha256: Option<String>,
    /// One line that says what it is.
    title: Option<String>,
    /// Address of whoever published it.
    owner: Option<String>,
    /// How often it was downloaded whole.
    downloads: i64,
    /// Where it is downloaded.
    download_url: String,
}

/// A folder in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedFolder)]
pub struct ListedFolderJson {
    /// Where it is.
    path: String,
    /// The last part of the path.
    name: String,
    /// Last change (RFC 3339).
    #[schema(format = DateTime)]
    modified: String,
}

/// How far down a list of files goes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Depth {
    /// 1: only what lies right in the folder. Without it, everything below as well.
    #[param(nullable = false, minimum = 1, maximum = 1)]
    depth: Option<u8>,
}

impl Depth {
    fn scope(&self, query: &Query) -> AppResult<Scope> {
        match self.depth {
            None => Ok(Scope::Below),
            Some(1) if query.words().is_none() => Ok(Scope::Files),
            Some(1) => Err(AppError::Unusable(
                "A search looks at everything below the folder, so leave depth out.".to_owned(),
            )),
            Some(_) => Err(AppError::Unusable(
                "depth has to be 1, or left out for everything below.".to_owned(),
            )),
        }
    }
}

/// A file and where it shall go.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only describes the form, which is read as it arrives"
)]
struct Publication {
    /// The file; its name counts. Put it last: what stands before it decides where it is received.
    #[schema(value_type = String, format = Binary)]
    file: (),
    /// Folder; it is made where it is not there. Empty is the root.
    #[schema(nullable = false)]
    folder: Option<String>,
    /// One line of at most 200 characters; without one, a file that is replaced keeps its own.
    #[schema(nullable = false)]
    title: Option<String>,
    /// `true`, `1`, `on` or `yes` replaces a file by that name.
    #[schema(nullable = false, pattern = "^(true|1|on|yes|false|0|off|no)?$")]
    overwrite: Option<String>,
    /// With `overwrite`: the `ETag` of the only file that may be replaced. `If-Match` says the same.
    #[schema(nullable = false)]
    etag: Option<String>,
}

impl From<&Listed> for ItemJson {
    fn from(listed: &Listed) -> Self {
        Self {
            name: listed.path.name().to_owned(),
            size: listed.size,
            modified: clock::rfc3339(listed.modified_at),
            sha256: listed.sha256.clone(),
            title: listed.title.clone(),
            owner: listed.owner.clone(),
            downloads: listed.downloads,
            download_url: listed.path.download_url(),
            path: listed.path.to_string(),
        }
    }
}

impl From<&Shown> for ItemJson {
    fn from(shown: &Shown) -> Self {
        let path = &shown.thing.path;
        let row = shown.row.as_ref();
        Self {
            name: path.name().to_owned(),
            size: shown.thing.size,
            modified: clock::rfc3339(shown.thing.modified_at),
            sha256: shown.sha256().map(str::to_owned),
            title: row.and_then(|row| row.title.clone()),
            owner: row.and_then(|row| row.owner.clone()),
            downloads: row.map_or(0, |row| row.downloads),
            download_url: path.download_url(),
            path: path.to_string(),
        }
    }
}

impl From<&Listed> for ListedFolderJson {
    fn from(listed: &Listed) -> Self {
        Self {
            name: listed.path.name().to_owned(),
            modified: clock::rfc3339(listed.modified_at),
            path: listed.path.to_string(),
        }
    }
}

/// `GET /api/items`: the files, everywhere or in `?folder=` and below, with `depth=1` right in it, as far as its rules
/// admit. People with a role. The number on all pages is in `X-Total-Count`.
///
/// # Errors
/// 400 for an address that is no such list, 404 for a folder that is not there.
#[utoipa::path(
    get,
    path = "/api/items",
    operation_id = "list_items",
    tag = "Items",
    summary = "List files, everywhere or in a folder and below.",
    description = "Only what you may see. A page behind the last one is empty.",
    params(Query, Depth),
    responses(
        (status = 200, description = "One page", body = [ItemJson],
            headers(("X-Total-Count" = u64, description = "Files on all pages"))),
        ForRoles,
        ForLists,
    ),
    security(("session" = [])),
)]
pub async fn list(
    reader: Reader,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    depth: Option<web::Query<Depth>>,
) -> AppResult<HttpResponse> {
    let query = query.ok_or_else(bad_query)?.into_inner();
    let scope = depth.ok_or_else(bad_query)?.scope(&query)?;
    let listing = listing::page(&state, &reader, &query, scope).await?;
    Ok(answer::<ItemJson>(&listing))
}

/// `GET /api/folders`: the folders right in `?folder=`, or with `?q=` all below that the words find, as far as their rules
/// admit. People with a role. The number on all pages is in `X-Total-Count`.
///
/// # Errors
/// 400 for an address that is no such list, 404 for a folder that is not there.
#[utoipa::path(
    get,
    path = "/api/folders",
    operation_id = "list_folders",
    tag = "Items",
    summary = "List the folders in a folder, or with `q` those below that the words find.",
    description = "Only what you may see. They sort by `name` and `modified`. A page behind the last one is empty.",
    params(Query),
    responses(
        (status = 200, description = "One page", body = [ListedFolderJson],
            headers(("X-Total-Count" = u64, description = "Folders on all pages"))),
        ForRoles,
        ForLists,
    ),
    security(("session" = [])),
)]
pub async fn list_folders(
    reader: Reader,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.ok_or_else(bad_query)?.into_inner();
    let listing = listing::page(&state, &reader, &query, Scope::Folders).await?;
    Ok(answer::<ListedFolderJson>(&listing))
}

fn answer<T: Serialize + for<'a> From<&'a Listed>>(listing: &Listing) -> HttpResponse {
    let rows: Vec<T> = listing.rows.iter().map(T::from).collect();
    HttpResponse::Ok()
        .insert_header(("X-Total-Count", listing.total))
        .json(rows)
}

/// `POST /api/items`: publishes a file (multipart: `file`, `folder`, `title`, `overwrite`). Editors.
///
/// # Errors
/// 409 for a name that is taken, 412, 413, 422, 507; nothing was published then.
#[utoipa::path(
    post,
    path = "/api/items",
    operation_id = "publish_item",
    tag = "Items",
    summary = "Publish a file.",
    description = "For editors and admins.",
    params(("If-Match" = Option<String>, Header, description = "Only replaces a file that has that `ETag`")),
    request_body(content = Publication, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is published", body = ItemJson,
            headers(("Location" = String, description = "Where it is downloaded"))),
        ForRoles,
        ForPublications,
    ),
    security(("session" = [])),
)]
pub async fn publish(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let mut submission = form::receive(&state, &editor, &req, form).await?;
    if let Some(tags) = if_match(req.headers()) {
        submission.typed.etag = tags;
    }
    let listed = publish::publish(&state, &editor, submission).await?;
    let item = ItemJson::from(&listed);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, item.download_url.clone()))
        .json(item))
}

fn bad_query() -> AppError {
    AppError::Unusable("page, per_page and depth have to be whole numbers.".to_owned())
}
