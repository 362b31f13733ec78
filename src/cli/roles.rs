//! `portcullis roles`: who may do what. The first admin is made here, without SQL.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{lists, print};
use crate::audit::Actor;
use crate::auth::entra::is_plain_address;
use crate::clock;
use crate::db::{Conn, Db, migrate};
use crate::roles::change::{self, ChangeError};
use crate::roles::{Role, Wanted, holdings};

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
        /// The last day on which it counts (UTC), such as 2026-12-31.
        #[arg(long)]
        until: Option<String>,
        /// Why it is given.
        #[arg(long)]
        note: Option<String>,
    },
    /// Take every role from EMAIL.
    Revoke {
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
            let (until, note) = (until.unwrap_or_default(), note.unwrap_or_default());
            let wanted =
                Wanted::read(role.as_str(), &until, &note).map_err(|mistake| mistake.sentence)?;
            grant(db, &key(&email)?, wanted, json).await
        }
        Roles::Revoke { email } => revoke(db, &key(&email)?, json).await,
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
            match json {
                true => print::json(&json!({
                    "email": row.email,
                    "role": row.role,
                    "until": until,
                    "note": holding.grant.as_ref().and_then(|grant| grant.note.as_deref()),
                })),
                false => match &until {
                    Some(until) => {
                        print::line(&format!("{}\t{}\tuntil {until}", row.email, row.role))
                    }
                    None => print::line(&format!("{}\t{}", row.email, row.role)),
                },
            }?;
        }
    }
    if everybody.is_empty() {
        eprintln!("Nobody has a role yet. Give one: portcullis roles grant EMAIL admin");
    }
    Ok(())
}

async fn grant(db: &Db, email: &str, wanted: Wanted, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let (role, until) = (wanted.role, wanted.ends_at.map(clock::last_day));
    db.transaction(async |conn: &mut Conn| change::grant(conn, &actor, email, wanted).await)
        .await
        .map_err(say)?;
    match (json, &until) {
        (true, _) => print::json(&json!({ "email": email, "role": role.as_str(), "until": until })),
        (false, Some(until)) => print::line(&format!("{email} is {role} until {until}.")),
        (false, None) => print::line(&format!("{email} is {role} now.")),
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
