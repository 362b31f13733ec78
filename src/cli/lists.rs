//! `portcullis roles export` and `import`: the list of everybody's role, out and in.

use std::path::Path;

use serde_json::json;

use super::print;
use super::roles::say;
use crate::audit::{self, Action, Actor, Event};
use crate::db::{Conn, Db, DbError, Lock};
use crate::reference::Reference;
use crate::roles::change::ChangeError;
use crate::roles::list::{self, WrongLines};
use crate::roles::plan::{Kind, Plan};

/// Prints the list as CSV.
pub async fn export(db: &Db) -> Result<(), String> {
    let actor = Actor::command_line();
    let text = db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            let event = Event::new(Action::RolesExported, "dim.user_roles", "exported");
            audit::record(conn, &actor, &event).await?;
            list::write(conn).await
        })
        .await
        .map_err(say)?;
    print::raw(&text)
}

/// Prints every difference, and makes them when asked to.
pub async fn import(
    db: &Db,
    file: &Path,
    complete: bool,
    apply: bool,
    json: bool,
) -> Result<(), String> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    // One number for all rows of the audit, by which the import is taken back.
    let actor = Actor::command_line().with_reference(&Reference::new().to_string());
    let plan = db
        .exclusive(Lock::Roles, async |conn: &mut Conn| {
            let plan = match list::plan(conn, &text, complete, &actor).await? {
                Ok(plan) => plan,
                Err(wrong) => return Ok::<_, ChangeError>(Err(wrong)),
            };
            if apply {
                plan.apply(conn, &actor, "import").await?;
            }
            Ok(Ok(plan))
        })
        .await
        .map_err(say)?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(wrong) => return refuse(&wrong, json),
    };
    show(&plan, json)?;
    match (apply, plan.leaves_no_admin) {
        (true, _) => eprintln!("The list was applied."),
        (false, true) => eprintln!("{}", ChangeError::LastAdmin),
        (false, false) => eprintln!("Nothing was changed. To make these changes, add --apply."),
    }
    Ok(())
}

/// Prints what a plan would change, one line a person.
pub fn show(plan: &Plan, json: bool) -> Result<(), String> {
    for change in &plan.changes {
        let kind = match change.kind() {
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Removed => "removed",
        };
        let before = change.before.in_words(&change.email);
        let after = change.after.in_words(&change.email);
        match json {
            true => print::json(
                &json!({ "kind": kind, "email": change.email, "before": before, "after": after }),
            ),
            false => {
                let email = print::plain(&change.email);
                print::line(&format!("{kind}\t{email}\t{before}\t{after}"))
            }
        }?;
    }
    Ok(())
}

fn refuse(wrong: &WrongLines, json: bool) -> Result<(), String> {
    for line in &wrong.first {
        match json {
            true => print::json(
                &json!({ "kind": "wrong", "line": line.line, "email": line.email, "sentence": line.sentence }),
            ),
            false => print::line(&format!(
                "wrong\tline {}\t{}\t{}",
                line.line, line.email, line.sentence
            )),
        }?;
    }
    let sentence = "Some lines cannot be taken. Nothing was changed.";
    Err(match wrong.more {
        0 => sentence.to_owned(),
        more => format!("And {more} more lines. {sentence}"),
    })
}
