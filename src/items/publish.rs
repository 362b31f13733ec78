//! Puts a file that arrived in its place: file, row and audit together, or none of them.

use actix_web::web;
use cap_std::fs::Dir;

use super::form::{Arrived, Content, Submission, Typed};
use super::listing::Listed;
use super::place::{Place, check_meant, place, renamed_meanwhile, went_along};
use super::stored;
use crate::app::{State, finish};
use crate::auth::gate;
use crate::auth::user::Editor;
use crate::clock;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::incoming::{self, Received};
use crate::files::{ItemPath, Target, names};
use crate::index::share::{self, Care};
use crate::index::{self, Publication};
use crate::roles::Role;
use crate::rules::{self, Sight};
use crate::step::{Step, written_down};

/// Puts the file in its place. Either file, row and audit are there afterwards, or none of them.
///
/// # Errors
/// 409 for a name that is taken, 412 when another file is there than the one to be replaced, 422 for a name or title that
/// cannot be.
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
        Content::Object(stored) => return stored::publish(state, editor, *stored, typed).await,
    };
    let place = place(state, editor, &arrived.name, typed).await?;
    let alone = async |_: &mut Conn, _: &ItemPath| Ok(());
    publish_at(state, editor, place, received, alone).await
}

/// 422 for a form without a file.
pub fn no_file() -> AppError {
    AppError::Unprocessable("There is no file in the form. Choose one, then publish.".to_owned())
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
        expected,
    } = place;
    share::check(&state.index, Care::Scan).await?;
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
                check_meant(dir, &path, expected.as_deref())?;
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
