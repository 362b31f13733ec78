//! A new folder.

use actix_web::web;
use cap_std::fs::Dir;

use super::relocate::{Eyes, Goal, existing_folder, free};
use super::{Refusal, Shown, item};
use crate::app::{State, finish};
use crate::audit::{self, Action, Event};
use crate::auth::gate;
use crate::auth::user::Editor;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::names::{self, Wrong};
use crate::files::{ItemPath, moving};
use crate::index;
use crate::index::share::{self, Care};
use crate::roles::Role;
use crate::rules::Sight;
use crate::step::lock_all;

/// Looks whether the folder can be made.
///
/// # Errors
/// 404, 409 or 422, with the field that it is about.
pub fn plan(dir: &Dir, sight: &Sight, goal: &Goal) -> Result<ItemPath, Refusal> {
    let above = existing_folder(dir, sight, &goal.folder)?;
    let about_name = |error| Refusal {
        field: "name",
        error,
    };
    let wrong = |wrong: Wrong| about_name(wrong.of("The folder's name"));
    names::check(&goal.name).map_err(wrong)?;
    let path = ItemPath::join(above.as_ref(), &goal.name).ok_or_else(|| wrong(Wrong::TooLong))?;
    names::check_length(&path).map_err(wrong)?;
    if !sight.shows(path.as_str()) {
        return Err(about_name(AppError::NotFound));
    }
    free(dir, sight, &path, None).map_err(about_name)?;
    Ok(path)
}

/// As [`plan`], off the worker.
///
/// # Errors
/// As [`plan`].
pub async fn planned(state: &State, eyes: &Eyes, goal: &Goal) -> Result<ItemPath, Refusal> {
    let (sight, goal) = (eyes.sight.clone(), goal.clone());
    let planned = state.files.run(move |dir| Ok(plan(dir, &sight, &goal)));
    planned.await?
}

/// Makes a folder in one that is there.
///
/// # Errors
/// 404, 409, 422 and 507; nothing was made then.
pub async fn make(state: &web::Data<State>, editor: &Editor, goal: &Goal) -> AppResult<Shown> {
    let (state, editor, goal) = (state.clone(), editor.clone(), goal.clone());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        share::check(&state.index, Care::Scan).await?;
        let mut made = None;
        let done = state
            .db
            .exclusive(Lock::Publish, async |conn: &mut Conn| {
                lock_all(conn).await?;
                let eyes = Eyes::now(conn, &editor.person).await?;
                let path = planned(&state, &eyes, &goal).await;
                let path = path.map_err(|refusal| refusal.error)?;
                index::folders::ensure(conn, Some(&path)).await?;
                let event = Event::new(Action::FolderMade, path.as_str(), "made");
                audit::record(conn, &editor.actor(), &event).await?;
                let making = path.clone();
                let make = move |dir: &Dir| {
                    dir.create_dir(&making)
                        .map_err(|error| moving::refused(error, making.as_str()))
                };
                state.files.run(make).await?;
                made = Some(path);
                Ok::<_, AppError>(())
            })
            .await;
        if let (Err(_), Some(path)) = (&done, made.clone()) {
            // Only an empty folder can be removed so; whatever came into it meanwhile keeps it.
            let unmake = move |dir: &Dir| dir.remove_dir(&path).map_err(AppError::from);
            if let Err(error) = state.files.run(unmake).await {
                log::warn!("a folder that was not written down stays: {error}");
            }
        }
        done?;
        let path = made.ok_or(AppError::NotFound)?;
        item::shown(&state, &Sight::everything(), &path).await
    })
    .await
}
