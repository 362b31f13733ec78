//! `/api/uploads`: publishing in pieces, by the tus protocol.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::{HttpDate, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use tokio::sync::oneshot;

use super::protocol::{self, CHECKSUMS, EXTENSIONS, Piece, VERSION};
use super::receive::{self, Standing};
use super::store::{self, Sum, Upload};
use super::{KEPT_FOR, MOST, MOST_LARGEST, metadata, path_of};
use crate::app::{State, finish};
use crate::auth::user::Editor;
use crate::clock;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::hidden;
use crate::files::incoming::{self, human_size, random_name};
use crate::index::share::{self, Care};
use crate::items::place;
use crate::openapi::{ForRoles, ForUploads};

/// `OPTIONS /api/uploads`: what the portal can do. Editors.
///
/// # Errors
/// None of its own.
pub async fn options(_: Editor, state: web::Data<State>) -> AppResult<HttpResponse> {
    Ok(HttpResponse::NoContent()
        .insert_header(("Tus-Version", VERSION))
        .insert_header(("Tus-Extension", EXTENSIONS))
        .insert_header(("Tus-Max-Size", state.files.upload_limit))
        .insert_header(("Tus-Checksum-Algorithm", CHECKSUMS))
        .finish())
}

/// `POST /api/uploads`: begins an upload; its address is in `Location`. Editors. Bytes may come with it.
///
/// # Errors
/// 409 for a name that is taken, 413 over the limit, 422 for a name that cannot be, 429 for too many, 507 without room.
#[utoipa::path(
    post,
    path = "/api/uploads",
    operation_id = "begin_upload",
    tag = "Items",
    summary = "Begin an upload in pieces.",
    description = "For editors and admins, by tus 1.0.0 with creation-with-upload, termination, expiration and checksum.",
    params(
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = u64, Header, description = "Bytes of the whole file"),
        ("Upload-Metadata" = Option<String>, Header, description = "filename, folder, title, overwrite and etag (of the only file that may be replaced), each with a Base64 value"),
    ),
    responses(
        (status = 201, description = "It has begun",
            headers(("Location" = String, description = "Where the bytes go"), ("Upload-Offset" = u64, description = "Bytes that came with it"))),
        ForRoles,
        ForUploads,
    ),
    security(("session" = [])),
)]
pub async fn create(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    body: web::Payload,
) -> AppResult<HttpResponse> {
    protocol::check_version(&req)?;
    let size = protocol::length(&req)?;
    let first = protocol::first_piece(&req)?;
    let header = protocol::metadata(&req)?.unwrap_or_default();
    if size > state.files.upload_limit {
        return Err(incoming::too_large(state.files.upload_limit));
    }
    let metadata = metadata::read(&header)?;
    let place = place::place(&state, &editor, &metadata.name, &metadata.typed).await?;
    place.check_free(&state).await?;
    let id = random_name()?;
    let expires_at = clock::now() + clock::span(KEPT_FOR);
    let length = i64::try_from(size).unwrap_or(i64::MAX);
    let upload = Upload::new(id.clone(), &editor.owner(), header, length, expires_at);
    let (task_state, begun) = (state.clone(), upload.clone());
    finish(async move { begin(&task_state, begun).await }).await?;

    // A file without bytes is complete from the beginning.
    let first = first.or_else(|| (size == 0).then(Piece::empty));
    let standing = match first {
        Some(piece) => take(state, editor, upload, piece, body, Otherwise::Forget).await?,
        None => Standing::of(&upload),
    };
    let mut answer = HttpResponse::Created();
    answer.insert_header((LOCATION, format!("/api/uploads/{id}")));
    tell(&mut answer, &standing);
    Ok(answer.finish())
}

/// `HEAD /api/uploads/{id}`: how far an upload has come. Editors, their own.
///
/// # Errors
/// 404, 410.
pub async fn head(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    let upload = asked(&req, &state, &editor, &id).await?;
    let mut answer = HttpResponse::Ok();
    tell(&mut answer, &Standing::of(&upload));
    answer.insert_header(("Upload-Length", upload.size));
    if !upload.metadata.is_empty() {
        answer.insert_header(("Upload-Metadata", upload.metadata));
    }
    Ok(answer.finish())
}

/// `PATCH /api/uploads/{id}`: the next bytes; with the last one the file is published, and `Upload-Item` says where it can
/// be downloaded. Editors, their own.
///
/// # Errors
/// 409 for another offset or a name that is taken, 413, 423, 460, 507; 404, 410, 415 before that.
#[utoipa::path(
    patch,
    path = "/api/uploads/{id}",
    operation_id = "continue_upload",
    tag = "Items",
    summary = "Send the next bytes of an upload.",
    description = "The last byte publishes the file. HEAD tells how far it has come.",
    params(
        ("id" = String, Path, description = "As `Location` told it"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Where the bytes begin"),
        ("Upload-Checksum" = Option<String>, Header, description = "sha1 or sha256, a space, and the checksum in Base64"),
        ("Upload-Metadata" = Option<String>, Header, description = "Instead of that given before"),
    ),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "The bytes are on the disk",
            headers(("Upload-Offset" = u64, description = "Bytes that have arrived"), ("Upload-Item" = String, description = "Where the file is downloaded, once it is published"))),
        ForRoles,
        ForUploads,
    ),
    security(("session" = [])),
)]
pub async fn patch(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
    body: web::Payload,
) -> AppResult<HttpResponse> {
    let upload = asked(&req, &state, &editor, &id).await?;
    let piece = protocol::piece(&req)?;
    let standing = take(state, editor, upload, piece, body, Otherwise::Keep).await?;
    let mut answer = HttpResponse::NoContent();
    tell(&mut answer, &standing);
    Ok(answer.finish())
}

/// `DELETE /api/uploads/{id}`: gives an upload up. What it published stays. Editors, their own.
///
/// # Errors
/// 404, 410.
#[utoipa::path(
    delete,
    path = "/api/uploads/{id}",
    operation_id = "give_upload_up",
    tag = "Items",
    summary = "Give an upload up.",
    description = "What it published stays.",
    params(
        ("id" = String, Path, description = "As `Location` told it"),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        ForRoles,
        ForUploads,
    ),
    security(("session" = [])),
)]
pub async fn delete(
    editor: Editor,
    req: HttpRequest,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    asked(&req, &state, &editor, &id).await?;
    finish(async move { remove(&state, &id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The upload that a request is about.
async fn asked(req: &HttpRequest, state: &State, editor: &Editor, id: &str) -> AppResult<Upload> {
    protocol::check_version(req)?;
    receive::find(state, editor, id).await
}

/// What becomes of an upload whose bytes could not be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    /// Its sender goes on with it.
    Keep,
    /// Its sender does not know its address yet, so nobody could go on with it.
    Forget,
}

/// Takes bytes as long as the client is there, and then ends in peace.
async fn take(
    state: web::Data<State>,
    editor: Editor,
    upload: Upload,
    piece: Piece,
    body: web::Payload,
    otherwise: Otherwise,
) -> AppResult<Standing> {
    // Dropped with this future, when the client hangs up.
    let (_alive, gone) = oneshot::channel();
    let taken = finish(async move {
        let id = upload.id.clone();
        let taken = receive::piece(&state, &editor, upload, piece, body, gone).await;
        if taken.is_err() && otherwise == Otherwise::Forget {
            remove(&state, &id).await?;
        }
        taken
    });
    taken.await
}

/// Makes the hidden file and the row, if there is room for both.
async fn begin(state: &State, upload: Upload) -> AppResult<()> {
    share::check(&state.index, Care::Scan).await?;
    let path = path_of(&upload.id);
    let made = path.clone();
    state
        .files
        .run(move |dir| hidden::create(dir, &made))
        .await?;
    let size = u64::try_from(upload.size).unwrap_or(0);
    let most = state.files.upload_limit.saturating_mul(MOST_LARGEST);
    let written = state
        .db
        .exclusive(Lock::Uploads, async |conn: &mut Conn| {
            may_begin(&store::open(conn, &upload).await?, size, most)?;
            let promised = store::promised(conn).await?;
            hidden::check_room(&state.files, None, size, promised).await?;
            Ok(store::insert(conn, &upload).await?)
        })
        .await;
    if written.is_err() {
        state
            .files
            .run(move |dir| hidden::remove(dir, &path))
            .await?;
    }
    written
}

/// Refuses one more of `size` bytes to a person who has those `open`; together they may have `most`.
fn may_begin(open: &Sum, size: u64, most: u64) -> AppResult<()> {
    let bytes = u64::try_from(open.bytes).unwrap_or(u64::MAX);
    if open.uploads >= MOST {
        return Err(AppError::TooManyUploads(format!("{MOST} uploads")));
    }
    if bytes.saturating_add(size) > most {
        let most = human_size(most);
        return Err(AppError::TooManyUploads(format!(
            "uploads of {most} together"
        )));
    }
    Ok(())
}

/// The row first: whoever writes finds it gone, and nobody can publish what has no bytes.
async fn remove(state: &State, id: &str) -> AppResult<()> {
    let mut conn = state.db.conn().await?;
    store::remove(&mut conn, id).await?;
    drop(conn);
    state.uploads.remove_bytes(id).await
}

fn tell(answer: &mut HttpResponseBuilder, standing: &Standing) {
    let seconds = u64::try_from(standing.expires_at / clock::SECOND).unwrap_or(0);
    let expires = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds));
    answer.insert_header(("Upload-Offset", standing.offset));
    answer.insert_header(("Upload-Expires", expires.to_string()));
    if let Some(item) = &standing.item {
        answer.insert_header(("Upload-Item", item.download_url()));
    }
}
