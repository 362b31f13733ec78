//! The JSON API described after OpenAPI 3.1, put together from the notes at the handlers: `/openapi.json` for programs,
//! `/docs` for people. A test holds the description against the routes, and `schemathesis` holds it against the answers.

use std::sync::OnceLock;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::server::Server;

use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::page::{Page, html_of, rendered, see_other};
use crate::{auth, changing, error_pages, files, health, items, preview, trash};

mod answers;
mod page;

pub use answers::{
    ForChanges, ForEverybody, ForFolders, ForLists, ForPublications, ForRoles, ForSignedIn,
    ForTheirPages, ForUploads, ForZips, Sent,
};

/// What the handlers say. The version is the API's: what runs here is nobody's business. A new route of the API is a line here.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portcullis",
        version = "1",
        description = "Files behind a sign-in with Microsoft Entra ID. Sign in at `/login` with a browser; the session cookie that it \
            gets opens this API, and plain download links. Anything but GET and HEAD needs `Sec-Fetch-Site: same-origin`, which \
            browsers send by themselves, or an `Origin` equal to the portal's. Every GET answers HEAD as well. Errors are \
            `application/problem+json` (RFC 9457); whoever opens such an address in a browser gets a page instead.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        auth::me::show,
        auth::me::sign_out_everywhere,
        items::api::list,
        items::api::list_folders,
        items::api::publish,
        items::uploads::handlers::create,
        items::uploads::handlers::patch,
        items::uploads::handlers::delete,
        files::send::download,
        files::zip::of_address,
        files::zip::of_form,
        preview::bytes,
        changing::api::items::show_item,
        changing::api::items::change_item,
        changing::api::items::delete_item,
        changing::api::folders::make_folder,
        changing::api::folders::show_folder,
        changing::api::folders::change_folder,
        changing::api::folders::delete_folder,
        trash::api::list,
        trash::api::bring_back,
        trash::api::remove,
        health::live,
        health::ready,
    ),
    components(schemas(error_pages::ProblemJson)),
    tags(
        (name = "You", description = "Who is signed in."),
        (name = "Items", description = "The catalogue: what there is, and publishing."),
        (name = "Trash", description = "What was deleted."),
        (name = "Files", description = "Downloads."),
        (name = "Health", description = "For whatever restarts and balances."),
    ),
)]
struct Described;

/// What is sent, made at the first request: it is the same for everybody until the portal ends.
#[derive(Default)]
pub struct Kept {
    json: OnceLock<Bytes>,
    page: OnceLock<Bytes>,
}

/// The description of this portal: its own address, and the name that its cookie has there.
fn document(state: &State) -> OpenApi {
    let mut document = <Described as utoipa::OpenApi>::openapi();
    document.servers = Some(vec![Server::new(state.settings.web.origin.as_str())]);
    let cookie = ApiKeyValue::with_description(
        state.session_cookie_name(),
        "The session, as the sign-in at /login sets it.",
    );
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

/// `GET /openapi.json`: public.
///
/// # Errors
/// 500 should it not be writable as JSON.
pub async fn json(state: web::Data<State>) -> AppResult<HttpResponse> {
    let kept = &state.described.json;
    let json = match kept.get() {
        Some(json) => json.clone(),
        None => {
            let made = serde_json::to_vec(&document(&state)).map_err(|error| {
                AppError::Internal(format!("the description cannot be written: {error}"))
            })?;
            kept.get_or_init(|| made.into()).clone()
        }
    };
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(json))
}

/// `GET /docs`: public. The same to be read by people. Nobody is known here, so the page names nobody.
///
/// # Errors
/// 500 should the template fail.
pub async fn docs(state: web::Data<State>, page: Page) -> AppResult<HttpResponse> {
    let kept = &state.described.page;
    let text = match kept.get() {
        Some(text) => text.clone(),
        None => {
            let made = rendered(&page::Docs::of(page, &document(&state)))?;
            kept.get_or_init(|| made.into()).clone()
        }
    };
    Ok(html_of(text))
}

/// `GET /redoc`: public. Where the recipe had it.
pub async fn redoc() -> HttpResponse {
    see_other("/docs")
}
