//! Bringing back: to where it came from, or to another place.

use actix_web::web;
use cap_std::fs::Dir;

use super::{Entry, entry, origin, shows, store};
use crate::app::{State, finish};
use crate::audit::{self, Action, Event};
use crate::auth::gate;
use crate::auth::user::{CurrentUser, Editor};
use crate::changing::relocate::{Eyes, Goal, Refusal, existing_folder, free};
use crate::changing::{Shown, item};
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::files::names::{self, Wrong};
use crate::files::{ItemPath, Target, moving};
use crate::index;
use crate::roles::Role;
use crate::rules::{Sight, is_within};
use crate::step::{Step, carry_out};

/// Looks whether an entry can be brought back: to `goal`, or without one to where it came from.
///
/// # Errors
/// 404, 409 or 422, with the field that it is about.
pub fn plan(
    dir: &Dir,
    eyes: &Eyes,
    entry: &Entry,
    goal: Option<&Goal>,
) -> Result<ItemPath, Refusal> {
    if !shows(eyes, entry) {
        return Err(AppError::NotFound.into());
    }
    let from = origin(entry)?;
    let about_name = |error| Refusal {
        field: "name",
        error,
    };
    let wrong = |wrong: Wrong| about_name(wrong.of("The name"));
    let to = match goal {
        None => where_it_was(dir, eyes, &from)?,
        Some(goal) => {
            let folder = existing_folder(dir, &eyes.sight, &goal.folder)?;
            if goal.name != from.name() {
                names::check(&goal.name).map_err(wrong)?;
            }
            ItemPath::join(folder.as_ref(), &goal.name).ok_or_else(|| wrong(Wrong::TooLong))?
        }
    };
    names::check_length(&to).map_err(wrong)?;
    if !eyes.sight.shows(to.as_str()) {
        return Err(about_name(AppError::NotFound));
    }
    let has_rules = eyes
        .rules
        .iter()
        .any(|rule| is_within(from.as_str(), &rule.folder));
    if to != from && entry.is_folder() && has_rules {
        return Err(about_name(AppError::Conflict(format!(
            "Rules say who sees “{from}” or what is below it, so it can only come back to where it was."
        ))));
    }
    free(dir, &eyes.sight, &to, None).map_err(about_name)?;
    Ok(to)
}

/// The folder that it lay in may be gone as well, and is made again then; it may also have become a link.
fn where_it_was(dir: &Dir, eyes: &Eyes, from: &ItemPath) -> Result<ItemPath, Refusal> {
    let about = |error| Refusal {
        field: "folder",
        error,
    };
    let folder = Target::resolve(dir, &eyes.sight, from.folder().as_ref()).map_err(about)?;
    ItemPath::join(folder.folder.as_ref(), from.name()).ok_or_else(|| AppError::NotFound.into())
}

/// As [`plan`], off the worker.
///
/// # Errors
/// As [`plan`].
pub async fn planned(
    state: &State,
    eyes: &Eyes,
    entry: &Entry,
    goal: Option<&Goal>,
) -> Result<ItemPath, Refusal> {
    if let Some(goal) = goal.filter(|_| !entry.is_folder())
        && !entry.origin.ends_with(&format!("/{}", goal.name))
        && entry.origin != goal.name
    {
        let kinds = &state.settings.files.upload_kinds;
        names::check_kind(kinds, &goal.name).map_err(|error| Refusal {
            field: "name",
            error,
        })?;
    }
    let (eyes, entry, goal) = (eyes.clone(), entry.clone(), goal.cloned());
    let planned = state
        .files
        .run(move |dir| Ok(plan(dir, &eyes, &entry, goal.as_ref())));
    planned.await?
}

/// Brings an entry back, with titles, owners and counts.
///
/// # Errors
/// 404; 409 for a name that is taken; 422. Nothing has changed then.
pub async fn restore(
    state: &web::Data<State>,
    editor: &Editor,
    id: i64,
    goal: Option<&Goal>,
) -> AppResult<Shown> {
    let (state, editor, goal) = (state.clone(), editor.clone(), goal.cloned());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let eyes = Eyes::of(&state, &editor.person).await?;
        let entry = entry(&state, &eyes, id).await?;
        let to = planned(&state, &eyes, &entry, goal.as_ref()).await;
        let to = to.map_err(|refusal| refusal.error)?;
        let step = Step {
            from: entry.place.clone(),
            to: to.to_string(),
            inode: entry.inode.parse().unwrap_or(0),
            aside: None,
        };
        carry_out(&state, &step, async |conn: &mut Conn| {
            let eyes = Eyes::now(conn, &editor.person).await?;
            let entry = store::of(conn, id).await?.ok_or(AppError::NotFound)?;
            let again = planned(&state, &eyes, &entry, goal.as_ref()).await;
            if again.map_err(|refusal| refusal.error)? != to {
                return Err(item::moved_meanwhile());
            }
            write_down(conn, &editor, &entry, &to).await?;
            let folder = to.folder();
            let make = move |dir: &Dir| match &folder {
                Some(folder) => dir
                    .create_dir_all(folder)
                    .map_err(|error| moving::refused(error, folder.as_str())),
                None => Ok(()),
            };
            state.files.run(make).await
        })
        .await?;
        item::shown(&state, &Sight::everything(), &to).await
    })
    .await
}

async fn write_down(
    conn: &mut Conn,
    editor: &CurrentUser,
    entry: &Entry,
    to: &ItemPath,
) -> AppResult<()> {
    store::forget(conn, entry.id).await?;
    let folder = match entry.is_folder() {
        true => Some(to.clone()),
        false => to.folder(),
    };
    index::folders::ensure(conn, folder.as_ref()).await?;
    index::brought_back(conn, &entry.place, to, entry.deleted_at).await?;
    let event = Event::new(Action::Restored, to.as_str(), "restored")
        .with("from", entry.origin.as_str())
        .with("deleted_by", entry.deleted_by.as_str())
        .with("deleted_at", crate::clock::rfc3339(entry.deleted_at));
    Ok(audit::record(conn, &editor.actor(), &event).await?)
}
