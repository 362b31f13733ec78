//! Renaming and moving: one thing, since a path is a folder and a name.

use std::sync::Arc;

use actix_web::web;
use cap_std::fs::{Dir, Metadata, MetadataExt};

use super::{Shown, item, title};
use crate::app::{State, finish};
use crate::audit::{self, Action, Event};
use crate::auth::gate;
use crate::auth::user::{CurrentUser, Editor};
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::files::moving::Thing;
use crate::files::names::{self, Wrong};
use crate::files::{ItemPath, Target};
use crate::index::{self, LONGEST_PATH};
use crate::roles::Role;
use crate::roles::cache::Person;
use crate::rules::{self, Rule, Sight, is_within};
use crate::step::{Step, carry_out};
use crate::trash;

/// Where something shall be, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Goal {
    /// The folder, which has to be there; empty is the root.
    pub folder: String,
    /// The name in it.
    pub name: String,
}

impl Goal {
    /// From a whole path.
    pub fn of_path(path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is moved.
    pub thing: Thing,
    /// Where to.
    pub to: ItemPath,
    /// Whether rules of folders go along.
    pub carries_rules: bool,
}

/// Why it cannot be done, and the field of the form that it is about.
#[derive(Debug)]
pub struct Refusal {
    /// `folder` or `name`; empty when it is about the thing itself.
    pub field: &'static str,
    /// The answer.
    pub error: AppError,
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Self { field: "", error }
    }
}

/// Whose change it is, and the rules that they are under.
#[derive(Debug, Clone)]
pub struct Eyes {
    /// What they see.
    pub sight: Sight,
    /// All rules.
    pub rules: Arc<[Rule]>,
    /// Those that count only as long as a rename is not finished.
    pub passing: Arc<[Rule]>,
    /// Whether they are an admin.
    pub is_admin: bool,
}

impl Eyes {
    /// Under these rules.
    pub fn new(rules: Arc<[Rule]>, person: &Person) -> Self {
        Self {
            sight: Sight::new(&rules, person),
            rules,
            passing: Arc::new([]),
            is_admin: person.role >= Some(Role::Admin),
        }
    }

    /// Under the rules as they are remembered.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(state: &State, person: &Person) -> AppResult<Self> {
        Ok(Self::new(state.files.rules.rules().await?, person))
    }

    /// Under the rules as they stand in this transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn now(conn: &mut Conn, person: &Person) -> AppResult<Self> {
        let in_force = rules::store::in_force(conn).await?;
        let passing = in_force.passing.clone().into();
        let eyes = Self::new(in_force.rules().into(), person);
        Ok(Self { passing, ..eyes })
    }
}

/// Whether a rule stands for the folder at `path` or for one below it.
///
/// # Errors
/// 409 for everybody but admins: whoever moves such a folder decides who sees it.
pub fn carries_rules(eyes: &Eyes, thing: &Thing) -> AppResult<bool> {
    let carries = has_rules(&eyes.rules, &thing.path) && !thing.is_link;
    if has_rules(&eyes.passing, &thing.path) && eyes.is_admin {
        return Err(item::moved_meanwhile());
    }
    if carries && !eyes.is_admin {
        return Err(AppError::Conflict(
            "Rules say who sees this folder or one below it, so only an administrator can rename, move or delete it."
                .to_owned(),
        ));
    }
    Ok(carries)
}

fn has_rules(rules: &[Rule], path: &ItemPath) -> bool {
    let mut rules = rules.iter();
    rules.any(|rule| is_within(path.as_str(), &rule.folder))
}

/// Looks whether what is at `asked` can go where it shall.
///
/// # Errors
/// 404, 409 or 422, with the field that it is about.
pub fn plan(dir: &Dir, eyes: &Eyes, asked: &ItemPath, goal: &Goal) -> Result<Plan, Refusal> {
    let thing = Thing::find(dir, &eyes.sight, asked)?;
    let carries_rules = carries_rules(eyes, &thing)?;
    let folder = existing_folder(dir, &eyes.sight, &goal.folder)?;
    let about_name = |error| Refusal {
        field: "name",
        error,
    };
    let about_folder = |error| Refusal {
        field: "folder",
        error,
    };
    let wrong = |wrong: Wrong| about_name(wrong.of("The name"));
    // A name that is there already may go on, whatever it is.
    if goal.name != thing.path.name() {
        names::check(&goal.name).map_err(wrong)?;
    }
    let to = ItemPath::join(folder.as_ref(), &goal.name).ok_or_else(|| wrong(Wrong::TooLong))?;
    names::check_length(&to).map_err(wrong)?;
    if to == thing.path {
        let same = "That is where it is. Type another name or folder, or cancel.";
        return Err(about_name(AppError::Unprocessable(same.to_owned())));
    }
    if is_within(thing.path.as_str(), to.as_str()) {
        let inside = "A folder cannot be moved into itself. Choose another folder.";
        return Err(about_folder(AppError::Unprocessable(inside.to_owned())));
    }
    if thing.is_link && to.folder() != thing.path.folder() {
        let link = "This is a link, which would lead elsewhere from another folder. It can only be renamed.";
        return Err(about_folder(AppError::Unprocessable(link.to_owned())));
    }
    if !eyes.sight.shows(to.as_str()) {
        return Err(about_name(AppError::NotFound));
    }
    free(dir, &eyes.sight, &to, Some(&thing.path)).map_err(about_name)?;
    if carries_rules && has_rules(&eyes.rules, &to) {
        let waiting = "A folder rule waits for a folder of that name already. Choose another name, or remove that rule.";
        return Err(about_name(AppError::Conflict(waiting.to_owned())));
    }
    Ok(Plan {
        thing,
        to,
        carries_rules,
    })
}

/// Refuses a name that is taken, or that some system cannot tell from another one. `but` is on its way out.
///
/// # Errors
/// 409.
pub fn free(dir: &Dir, sight: &Sight, to: &ItemPath, but: Option<&ItemPath>) -> AppResult<()> {
    if let Ok(found) = dir.symlink_metadata(to) {
        if let Some(but) = but.filter(|but| is_other_spelling(dir, but, to, &found)) {
            return Err(AppError::Conflict(format!(
                "The disk takes “{}” for “{}”, so it cannot go from the one to the other at once. Rename it to something \
                 else first, and from that to this name.",
                to.name(),
                but.name()
            )));
        }
        return Err(AppError::Conflict(format!(
            "There is “{}” already. Choose another name.",
            to.name()
        )));
    }
    names::check_beside_but(dir, sight, to, but)
}

/// Whether what was found at `to` is what lies at `from`, on a file system that does not tell the two names apart: a rename
/// to another spelling does nothing there, and says that it was done.
fn is_other_spelling(dir: &Dir, from: &ItemPath, to: &ItemPath, found: &Metadata) -> bool {
    let is_alike = names::fold(from.name()) == names::fold(to.name());
    let is_same = |own: Metadata| (own.dev(), own.ino()) == (found.dev(), found.ino());
    is_alike && from.folder() == to.folder() && dir.symlink_metadata(from).is_ok_and(is_same)
}

/// The folder that was typed, where it really is.
///
/// # Errors
/// 404 or 422 about the field.
pub fn existing_folder(dir: &Dir, sight: &Sight, text: &str) -> Result<Option<ItemPath>, Refusal> {
    let about = |error| Refusal {
        field: "folder",
        error,
    };
    let folder = names::folder(text).map_err(about)?;
    // What is not there and what is hidden look the same.
    let target = Target::resolve(dir, sight, folder.as_ref()).map_err(about)?;
    match target.nearest.0 == target.folder {
        true => Ok(target.folder),
        false => Err(about(AppError::NotFound)),
    }
}

/// As [`plan`], off the worker.
///
/// # Errors
/// As [`plan`].
pub async fn planned(
    state: &State,
    eyes: &Eyes,
    asked: &ItemPath,
    goal: &Goal,
) -> Result<Plan, Refusal> {
    let (eyes, asked, goal) = (eyes.clone(), asked.clone(), goal.clone());
    let planned = state
        .files
        .run(move |dir| Ok(plan(dir, &eyes, &asked, &goal)));
    let plan = planned.await??;
    if !plan.thing.is_folder && plan.to.name() != plan.thing.path.name() {
        let kinds = &state.settings.files.upload_kinds;
        names::check_kind(kinds, plan.to.name()).map_err(|error| Refusal {
            field: "name",
            error,
        })?;
    }
    Ok(plan)
}

/// What a change may bring along.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Another title; `Some(None)` takes it away.
    pub title: Option<Option<String>>,
    /// `If-Match`: the change is only made to the content with that entity tag.
    pub expected: Option<String>,
}

/// Gives what is at `asked` another name or folder. Title, owner, count, checksum and rules go along, with all that is
/// below a folder.
///
/// # Errors
/// 404, 409, 412, 422 as [`plan`] says; nothing has changed then.
pub async fn relocate(
    state: &web::Data<State>,
    editor: &Editor,
    asked: &ItemPath,
    goal: &Goal,
    along: Along,
) -> AppResult<Shown> {
    let (state, editor) = (state.clone(), editor.clone());
    let (asked, goal) = (asked.clone(), goal.clone());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let eyes = Eyes::of(&state, &editor.person).await?;
        let first = planned(&state, &eyes, &asked, &goal).await;
        let Plan { thing, to, .. } = first.map_err(|refusal| refusal.error)?;
        item::index(&state, &thing).await?;
        let step = Step {
            from: thing.path.to_string(),
            to: to.to_string(),
            inode: thing.inode,
            aside: None,
        };
        let done = carry_out(&state, &step, async |conn: &mut Conn| {
            let eyes = Eyes::now(conn, &editor.person).await?;
            let again = planned(&state, &eyes, &asked, &goal).await;
            let plan = again.map_err(|refusal| refusal.error)?;
            if (&plan.thing.path, &plan.to) != (&thing.path, &to) {
                return Err(item::moved_meanwhile());
            }
            plan.thing.expect(along.expected.as_deref())?;
            write_down(conn, &editor, &plan, along).await
        })
        .await;
        done?;
        item::shown(&state, &Sight::everything(), &to).await
    })
    .await
}

async fn write_down(
    conn: &mut Conn,
    editor: &CurrentUser,
    plan: &Plan,
    along: Along,
) -> AppResult<()> {
    let (from, to, actor) = (&plan.thing.path, &plan.to, editor.actor());
    let longest = index::store::longest_below(conn, from).await?;
    if longest + to.as_str().len() > LONGEST_PATH + from.as_str().len() {
        return Err(Wrong::TooDeep.of("A name below this folder"));
    }
    if plan.carries_rules {
        rules::store::moved(conn, &actor, from.as_str(), to.as_str()).await?;
    }
    index::moved(conn, from, to).await?;
    trash::store::origin_moved(conn, from, to).await?;
    let action = match from.folder() == to.folder() {
        true => Action::Renamed,
        false => Action::Moved,
    };
    let event = Event::new(action, from.as_str(), action.as_str()).with("to", to.as_str());
    audit::record(conn, &actor, &event).await?;
    if let Some(title) = along.title {
        title::write_down(conn, &actor, to, title).await?;
    }
    Ok(())
}
