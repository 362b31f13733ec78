//! Reads a form that publishes as it arrives, never the whole of it; its files lie on the disk or in the storage then, not yet
//! in their places.

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use futures_util::StreamExt;
use serde::Deserialize;

use super::fields::{broken, in_time, name_of, no_form, skip, switch, text};
use super::place::{target, went_along};
use super::room::{Room, check_room};
use super::stored::{self, Stored};
use crate::app::State;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::incoming::{self, Incoming, Received};
use crate::files::names;
use crate::index::share::{self, Care};

/// Boundaries, headers and text fields around the file.
const AROUND: u64 = 64 * 1024;
/// Files of one form.
const MOST_FILES: usize = 100;

/// A form that arrived. The file is on the disk, not yet in its place.
#[derive(Default)]
pub struct Submission {
    /// The fields beside the file.
    pub typed: Typed,
    /// The files, in their order.
    pub files: Vec<Arrived>,
}

impl Submission {
    /// Bytes of its files that wait in memory; on a disk there are none.
    fn held(&self) -> u64 {
        let held = |file: &Arrived| match &file.content {
            Ok(Content::Object(stored)) => stored.held(),
            _ => 0,
        };
        self.files.iter().map(held).sum()
    }
}

/// A file that came with a form, or why it was not taken.
pub struct Arrived {
    /// Its name.
    pub name: String,
    /// The file itself.
    pub content: AppResult<Content>,
}

/// A file that arrived and is not yet in its place.
pub enum Content {
    /// On the disk.
    File(Received),
    /// In object storage.
    Object(Box<Stored>),
}

/// How many files a form may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// One; what is wrong with it ends the reading.
    One,
    /// Several; what is wrong with one is noted, and the others are read.
    Several,
}

/// What was typed, to be shown again when it cannot be taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Where the file shall go.
    pub folder: String,
    /// One line that says what it is.
    pub title: String,
    /// Whether an existing file shall be replaced.
    pub overwrite: bool,
    /// Which one: the entity tag that it had when it was decided. Empty means whatever is there.
    pub etag: String,
}

impl Typed {
    /// The entity tag of the only file that may be replaced.
    pub fn expected(&self) -> Option<String> {
        Some(self.etag.clone()).filter(|etag| !etag.is_empty())
    }
}

/// Reads the form. Fields may come in any order.
///
/// # Errors
/// 400 for what is no form or broke off, 413 over the limit, 422 for a second file, 507 on a full disk.
pub async fn receive(
    state: &State,
    editor: &Editor,
    req: &HttpRequest,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<Submission> {
    let mut submission = Submission::default();
    read(state, editor, req, form, Files::One, &mut submission).await?;
    Ok(submission)
}

/// As [`receive`], into a submission that keeps what was read when the rest fails.
///
/// # Errors
/// As [`receive`].
pub async fn read(
    state: &State,
    editor: &Editor,
    req: &HttpRequest,
    form: Result<Multipart, actix_web::Error>,
    files: Files,
    submission: &mut Submission,
) -> AppResult<()> {
    let mut form = form.map_err(|_| no_form())?;
    if state.files.storage().is_none() {
        share::check(&state.index, Care::Scan).await?;
    }
    let mut folder_is_known = false;
    let limit = state.files.upload_limit;
    let announced = req
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    while let Some(field) = in_time(form.next()).await? {
        let mut field = field.map_err(broken)?;
        let name = field.name().unwrap_or("").to_owned();
        match name.as_str() {
            "file" => {
                let most = match files {
                    Files::One => limit,
                    Files::Several => limit.saturating_mul(MOST_FILES as u64),
                };
                if announced.is_some_and(|length| length > most.saturating_add(AROUND)) {
                    return Err(incoming::too_large(limit));
                }
                if submission.files.len() == MOST_FILES {
                    return Err(too_many());
                }
                let name = name_of(&field);
                let is_second = files == Files::One && !submission.files.is_empty();
                // A browser sends an empty part without a name when no file was chosen.
                if is_second && !name.is_empty() {
                    return Err(one_alone());
                }
                let folder = folder_is_known.then_some(submission.typed.folder.as_str());
                // Of several, the first one's length is that of all.
                let announced = announced.filter(|_| submission.files.is_empty());
                let held = submission.held();
                let content = receive_content(state, editor, &mut field, folder, announced, held);
                let content = match content.await {
                    Ok(None) => continue,
                    Ok(Some(content)) => Ok(content),
                    Err(wrong @ (AppError::Unprocessable(_) | AppError::TooLarge(_)))
                        if files == Files::Several =>
                    {
                        skip(&mut field, limit).await?;
                        Err(wrong)
                    }
                    Err(error) => return Err(error),
                };
                if is_second {
                    return Err(one_alone());
                }
                submission.files.push(Arrived { name, content });
            }
            "folder" => {
                submission.typed.folder = text(&mut field).await?;
                folder_is_known = true;
            }
            "title" => submission.typed.title = text(&mut field).await?,
            "etag" => submission.typed.etag = text(&mut field).await?,
            "overwrite" => {
                let value = text(&mut field).await?;
                submission.typed.overwrite = switch(&value)?;
            }
            _ => {
                text(&mut field).await?;
            }
        }
    }
    Ok(())
}

/// Takes one file of a form in; `folder` is what the form said of it until now, if it did, and `announced` the length of
/// the whole form.
async fn receive_content(
    state: &State,
    editor: &Editor,
    field: &mut Field,
    folder: Option<&str>,
    announced: Option<u64>,
    held: u64,
) -> AppResult<Option<Content>> {
    let name = name_of(field);
    if !name.is_empty() {
        names::check_kind(&state.settings.files.upload_kinds, &name)?;
    }
    if let Some(storage) = state.files.storage() {
        let stored = stored::receive(state, storage, editor, field, folder, held).await?;
        return Ok(stored.map(|stored| Content::Object(Box::new(stored))));
    }
    // Beside its target if that is known, so that the last step is a rename within one file system.
    let beside = match folder {
        Some(folder) => target(state, editor, folder).await.ok(),
        None => None,
    };
    let beside = beside.map(|target| target.nearest);
    if let Some(bytes) = announced {
        let room = check_room(state, beside.clone(), bytes).await;
        room.map_err(went_along)?;
    }
    let received = receive_file(state, field, beside, &name).await;
    let received = received.map_err(went_along)?;
    Ok(received.map(Content::File))
}

async fn receive_file(
    state: &State,
    field: &mut Field,
    beside: Option<incoming::Folder>,
    name: &str,
) -> AppResult<Option<Received>> {
    let mut room = Room::new(state, beside.clone());
    let mut incoming = Incoming::begin(&state.files, beside).await?;
    let mut any = false;
    while let Some(chunk) = in_time(field.next()).await? {
        let chunk = chunk.map_err(broken)?;
        any = true;
        room.take(chunk.len() as u64).await?;
        incoming.write(&chunk).await?;
    }
    // A browser sends an empty part without a name when no file was chosen.
    if name.is_empty() && !any {
        return Ok(None);
    }
    Ok(Some(incoming.finish().await?))
}

/// Nobody could know which of the files was meant.
fn one_alone() -> AppError {
    AppError::Unprocessable(
        "A form brings one file here, so nothing was published. Send a form for each file."
            .to_owned(),
    )
}

fn too_many() -> AppError {
    AppError::Unprocessable(format!(
        "A form brings {MOST_FILES} files at most, so nothing was published. Choose fewer at a time."
    ))
}
