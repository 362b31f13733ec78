//! Takes a file in: reads the form as it arrives, never the whole of it, and puts file, row and audit in place together.

use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use cap_std::fs::Dir;
use futures_util::StreamExt;
use serde::Deserialize;

use super::listing::Listed;
use super::room::Room;
use super::stored::{self, Stored};
use super::uploads;
use crate::app::{State, finish};
use crate::auth::gate;
use crate::auth::user::Editor;
use crate::clock;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::incoming::{self, Incoming, Received};
use crate::files::names::{self, Wrong};
use crate::files::{ItemPath, Target, hidden};
use crate::index::{self, Publication};
use crate::roles::Role;
use crate::rules::{self, Sight};
use crate::step::{Step, written_down};

/// Longest text field, in bytes.
const LONGEST_FIELD: usize = 4_096;
const LONGEST_TITLE: usize = 200;
/// Boundaries, headers and text fields around the file.
const AROUND: u64 = 64 * 1024;
/// Files of one form.
const MOST_FILES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// A form that arrived. The file is on the disk, not yet in its place.
#[derive(Default)]
pub struct Submission {
    /// The fields beside the file.
    pub typed: Typed,
    /// The files, in their order.
    pub files: Vec<Arrived>,
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
    Object(Stored),
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
}

/// Reads the form. Fields may come in any order.
///
/// # Errors
/// 400 for what is no form or broke off, 413 over the limit, 507 on a full disk.
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
                let folder = folder_is_known.then_some(submission.typed.folder.as_str());
                // Of several, the first one's length is that of all.
                let announced = announced.filter(|_| submission.files.is_empty());
                let content = receive_content(state, editor, &mut field, folder, announced);
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
                if files == Files::One {
                    submission.files.clear();
                }
                submission.files.push(Arrived { name, content });
            }
            "folder" => {
                submission.typed.folder = text(&mut field).await?;
                folder_is_known = true;
            }
            "title" => submission.typed.title = text(&mut field).await?,
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

/// Puts the file in its place. Either file, row and audit are there afterwards, or none of them.
///
/// # Errors
/// 409 for a name that is taken, 422 for a name or title that cannot be.
pub async fn publish(
    state: &web::Data<State>,
    editor: &Editor,
    submission: Submission,
) -> AppResult<Listed> {
    let arrived = submission.files.into_iter().next().ok_or_else(no_file)?;
    publish_one(state, editor, &submission.typed, arrived).await
}

/// Puts one of the files of a form in its place.
///
/// # Errors
/// As [`publish`], and why it was not taken in the first place.
pub async fn publish_one(
    state: &web::Data<State>,
    editor: &Editor,
    typed: &Typed,
    arrived: Arrived,
) -> AppResult<Listed> {
    let received = match arrived.content? {
        Content::File(received) => received,
        Content::Object(stored) => return stored::publish(state, editor, stored, typed).await,
    };
    let place = place(state, editor, &arrived.name, typed).await?;
    let alone = async |_: &mut Conn, _: &ItemPath| Ok(());
    publish_at(state, editor, place, received, alone).await
}

/// 422 for a form without a file.
pub fn no_file() -> AppError {
    AppError::Unprocessable("There is no file in the form. Choose one, then publish.".to_owned())
}

/// Where a file shall go and under which title, checked.
pub struct Place {
    /// The file's path.
    pub path: ItemPath,
    folder: String,
    target: Target,
    title: Option<String>,
    overwrite: bool,
}

/// Checks name, folder and title, and whether `editor` may publish there.
///
/// # Errors
/// 404 for a folder that they may not see, 422 for a name, folder or title that cannot be.
pub async fn place(state: &State, editor: &Editor, name: &str, typed: &Typed) -> AppResult<Place> {
    let title = title(&typed.title)?;
    let name = checked_name(name)?;
    names::check_kind(&state.settings.files.upload_kinds, name)?;
    let target = target(state, editor, &typed.folder).await?;
    let path = ItemPath::join(target.folder.as_ref(), name)
        .ok_or_else(|| Wrong::TooLong.of("The file's name"))?;
    names::check_length(&path).map_err(|wrong| wrong.of("The file's name"))?;
    // A rule may stand for this very name.
    let sight = state.files.rules.sight(&editor.person).await?;
    if !sight.shows(path.as_str()) {
        return Err(AppError::NotFound);
    }
    Ok(Place {
        path,
        folder: typed.folder.clone(),
        target,
        title,
        overwrite: typed.overwrite,
    })
}

impl Place {
    /// Refuses a name that is taken, before the bytes travel; whether it still is free counts at the end.
    ///
    /// # Errors
    /// 409.
    pub async fn check_free(&self, state: &State) -> AppResult<()> {
        let (path, overwrite) = (self.path.clone(), self.overwrite);
        let look = move |dir: &Dir| match dir.symlink_metadata(&path) {
            Ok(found) if found.is_dir() => Err(incoming::is_folder(&path)),
            Ok(_) if !overwrite => Err(incoming::taken(&path)),
            _ => Ok(()),
        };
        state.files.run(look).await
    }
}

/// Puts a file that was received in its place. `also` runs in the same transaction, before the
/// file takes its name.
///
/// # Errors
/// As [`publish`], and those of `also`; nothing has changed then.
pub async fn publish_at(
    state: &web::Data<State>,
    editor: &Editor,
    place: Place,
    received: Received,
    also: impl AsyncFnOnce(&mut Conn, &ItemPath) -> AppResult<()> + 'static,
) -> AppResult<Listed> {
    let Place {
        path,
        folder,
        target,
        title,
        overwrite,
    } = place;
    let received = received
        .bring_beside(&state.files, target.nearest.clone())
        .await
        .map_err(went_along)?;
    let publication = Publication {
        path: path.clone(),
        title,
        owner: editor.email().to_owned(),
        size: i64::try_from(received.size).unwrap_or(i64::MAX),
        modified_at: clock::micros(received.modified),
        sha256: received.sha256.clone(),
        crc32: received.crc32,
    };
    let step = step(state, &received, &path, overwrite).await?;
    let (actor, state, editor) = (editor.actor(), state.clone(), editor.clone());
    finish(async move {
        // The body may have taken hours; what counts is what they may do now.
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        written_down(&state, &step, async |conn: &mut Conn| {
            conn.lock(Lock::FolderRules).await?;
            let rules = rules::store::in_force(conn).await?.rules();
            let sight = Sight::new(&rules, &editor.person);
            let item = index::published(conn, &actor, &publication).await?;
            also(conn, &path).await?;
            let aside = step.aside.clone();
            let place = move |dir: &Dir| {
                still_there(dir, &sight, &folder, &target)?;
                if !sight.shows(path.as_str()) {
                    return Err(AppError::NotFound);
                }
                received.place(dir, &sight, &path, aside.as_deref())
            };
            state.files.run(place).await?;
            Listed::of_item(item)
                .ok_or_else(|| AppError::Internal("a path that was published is none".to_owned()))
        })
        .await
    })
    .await
}

async fn step(
    state: &State,
    received: &Received,
    path: &ItemPath,
    overwrite: bool,
) -> AppResult<Step> {
    let lies_at = received.lies_at(&state.files).await;
    let (from, inode) = lies_at.map_err(went_along)?;
    let aside = overwrite.then(|| incoming::aside(path)).transpose()?;
    Ok(Step {
        from,
        to: path.to_string(),
        inode,
        aside,
    })
}

/// Refuses when the folder was renamed, moved or hidden since it was looked up: making it anew would put the file where
/// nobody meant it to be, and under no rule.
fn still_there(dir: &Dir, sight: &Sight, folder: &str, target: &Target) -> AppResult<()> {
    let now = Target::resolve(dir, sight, names::folder(folder)?.as_ref())?;
    let was_there = target.nearest.0 == target.folder;
    let is_there = now.nearest.0 == now.folder;
    if now.folder == target.folder && (is_there || !was_there) {
        return Ok(());
    }
    Err(renamed_meanwhile())
}

/// What arrived lies beside its target, and goes along when that folder is renamed.
fn went_along(error: AppError) -> AppError {
    match error {
        AppError::NotFound => renamed_meanwhile(),
        error => error,
    }
}

fn renamed_meanwhile() -> AppError {
    AppError::Conflict(
        "The folder was renamed, moved or removed while the file arrived. Look for it in the list of files, and publish there."
            .to_owned(),
    )
}

/// Where the file shall go.
///
/// # Errors
/// 422 for a name that no folder can have; see [`Target::resolve`].
async fn target(state: &State, editor: &Editor, folder: &str) -> AppResult<Target> {
    let folder = names::folder(folder)?;
    let sight = state.files.rules.sight(&editor.person).await?;
    state
        .files
        .run(move |dir| Target::resolve(dir, &sight, folder.as_ref()))
        .await
}

/// Refuses bytes for which there is no room beside those that were promised to uploads.
///
/// # Errors
/// 507.
pub(super) async fn check_room(
    state: &State,
    beside: Option<incoming::Folder>,
    bytes: u64,
) -> AppResult<()> {
    let mut conn = state.db.conn().await?;
    let promised = uploads::store::promised(&mut conn).await?;
    drop(conn);
    hidden::check_room(&state.files, beside, bytes, promised).await
}

/// Takes one file of a form in; `folder` is what the form said of it until now, if it did, and `announced` the length of
/// the whole form.
async fn receive_content(
    state: &State,
    editor: &Editor,
    field: &mut Field,
    folder: Option<&str>,
    announced: Option<u64>,
) -> AppResult<Option<Content>> {
    let name = name_of(field);
    if !name.is_empty() {
        names::check_kind(&state.settings.files.upload_kinds, &name)?;
    }
    if let Some(storage) = state.files.storage() {
        let stored = stored::receive(state, storage, editor, field, folder).await?;
        return Ok(stored.map(Content::Object));
    }
    // Beside its target if that is known, so that the last step is a rename within one file system.
    let beside = match folder {
        Some(folder) => target(state, editor, folder).await.ok(),
        None => None,
    };
    let beside = beside.map(|target| target.nearest);
    if let Some(bytes) = announced {
        check_room(state, beside.clone(), bytes).await?;
    }
    let received = receive_file(state, field, beside, &name).await?;
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

/// Throws away what is left of a file that is not taken, so that those behind it arrive; `most` bytes of it.
async fn skip(field: &mut Field, most: u64) -> AppResult<()> {
    let mut skipped = 0;
    while let Some(chunk) = in_time(field.next()).await? {
        skipped += chunk.map_err(broken)?.len() as u64;
        if skipped > most {
            return Err(incoming::too_large(most));
        }
    }
    Ok(())
}

fn too_many() -> AppError {
    AppError::Unprocessable(format!(
        "A form brings {MOST_FILES} files at most, so nothing was published. Choose fewer at a time."
    ))
}

/// The file's own name, as far as the form tells it.
pub(super) fn name_of(field: &Field) -> String {
    field
        .content_disposition()
        .and_then(|disposition| disposition.get_filename())
        .map(last_name)
        .unwrap_or_default()
}

async fn text(field: &mut Field) -> AppResult<String> {
    let bytes = in_time(field.bytes(LONGEST_FIELD))
        .await?
        .map_err(|_| AppError::TooLarge("A text field of the form is too long.".to_owned()))?
        .map_err(broken)?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| AppError::Unprocessable("A text field of the form is not UTF-8.".to_owned()))
}

/// A client that sends nothing for so long has gone away, or means to hold the connection.
pub(super) async fn in_time<T>(next: impl Future<Output = T>) -> AppResult<T> {
    tokio::time::timeout(PATIENCE, next).await.map_err(|_| {
        AppError::Unusable(
            "The form stopped arriving, so nothing was published. Try again.".to_owned(),
        )
    })
}

/// Some clients send the whole path of the file; only its last name counts.
pub fn last_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or("").to_owned()
}

pub(super) fn checked_name(name: &str) -> AppResult<&str> {
    names::check(name).map_err(|wrong| wrong.of("The file's name"))?;
    Ok(name)
}

/// What is neither yes nor no is refused: nobody knows whether a file was to be replaced.
///
/// # Errors
/// 422.
pub fn switch(value: &str) -> AppResult<bool> {
    match value {
        "true" | "1" | "on" | "yes" => Ok(true),
        "" | "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(AppError::Unprocessable(
            "The field overwrite has to be true or false.".to_owned(),
        )),
    }
}

/// The title that was typed, trimmed; nothing for an empty one.
///
/// # Errors
/// 422 for more than one line, or too long a one.
pub fn title(title: &str) -> AppResult<Option<String>> {
    let title = title.trim();
    if title.chars().count() > LONGEST_TITLE || title.chars().any(names::is_unseen) {
        return Err(AppError::Unprocessable(format!(
            "The title has to be one line of at most {LONGEST_TITLE} characters."
        )));
    }
    Ok((!title.is_empty()).then(|| title.to_owned()))
}

fn no_form() -> AppError {
    AppError::Unusable(
        "Send a form of the type multipart/form-data with the field “file”.".to_owned(),
    )
}

pub(super) fn broken(error: actix_multipart::MultipartError) -> AppError {
    use actix_multipart::MultipartError as Wrong;
    log::debug!("a form broke off: {error}");
    if let Wrong::ContentTypeMissing
    | Wrong::ContentTypeParse
    | Wrong::ContentTypeIncompatible
    | Wrong::BoundaryMissing = error
    {
        return no_form();
    }
    AppError::Unusable(
        "The form did not arrive whole, so nothing was published. Try again.".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_inside_and_visible() {
        let folder = |text| names::folder(text).map(|folder| folder.map(|path| path.to_string()));
        assert_eq!(folder("").unwrap(), None);
        assert_eq!(
            folder(" /Finance/2026/ ").unwrap().as_deref(),
            Some("Finance/2026")
        );
        for wrong in [
            "..",
            "a/../..",
            ".portcullis",
            "a//b",
            "a\0b",
            &"a/".repeat(600),
        ] {
            assert!(folder(wrong).is_err(), "{wrong:?}");
        }
        assert!(checked_name("a.txt").is_ok());
        for wrong in ["", "..", ".htaccess", "a\nb", "a/b", "CON", "a:b"] {
            assert!(checked_name(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(last_name("C:\\fakepath\\x.pdf"), "x.pdf");
        assert_eq!(last_name("../../etc/passwd"), "passwd");
    }
}
