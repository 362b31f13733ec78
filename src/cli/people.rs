//! `portcullis people`: what an admin does at the pages of the portal, when the portal itself cannot help.

use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::print;
use super::roles::{key, say};
use crate::admin::why;
use crate::audit::Actor;
use crate::audit::export;
use crate::auth::store::{self, Owner};
use crate::clock;
use crate::db::{Conn, Db, DbError, migrate};
use crate::files::Files;
use crate::roles::{self, bindings};
use crate::rules::Rulebook;
use crate::settings::FilesSettings;

/// What can be done with a person.
#[derive(Subcommand)]
pub enum People {
    /// Role, bound account and last sign-in of EMAIL.
    Show {
        /// The address, in any case.
        email: String,
    },
    /// Everything that decides over whether EMAIL may come in, and see PATH, one by one.
    Why {
        /// The address, in any case.
        email: String,
        /// A file, named as in its link or as in the list.
        path: Option<String>,
    },
    /// End all sessions of EMAIL, on every instance, at once.
    SignOut {
        /// The address, in any case.
        email: String,
    },
    /// Let EMAIL change hands: the next account that signs in under it owns it.
    Rebind {
        /// The address, in any case.
        email: String,
    },
}

impl People {
    /// Whether it looks at a file.
    pub fn needs_files(&self) -> bool {
        matches!(self, Self::Why { path: Some(_), .. })
    }
}

/// Runs it.
///
/// `files` says where they lie, for a task that looks at one.
pub async fn run(
    db: &Db,
    files: Option<&FilesSettings>,
    task: People,
    json: bool,
) -> Result<(), String> {
    migrate::run(db).await.map_err(say)?;
    match task {
        People::Show { email } => show(db, &key(&email)?, json).await,
        People::Why { email, path } => {
            let file = files.zip(path.as_deref());
            explain(db, &email.to_ascii_lowercase(), file, json).await
        }
        People::SignOut { email } => sign_out(db, &key(&email)?, json).await,
        People::Rebind { email } => rebind(db, &key(&email)?, json).await,
    }
}

async fn show(db: &Db, email: &str, json: bool) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let held = roles::holdings::holding(&mut conn, email)
        .await
        .map_err(say)?;
    let bound = bindings::of(&mut conn, email).await.map_err(say)?;
    let known = store::known(&mut conn, email).await.map_err(say)?;
    let living = store::living(&mut conn, &Owner::whoever(email), 0)
        .await
        .map_err(say)?;
    let role = held.role(email, clock::now()).map(|role| role.as_str());
    let warning = roles::decide(email, &held.rows).1;
    let until = held.ends_at().map(clock::last_day);
    let last = known
        .first()
        .map(|known| clock::rfc3339(known.last_sign_in_at));
    if json {
        return print::json(&json!({
            "email": email,
            "role": role,
            "until": until,
            "grant": held.grant,
            "rows": held.rows,
            "warning": warning,
            "account": bound.map(|account| json!({ "tid": account.tid, "oid": account.oid })),
            "last_sign_in": last,
            "sessions": living.len(),
        }));
    }
    print::line(&format!("role\t{}", role.unwrap_or("none")))?;
    if let Some(until) = until {
        print::line(&format!("until\t{until}"))?;
    }
    if let Some(warning) = warning {
        print::line(&format!("warning\t{warning}"))?;
    }
    print::line(&match bound {
        Some(account) => format!("account\t{} in tenant {}", account.oid, account.tid),
        None => "account\tnot bound yet".to_owned(),
    })?;
    print::line(&format!(
        "last sign-in\t{}",
        last.as_deref().unwrap_or("never")
    ))?;
    print::line(&format!("sessions\t{}", living.len()))
}

async fn explain(
    db: &Db,
    email: &str,
    file: Option<(&FilesSettings, &str)>,
    json: bool,
) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let mut found = why::explain(&mut conn, None, email).await.map_err(say)?;
    drop(conn);
    if let Some((settings, path)) = file {
        let rules = Rulebook::new(db.clone(), Duration::ZERO);
        let files = Files::new(settings, Arc::new(rules), false)?;
        found.look_at(&files, email, path).await.map_err(say)?;
    }
    if json {
        let steps = found
            .steps
            .iter()
            .map(|step| json!({ "label": step.label, "passes": step.passes, "text": step.text }));
        let refusals = found.refusals.iter();
        let refusals: Vec<Value> = refusals.map(|row| export::object(row, None)).collect();
        return print::json(&json!({
            "email": email,
            "may": found.may,
            "verdict": found.verdict,
            "steps": steps.collect::<Vec<_>>(),
            "refusals": refusals,
        }));
    }
    print::line(&found.verdict)?;
    for step in &found.steps {
        let mark = match step.passes {
            Some(true) => "passes",
            Some(false) => "in the way",
            None => "-",
        };
        print::line(&format!("{}\t{mark}\t{}", step.label, step.text))?;
    }
    for row in &found.refusals {
        let reference = row.reference.as_deref().unwrap_or("-");
        let at = clock::rfc3339(row.at);
        print::line(&format!(
            "refused\t{at}\t{}\t{}\t{reference}",
            row.subject.escape_debug(),
            row.outcome
        ))?;
    }
    Ok(())
}

async fn sign_out(db: &Db, email: &str, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let ended = db
        .transaction(async |conn: &mut Conn| {
            store::end_all(conn, &actor, &Owner::whoever(email)).await
        })
        .await
        .map_err(say)?;
    match json {
        true => print::json(&json!({ "email": email, "sessions_ended": ended })),
        false => print::line(&format!("{email} is signed out: {ended} sessions ended.")),
    }
}

async fn rebind(db: &Db, email: &str, json: bool) -> Result<(), String> {
    let actor = Actor::command_line();
    let was_bound = db
        .transaction::<_, DbError>(async |conn: &mut Conn| store::rebind(conn, &actor, email).await)
        .await
        .map_err(say)?;
    match (json, was_bound) {
        (true, _) => print::json(&json!({ "email": email, "was_bound": was_bound })),
        (false, true) => print::line(&format!(
            "{email} belongs to the next account that signs in under it."
        )),
        (false, false) => print::line(&format!(
            "{email} was not bound; the next account that signs in under it is."
        )),
    }
}
