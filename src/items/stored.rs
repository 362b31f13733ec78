//! Publishing and deleting where the files lie in object storage. What shall be done is written down first, then the storage
//! does it, then row and audit follow; see [`crate::step::stored`].

use std::time::Duration;

use actix_multipart::Field;
use actix_web::web;
use futures_util::StreamExt;

use super::fields;
use super::form::Typed;
use super::listing::Listed;
use super::place::{checked_name, title};
use crate::app::{State, finish};
use crate::auth::gate;
use crate::auth::user::{CurrentUser, Editor};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::moving::is_meant;
use crate::files::names::{self, Wrong};
use crate::files::storage::{Object, Placed, Storage, Upload, Uploaded};
use crate::index::Item;
use crate::roles::Role;
use crate::step::stored::{Change, Note, begin, row};

/// How often, and how long apart, the database is asked what became of a commit.
const ASKED_AGAIN: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// A file that arrived and is not yet in its place.
pub struct Stored {
    name: String,
    uploaded: Uploaded,
}

impl Stored {
    /// Bytes of it that wait in memory.
    pub fn held(&self) -> u64 {
        self.uploaded.held()
    }
}

/// Sends the file to the storage while it arrives. `folder` is what the form said of it until now, if it did; `held` is
/// how many bytes of its other files wait in memory.
///
/// # Errors
/// 404 and 422 for a place that cannot be, 413 over the limit, 503 when the storage does not answer.
pub async fn receive(
    state: &State,
    storage: &Storage,
    editor: &Editor,
    field: &mut Field,
    folder: Option<&str>,
    held: u64,
) -> AppResult<Option<Stored>> {
    let name = fields::name_of(field);
    let path = match folder {
        Some(folder) if !name.is_empty() => Some(place(state, editor, folder, &name).await?),
        // Until something else is said, it goes to the top.
        _ => place(state, editor, "", &name).await.ok(),
    };
    let mut upload = Upload::begin(storage, path, state.files.upload_limit);
    let mut any = false;
    while let Some(chunk) = fields::in_time(field.next()).await? {
        let chunk = chunk.map_err(fields::broken)?;
        any = true;
        upload.write(&chunk).await?;
    }
    // A browser sends an empty part without a name when no file was chosen.
    if name.is_empty() && !any {
        return Ok(None);
    }
    let uploaded = upload.finish(held).await?;
    Ok(Some(Stored { name, uploaded }))
}

/// Puts it in its place. Either object, row and audit are there afterwards, or none of them; only what was replaced does
/// not come back.
///
/// # Errors
/// 409 for a name that is taken, 412 when another object is there than the one to be replaced, 422 for a name or title that
/// cannot be, 503 when the storage does not answer.
pub async fn publish(
    state: &web::Data<State>,
    editor: &Editor,
    stored: Stored,
    typed: &Typed,
) -> AppResult<Listed> {
    let Stored { name, uploaded } = stored;
    let title = title(&typed.title)?;
    let (state, editor, typed) = (state.clone(), editor.clone(), typed.clone());
    finish(async move {
        // The body may have taken hours; what counts is what they may do now.
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let path = place(&state, &editor, &typed.folder, &name).await?;
        let before = uploaded.check(&path, typed.overwrite).await?;
        expect_of(before.as_ref(), typed.expected())?;
        let change = Change::Publish {
            title,
            size: uploaded.size,
            sha256: uploaded.sha256.clone(),
            crc32: uploaded.crc32,
            overwrite: typed.overwrite,
        };
        let storage = state.files.storage().ok_or(AppError::NotFound)?;
        let note = begin(&state.db, storage, &editor.actor(), &path, change).await?;
        let placed = match uploaded.place(&path, before).await {
            Ok(placed) => placed,
            Err(error) => {
                // A request that was repeated after a lost answer meets what it has put there itself.
                note.leave(&state.db).await;
                return Err(error);
            }
        };
        match note.published(&state.db, &placed).await {
            Ok(item) => listed(item),
            Err(error) => unwritten(&state, &note, &placed, &path, error).await,
        }
    })
    .await
}

/// The note goes when it is sure that nothing happened.
async fn given_up(state: &State, note: &Note, error: AppError) -> AppError {
    match error {
        AppError::StorageAway(_) => note.leave(&state.db).await,
        _ => note.forget(&state.db).await,
    }
    error
}

/// A commit whose answer was lost may have happened. If it did not, the file is taken back as far as it can be.
async fn unwritten(
    state: &State,
    note: &Note,
    placed: &Placed,
    path: &ItemPath,
    error: AppError,
) -> AppResult<Listed> {
    match stands(state, note).await {
        Some(true) => {}
        Some(false) => {
            let item = row(&state.db, path).await?;
            return item.map_or(Err(error), listed);
        }
        // The note is looked at later.
        None => return Err(error),
    }
    match placed.take_back().await {
        Ok(true) => note.forget(&state.db).await,
        Ok(false) => note.leave(&state.db).await,
        Err(away) => {
            let cause = away.cause().unwrap_or_else(|| away.to_string());
            log::warn!("{path} could not be taken back, and is looked at later: {cause}");
            note.leave(&state.db).await;
        }
    }
    Err(error)
}

/// Whether the note stands, asked for a while; `None` without an answer.
async fn stands(state: &State, note: &Note) -> Option<bool> {
    for _ in 0..ASKED_AGAIN {
        match note.stands(&state.db).await {
            Ok(stands) => return Some(stands),
            Err(error) => log::warn!("whether a file was published is not known yet: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

fn listed(item: Item) -> AppResult<Listed> {
    Listed::of_item(item)
        .ok_or_else(|| AppError::Internal("a path that was published is none".to_owned()))
}

/// What lies at `path`, for somebody who may delete it.
///
/// # Errors
/// 404 for what is not there or not to be seen; 503 when the storage does not answer.
pub async fn found(
    state: &State,
    storage: &Storage,
    editor: &CurrentUser,
    path: &ItemPath,
) -> AppResult<Object> {
    let sight = state.files.rules.sight(&editor.person).await?;
    match sight.shows(path.as_str()) {
        true => storage.look(path).await,
        false => Err(AppError::NotFound),
    }
}

/// Deletes the object at `path` for good: there is no trash in object storage, though a container or bucket may keep what
/// was deleted by itself.
///
/// # Errors
/// As [`found`]; 412 when it is not what was `expected` (`If-Match`); nothing was deleted then, unless the storage did not
/// answer.
pub async fn delete(
    state: &web::Data<State>,
    storage: &Storage,
    editor: &Editor,
    path: &ItemPath,
    expected: Option<String>,
) -> AppResult<()> {
    let (state, storage) = (state.clone(), storage.clone());
    let (editor, path) = (editor.clone(), path.clone());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let object = found(&state, &storage, &editor, &path).await?;
        expect(&object, expected.as_deref())?;
        let before = row(&state.db, &path).await?;
        let change = Change::Delete { size: object.size };
        let note = begin(&state.db, &storage, &editor.actor(), &path, change).await?;
        if let Err(error) = remove(&storage, &path, &object).await {
            return Err(given_up(&state, &note, error).await);
        }
        let mut done = note.deleted(&state.db, &before).await;
        for _ in 0..ASKED_AGAIN {
            // It is gone, so only the database can be waited for; with a lost answer, it knows already.
            if done.is_ok() || stands(&state, &note).await == Some(false) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            done = note.deleted(&state.db, &before).await;
        }
        note.leave(&state.db).await;
        done
    })
    .await
}

/// Refuses to replace another object than the one that was meant.
fn expect_of(before: Option<&Object>, expected: Option<String>) -> AppResult<()> {
    match (before, expected) {
        (_, None) => Ok(()),
        (None, Some(_)) => Err(AppError::Changed),
        (Some(object), expected) => expect(object, expected.as_deref()),
    }
}

fn expect(object: &Object, expected: Option<&str>) -> AppResult<()> {
    let etag = object.etag.as_deref().unwrap_or_default();
    match expected.is_none_or(|expected| is_meant(expected, etag)) {
        true => Ok(()),
        false => Err(AppError::Changed),
    }
}

/// Removes what lies there, as long as it is what was looked at.
async fn remove(storage: &Storage, path: &ItemPath, object: &Object) -> AppResult<()> {
    match storage.look(path).await? == *object {
        true => storage.remove(path).await,
        false => Err(AppError::Changed),
    }
}

/// Where the file shall go, if this person may know of it.
async fn place(
    state: &State,
    editor: &CurrentUser,
    folder: &str,
    name: &str,
) -> AppResult<ItemPath> {
    let folder = names::folder(folder)?;
    let name = checked_name(name)?;
    let sight = state.files.rules.sight(&editor.person).await?;
    if !sight.shows(folder.as_ref().map_or("", ItemPath::as_str)) {
        return Err(AppError::NotFound);
    }
    if let Some(folder) = &folder {
        check_folder(state, folder).await?;
    }
    let path = ItemPath::join(folder.as_ref(), name)
        .ok_or_else(|| Wrong::TooLong.of("The file's name"))?;
    names::check_length(&path).map_err(|wrong| wrong.of("The file's name"))?;
    // A rule may stand for this very name.
    match sight.shows(path.as_str()) {
        true => Ok(path),
        false => Err(AppError::NotFound),
    }
}

/// A folder that is there may be called as it likes; a new one has a name that every system can hold.
async fn check_folder(state: &State, folder: &ItemPath) -> AppResult<()> {
    let wrong = folder
        .as_str()
        .split('/')
        .find_map(|name| names::check(name).err());
    let Some(wrong) = wrong else {
        return Ok(());
    };
    match state.index.refresh(Some(folder), false).await {
        Err(AppError::NotFound) => Err(wrong.of("The folder's name")),
        known => known.map(drop),
    }
}
