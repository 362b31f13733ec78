//! `portcullis roles`: who may do what. The first admin is made here, without SQL.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{lists, print};
use crate::audit::{Action, Actor};
use crate::auth::entra::is_plain_address;
use crate::clock;
use crate::db::{Conn, Db, Lock, migrate};
use crate::roles::change::{self, Change, ChangeError};
use crate::roles::{Holding, Role, Wanted, has_ended, holdings};

/// In the place of a last day.
const NEVER: &str = "never";

/// What can be done with roles.
#[derive(Subcommand)]
pub enum Roles {
    /// List everybody's role.
    List,
    /// Give EMAIL the role reader, editor or admin.
    Grant {
        /// The address that Entra tells for the person.
        email: String,
        /// reader, editor or admin.
        role: Role,
        /// The last day on which it counts (UTC), such as 2026-12-31, or never. Without it an end that is there stays.
        #[arg(long)]
        until: Option<String>,
        /// Why it is given; '' takes a note away. Without it a note that is there stays.
        #[arg(long)]
        note: Option<String>,
    },
    /// Take every role from EMAIL.
    Revoke {
        /// The address, in any case, and else exactly as `list` shows it.
        email: String,
    },
    /// Make one row in lower case of the spellings of EMAIL. Role, end, note and bound account stay.
    Tidy {
        /// The address, in any case.
        email: String,
    },
    /// Print the list as CSV, as `import` takes it.
    Export,
    /// Show what the list in FILE would change; with --apply, change it.
    Import {
        /// CSV with the columns email, role, until and note; - reads standard input.
        file: PathBuf,
        /// The list is everybody: whoever is not in it loses their role.
        #[arg(long)]
        complete: bool,
        /// Make the changes, all in one transaction.
        #[arg(long)]
        apply: bool,
    },
}

/// Runs it; the schema is brought up to date first, so that this can be the first command of all.
pub async fn run(db: &Db, task: Roles, json: bool) -> Result<(), String> {
    migrate::run(db).await.map_err(|error| error.to_string())?;
    match task {
        Roles::List => list(db, json).await,
        Roles::Grant {
            email,
            role,
            until,
            note,
        } => {
            let asked = Asked::read(role, until, note)?;
            grant(db, &key(&email)?, asked, json).await
        }
        // However another program has written it, its row can go.
        Roles::Revoke { email } => revoke(db, &email.to_ascii_lowercase(), json).await,
        Roles::Tidy { email } => tidy(db, &key(&email)?, json).await,
        Roles::Export => lists::export(db).await,
        Roles::Import {
            file,
            complete,
            apply,
        } => lists::import(db, &file, complete, apply, json).await,
    }
}

/// The table's key of an address that was typed.
pub fn key(email: &str) -> Result<String, String> {
    if !is_plain_address(email) {
        return Err(format!(
            "{email:?} is not an e-mail address, such as ada@contoso.com"
        ));
    }
    Ok(email.to_ascii_lowercase())
}

async fn list(db: &Db, json: bool) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let everybody = holdings::holdings(&mut conn).await.map_err(say)?;
    for holding in everybody.values() {
        let until = holding.ends_at().map(clock::last_day);
        for row in &holding.rows {
            let role = print::plain(&row.role);
            match json {
                true => print::json(&json!({
                    "email": row.email,
                    "role": row.role,
                    "until": until,
                    "note": holding.grant.as_ref().and_then(|grant| grant.note.as_deref()),
                })),
                false => match &until {
                    Some(until) => print::line(&format!(
                        "{}\t{role}\tuntil {until}",
                        print::plain(&row.email)
                    )),
                    None => print::line(&format!("{}\t{role}", print::plain(&row.email))),
                },
            }?;
        }
    }
    if everybody.is_empty() {
        eprintln!("Nobody has a role yet. Give one: portcullis roles grant EMAIL admin");
    }
    Ok(())
}

/// A role to be given; what is not named stays as it is.
struct Asked {
    wanted: Wanted,
    keeps_end: bool,
    keeps_note: bool,
}

impl Asked {
    fn read(role: Role, until: Option<String>, note: Option<String>) -> Result<Self, String> {
        let (keeps_end, keeps_note) = (until.is_none(), note.is_none());
        let until = until.filter(|until| until != NEVER).unwrap_or_default();
        let wanted = Wanted::read(role.as_str(), &until, &note.unwrap_or_default());
        Ok(Self {
            wanted: wanted.map_err(|mistake| mistake.sentence)?,
            keeps_end,
            keeps_note,
        })
    }

    fn given(self, held: &Holding) -> Wanted {
        let mut wanted = self.wanted;
        // What is left of a role that is gone, or whose end has come, belongs to that one.
        let is_held = !held.rows.is_empty() && !has_ended(held.ends_at(), clock::now());
        let grant = held.grant.as_ref().filter(|_| is_held);
        if self.keeps_end {
            wanted.ends_at = grant.and_then(|grant| grant.ends_at);
        }
        if self.keeps_note {
            wanted.note = grant.and_then(|grant| grant.note.clone());
        }
        wanted
    }
}

async fn grant(db: &Db, email: &str, asked: Asked, json: bool) -> Result<(), String> {
    let (actor, role) = (Actor::command_line(), asked.wanted.role);
    let until = db
        .exclusive(Lock::Roles, async |conn: &mut Conn| {
            let held = holdings::holding(conn, email).await?;
            let wanted = asked.given(&held);
            let until = wanted.ends_at.map(clock::last_day);
            let change = Change::grant(email, held, &wanted, &actor);
            change::apply(conn, &actor, None, &[change], &[]).await?;
            Ok::<_, ChangeError>(until)
        })
        .await
        .map_err(say)?;
    match (json, &until) {
        (true, _) => print::json(&json!({ "email": email, "role": role.as_str(), "until": until })),
        (false, Some(until)) => print::line(&format!("{email} is {role} until {until}.")),
        (false, None) => print::line(&format!("{email} is {role} now.")),
    }
}

async fn tidy(db: &Db, email: &str, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let done = db
        .exclusive(Lock::Roles, async |conn: &mut Conn| {
            let held = holdings::holding(conn, email).await?;
            let change = match Change::tidy(email, held) {
                Ok(change) => change,
                Err(why_not) => return Ok::<_, ChangeError>(Err(why_not)),
            };
            let role = change.after.rows.first().map(|row| row.role.clone());
            let action = Some(Action::RoleTidied);
            change::apply(conn, &actor, action, &[change], &[]).await?;
            Ok(Ok(role))
        })
        .await
        .map_err(say)?;
    let role = done.map_err(say)?.unwrap_or_default();
    match json {
        true => print::json(&json!({ "email": email, "role": role })),
        false => print::line(&format!(
            "{email} has one row now, and is {} as before.",
            print::plain(&role)
        )),
    }
}

async fn revoke(db: &Db, email: &str, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let gone = db
        .transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::revoke(conn, &actor, email).await
        })
        .await
        .map_err(say)?;
    match (gone, json) {
        (0, _) => Err(format!("{email} has no role.")),
        (_, true) => print::json(&json!({ "email": email, "role": null })),
        (_, false) => print::line(&format!("{email} has no role any more.")),
    }
}

/// An error for the terminal.
pub fn say(error: impl ToString) -> String {
    error.to_string()
}
