//! `/api/zip`: a folder, or what somebody selected, as one zip that is made while it is sent. Its length is known before
//! the first byte, because files are stored as they are: `plan` says what goes in, `layout` how it is written, `sending`
//! sends it, `told` tells the audit of every file.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use utoipa::ToSchema;

mod layout;
mod plan;
mod room;
mod sending;
mod told;
mod walk;

pub use room::Room;

use super::ItemPath;
use super::send::{disposition, not_told};
use super::turns::Turn;
use crate::app::State;
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};
use crate::openapi::{ForRoles, ForZips};
use plan::Plan;
use sending::Sending;
use told::{Told, Zip};

/// Files that one zip holds at most.
pub const MOST_FILES: usize = 100_000;
/// The form of a selection, in bytes: ten thousand paths of eight hundred.
const LONGEST_FORM: usize = 8 * 1024 * 1024;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files and folders.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the form, which may be very long")]
struct Selection {
    /// All in this folder and below; empty is the root. Not used beside `path`.
    #[schema(nullable = false)]
    folder: Option<String>,
    /// A file or folder; may be there several times.
    #[schema(nullable = false)]
    path: Option<Vec<String>>,
}

/// What is wanted in the zip.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// All that is in a folder and below; empty is the root.
    folder: Option<String>,
    /// These files, and what is in these folders.
    paths: Vec<String>,
}

impl Wanted {
    /// From the query or the form.
    fn parse(text: &[u8]) -> Self {
        let mut wanted = Self::default();
        // One more than a zip holds says that it is too many.
        for (name, value) in url::form_urlencoded::parse(text).take(MOST_FILES + 2) {
            match name.as_ref() {
                "folder" => wanted.folder = Some(value.into_owned()),
                "path" => wanted.paths.push(value.into_owned()),
                _ => {}
            }
        }
        wanted
    }
}

/// `GET /api/zip?folder=Finance/2026`, or with `path=` once or more: the files in it as one zip, as far as the rules of
/// their folders admit. People with a role.
///
/// # Errors
/// 404 for what is not there; 413 for more than 100,000 files; 422 for none; 429 and 503 as for downloads.
#[utoipa::path(
    get,
    path = "/api/zip",
    operation_id = "zip",
    tag = "Files",
    summary = "Download a folder, or several files and folders, as one zip.",
    description = "Only what you may see. At most 100,000 files.",
    params(
        ("folder" = inline(Option<String>), Query, nullable = false, description = "All in it and below; empty is the root. Not used beside `path`", example = "Reports"),
        ("path" = inline(Option<Vec<String>>), Query, nullable = false, description = "A file or folder; may be there several times"),
    ),
    responses((status = 200, description = "The zip", content_type = "application/zip"), ForZips, ForRoles),
    security(("session" = [])),
)]
pub async fn of_address(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let turn = state.files.turns.take(reader.email())?;
    let wanted = Wanted::parse(req.query_string().as_bytes());
    answer(reader, req, state, wanted, turn).await
}

/// `POST /api/zip`: the same for a form with a field `path` for each of them, which may be very many. People with a role.
///
/// # Errors
/// As for [`of_address`].
#[utoipa::path(
    post,
    path = "/api/zip",
    operation_id = "zip_of_form",
    tag = "Files",
    summary = "The same for a selection that is too long for an address.",
    description = "",
    request_body(content = Selection, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The zip", content_type = "application/zip"), ForZips, ForRoles),
    security(("session" = [])),
)]
pub async fn of_form(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
    form: web::Payload,
) -> AppResult<HttpResponse> {
    // Taken before the form is read, since both take memory.
    let turn = state.files.turns.take(reader.email())?;
    let form = tokio::time::timeout(PATIENCE, form.to_bytes_limited(LONGEST_FORM)).await;
    let form = form.map_err(|_| {
        AppError::Unusable("The selection stopped arriving. Send it again.".to_owned())
    })?;
    let form = form.map_err(|_| {
        AppError::TooLarge(
            "So many are too much for one form. Select the folder that they lie in instead."
                .to_owned(),
        )
    })?;
    let form = form.map_err(|_| {
        AppError::Unusable("The selection did not arrive whole. Send it again.".to_owned())
    })?;
    answer(reader, req, state, Wanted::parse(&form), turn).await
}

async fn answer(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
    wanted: Wanted,
    turn: Turn,
) -> AppResult<HttpResponse> {
    let sight = state.files.rules.sight(&reader.person).await?;
    let (plan, share) = {
        let _turn = state.files.zips.plan(reader.email()).await?;
        let plan = match (wanted.folder, wanted.paths) {
            (_, paths) if !paths.is_empty() => Plan::of_paths(&state, &sight, paths).await?,
            (Some(folder), _) => Plan::of_folder(&state, &sight, &folder).await?,
            (None, _) => return Err(nothing("Nothing is selected.")),
        };
        if plan.is_empty() {
            return Err(nothing("There is no file in what you selected."));
        }
        let share = state.files.zips.take(reader.email(), plan.memory())?;
        (plan, share)
    };
    let length = plan.length();
    let name = plan.name();
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "application/zip"))
        .insert_header((CONTENT_DISPOSITION, disposition("attachment", &name)))
        .insert_header((ACCEPT_RANGES, "none"));
    // A HEAD tells what would come, and leaves no row.
    if req.method() == Method::HEAD {
        let nothing = stream::empty::<Result<web::Bytes, Infallible>>();
        return Ok(response.body(SizedStream::new(length, nothing)));
    }
    let ticket = state.audit.admit().await.map_err(not_told)?;
    let zip = Zip {
        actor: reader.actor(),
        name,
        ticket,
        metrics: state.metrics.clone(),
    };
    let told = Told::new(zip, turn, share);
    let admitted = reader.still_admitted(&state.people);
    let sending = Sending::new(state.files.clone(), plan, sight, admitted, told);
    Ok(response.body(SizedStream::new(length, sending.stream())))
}

fn nothing(why: &str) -> AppError {
    AppError::Unprocessable(format!(
        "{why} Tick the files or folders that you want, then download them."
    ))
}

/// Name of the zip for what lies in `folder`; `None` is the root.
fn file_name(folder: Option<&ItemPath>) -> String {
    match folder {
        // A file system takes 255 bytes, and a browser adds an ending of its own while it loads.
        Some(folder) => {
            let ends = folder.name().char_indices();
            let ends = ends.map(|(at, character)| at + character.len_utf8());
            let end = ends.take_while(|end| *end <= 200).last().unwrap_or(0);
            format!("{}.zip", &folder.name()[..end])
        }
        None => "All files.zip".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_and_a_form_say_the_same() {
        let wanted = Wanted::parse(b"path=a%2Fb.txt&x=1&path=c+d%C3%A4");
        assert_eq!(wanted.paths, ["a/b.txt", "c dä"]);
        assert_eq!(wanted.folder, None);
        assert_eq!(Wanted::parse(b"folder=").folder.as_deref(), Some(""));
    }

    #[test]
    fn the_name_of_a_zip_fits_on_a_disk() {
        let folder = ItemPath::parse(&format!("a/{}", "ü".repeat(127))).unwrap();
        assert!(file_name(Some(&folder)).len() <= 204);
        assert_eq!(file_name(ItemPath::parse("a/b").as_ref()), "b.zip");
    }
}
