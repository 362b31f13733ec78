//! `portcullis folders`: who may see which folder, without the portal.

use clap::Subcommand;
use serde_json::json;

use super::print;
use super::roles::say;
use crate::audit::Actor;
use crate::db::{Conn, Db, DbError, Lock, migrate};
use crate::files::{self, Named};
use crate::rules::store::{self, Cleared};
use crate::rules::{Rule, draft};
use crate::settings::FilesSettings;

/// What can be done with folder rules.
#[derive(Subcommand)]
pub enum Folders {
    /// List the rules: folder, least role, people.
    List,
    /// Let only some see FOLDER and what is below it.
    Set {
        /// Such as Finance/2026; a single / means all files.
        folder: String,
        /// The least role that sees it: editor or admin.
        #[arg(long, default_value = "admin")]
        role: String,
        /// Addresses of people who see it whatever their role, parted by commas.
        #[arg(long, default_value = "")]
        people: String,
    },
    /// Take the rule of FOLDER away.
    Clear {
        /// As `list` shows it.
        folder: String,
    },
}

/// Runs it.
pub async fn run(db: &Db, files: &FilesSettings, task: Folders, json: bool) -> Result<(), String> {
    migrate::run(db).await.map_err(|error| error.to_string())?;
    match task {
        Folders::List => list(db, json).await,
        Folders::Set {
            folder,
            role,
            people,
        } => set(db, files, (&folder, &role, &people), json).await,
        Folders::Clear { folder } => clear(db, folder.trim_matches('/'), json).await,
    }
}

/// A rule as data.
fn as_json(rule: &Rule) -> serde_json::Value {
    json!({ "folder": rule.folder, "role": rule.role.as_str(), "people": rule.people })
}

async fn list(db: &Db, json: bool) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let rules = store::all(&mut conn).await.map_err(say)?;
    for rule in &rules {
        if json {
            print::json(&as_json(rule))?;
            continue;
        }
        let people: Vec<&str> = rule.people.iter().map(String::as_str).collect();
        let people = people.join(",");
        let (folder, people) = (shown(&rule.folder), print::plain(&people));
        print::line(&format!(
            "{}\t{}\t{people}",
            print::plain(folder),
            rule.role
        ))?;
    }
    if rules.is_empty() {
        eprintln!("There are no rules: everybody with a role sees every folder.");
    }
    Ok(())
}

async fn set(
    db: &Db,
    files: &FilesSettings,
    (folder, role, people): (&str, &str, &str),
    json: bool,
) -> Result<(), String> {
    let Named { path, exists } = named(files, folder)?;
    let rule = draft::rule(&path, role, people, "command line").map_err(|wrong| wrong.sentence)?;
    let actor = Actor::command_line();
    db.exclusive(Lock::FolderRules, async |conn: &mut Conn| {
        // No folder is renamed under this lock; it may have been just before.
        let same =
            named(files, folder).is_ok_and(|again| again.path == path && again.exists == exists);
        if !same || store::is_passing(conn, &path).await? {
            return Ok::<_, DbError>(false);
        }
        store::set(conn, &actor, &rule).await?;
        Ok(true)
    })
    .await
    .map_err(say)?
    .then_some(())
    .ok_or("The folder is being renamed at this moment, so the rule was not made. Try again.")?;
    if json {
        return print::json(&as_json(&rule));
    }
    print::line(&format!(
        "{} is seen by {} and {} people now.",
        shown(&path),
        match rule.role {
            crate::roles::Role::Admin => "admins",
            _ => "editors, admins",
        },
        rule.people.len()
    ))?;
    match exists {
        true => Ok(()),
        false => print::line("There is no such folder yet; the rule waits for one of this name."),
    }
}

async fn clear(db: &Db, folder: &str, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let cleared = db
        .exclusive(Lock::FolderRules, async |conn: &mut Conn| {
            store::clear(conn, &actor, folder).await
        })
        .await
        .map_err(say)?;
    match cleared {
        Cleared::Gone if json => print::json(&json!({ "folder": folder, "role": null })),
        Cleared::Gone => print::line(&format!("{} has no rule any more.", shown(folder))),
        Cleared::None => Err(format!("{} has no rule.", shown(folder))),
        Cleared::InTrash => Err(store::IN_TRASH.to_owned()),
    }
}

fn named(files: &FilesSettings, folder: &str) -> Result<Named, String> {
    if files.storage.is_some() {
        return files::named_in_storage(folder);
    }
    let dir = cap_std::fs::Dir::open_ambient_dir(&files.dir, cap_std::ambient_authority())
        .map_err(|error| format!("FILES_DIR: {} cannot be read: {error}", files.dir.display()))?;
    files::named(&dir, folder)
}

/// The root has no name of its own.
fn shown(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}
