//! A form is not lost when the session ended before it was sent: the 401 page carries its fields as hidden inputs.
//! Nothing is stored on the server, and nothing is sent again by itself.

use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::StreamExt;

use super::{origin, return_to};
use crate::app::State;
use crate::error::AppResult;
use crate::page::{Page, html};

/// Names and values together; what is longer is not carried.
const MOST_BYTES: usize = 32 * 1024;
/// No form of ours has as many fields.
const MOST_FIELDS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);
const URLENCODED: &str = "application/x-www-form-urlencoded";
/// Addresses that show their form again, filled in, when [`MARK`] comes with it, or ask before they do anything, as long as
/// [`SURE`] does not come. Fields are kept for these alone: anywhere else, sending them on would do what was asked for
/// without a further look.
const REFILLED: [&str; 9] = [
    "/publish",
    "/admin/people/import",
    "/admin/folders",
    "/admin/person/grant",
    "/admin/request/approve",
    "/admin/request/decline",
    "/item/move",
    "/item/title",
    "/item/folder",
];
/// Those of them whose forms have a file.
const WITH_FILES: [&str; 2] = ["/publish", "/admin/people/import"];
/// Name of the field that says that a form comes from the page that kept it.
const MARK: &str = "kept";
/// Name of the field that says yes to what was asked; it is not kept, so that it is asked again.
const SURE: &str = "sure";

#[derive(Template)]
#[template(path = "auth/kept_form.html")]
struct KeptFormPage {
    page: Page,
    action: String,
    fields: Vec<(String, String)>,
    has_file: bool,
    login: String,
}

/// The fields of a form that one of our own pages sent without a session, where it can be shown again. Files are left out.
pub async fn fields(req: &mut ServiceRequest) -> Vec<(String, String)> {
    let ours = req.app_data::<web::Data<State>>().is_some_and(|state| {
        state.look.is_portal()
            && origin::is_ours(req.method(), req.headers(), &state.settings.web.origin)
    });
    if !ours || req.method() != Method::POST || !is_refilled(req.path()) {
        return Vec::new();
    }
    let kind = req.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let (urlencoded, multipart) = (
        kind.starts_with(URLENCODED),
        kind.starts_with("multipart/form-data"),
    );
    // Nobody is signed in here, so nobody may hold the connection by sending slowly.
    let fields = tokio::time::timeout(PATIENCE, async {
        match (urlencoded, multipart) {
            (true, _) => from_urlencoded(req).await,
            (_, true) => from_multipart(req).await,
            _ => None,
        }
    });
    let mut fields = fields.await.ok().flatten().unwrap_or_default();
    fields.retain(|(name, _)| name != MARK && name != SURE);
    if fields.is_empty() || fields.len() >= MOST_FIELDS {
        return Vec::new();
    }
    fields.push((MARK.to_owned(), "true".to_owned()));
    fields
}

fn is_refilled(path: &str) -> bool {
    let of_trash = path.strip_prefix("/trash/");
    let number = of_trash.and_then(|rest| rest.strip_suffix("/restore"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    REFILLED.contains(&path) || number.is_some_and(is_number)
}

/// The 401 page that carries them.
///
/// # Errors
/// 500 when the template fails.
pub fn page(req: &HttpRequest, fields: Vec<(String, String)>) -> AppResult<HttpResponse> {
    // Some say in the address what they are about.
    let asked = req.uri().path_and_query().map_or("/", |pq| pq.as_str());
    let mut response = html(&KeptFormPage {
        page: Page::of(req),
        action: return_to::local_of_any_length(asked),
        has_file: WITH_FILES.contains(&req.path()),
        fields,
        login: return_to::login_url("/account"),
    })?;
    *response.status_mut() = actix_web::http::StatusCode::UNAUTHORIZED;
    let challenge =
        actix_web::http::header::HeaderValue::from_static("Cookie realm=\"Portcullis\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Ok(response)
}

async fn from_urlencoded(req: &mut ServiceRequest) -> Option<Vec<(String, String)>> {
    let payload = req.extract::<web::Payload>().await.ok()?;
    let body = payload.to_bytes_limited(MOST_BYTES).await.ok()?.ok()?;
    Some(url::form_urlencoded::parse(&body).into_owned().collect())
}

/// Up to the first file: our own forms put it last, and its bytes are not read at all.
async fn from_multipart(req: &mut ServiceRequest) -> Option<Vec<(String, String)>> {
    let mut form = req.extract::<Multipart>().await.ok()?;
    let (mut fields, mut bytes) = (Vec::new(), 0);
    while let Some(Ok(mut field)) = form.next().await {
        let is_file = field
            .content_disposition()
            .is_none_or(|disposition| disposition.get_filename().is_some());
        if is_file {
            break;
        }
        let name = field.name().unwrap_or("").to_owned();
        let value = field.bytes(MOST_BYTES).await.ok()?.ok()?;
        bytes += name.len() + value.len();
        if bytes > MOST_BYTES || fields.len() >= MOST_FIELDS {
            return None;
        }
        fields.push((name, String::from_utf8(value.to_vec()).ok()?));
    }
    Some(fields)
}
