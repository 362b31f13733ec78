//! `portcullis audit`: the audit read, exported and checked without the portal.

use std::pin::pin;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use serde_json::json;

use super::roles::say;
use super::{lists, print};
use crate::audit::export::{self, Format};
use crate::audit::find::{self, Search, Way};
use crate::audit::store::{self, Entry};
use crate::audit::verify::{self, Head};
use crate::audit::{self, Action, Actor, Event, chain::Link, seal};
use crate::clock;
use crate::db::{Conn, Db, DbError, Lock, migrate};
use crate::files::path::encode;
use crate::reference::Reference;
use crate::roles::change::ChangeError;
use crate::roles::undo;

const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// What can be done with the audit.
#[derive(Subcommand)]
pub enum Audit {
    /// Print the newest rows, oldest first.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        rows: usize,
        /// Go on with each row that a running portal seals.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        search: SearchArguments,
    },
    /// Print all rows, oldest first, as CSV or (--json) one JSON object a line.
    Export {
        #[command(flatten)]
        search: SearchArguments,
    },
    /// Show what taking back the change of roles of row ID would change; with --apply, change it. An import is taken back whole.
    Undo {
        /// The number of the row, as `export` shows it.
        id: i64,
        /// Make the changes, all in one transaction.
        #[arg(long)]
        apply: bool,
    },
    /// Check that no row was changed, removed or re-ordered. Exits 1 when one was.
    Verify {
        /// A head that the log told: the chain must still hold it.
        #[arg(long)]
        head: Option<Head>,
    },
}

/// Which rows.
#[derive(Args)]
pub struct SearchArguments {
    /// Who did it, or to whom.
    #[arg(long)]
    person: Option<String>,
    /// What happened, such as downloaded or role_granted.
    #[arg(long)]
    action: Option<String>,
    /// A file, or a folder with a slash at its end.
    #[arg(long)]
    path: Option<String>,
    /// The number that a person was shown.
    #[arg(long)]
    reference: Option<String>,
    /// First day (UTC), such as 2026-01-31.
    #[arg(long)]
    from: Option<String>,
    /// Last day (UTC).
    #[arg(long)]
    to: Option<String>,
}

impl SearchArguments {
    /// What was asked for, as the page's address has it.
    fn in_words(&self) -> String {
        let pairs = [
            ("person", &self.person),
            ("action", &self.action),
            ("path", &self.path),
            ("reference", &self.reference),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let given = pairs
            .iter()
            .filter_map(|(name, text)| Some(format!("{name}={}", encode(text.as_deref()?))));
        given.collect::<Vec<_>>().join("&")
    }

    fn read(self) -> Result<Search, String> {
        let wrong = |name: &str| format!("--{name} is not a day such as 2026-01-31");
        let from = self.from.as_deref().map(clock::start_of_day);
        let to = self.to.as_deref().map(clock::end_of_day);
        Ok(Search {
            person: self.person.map(|email| email.to_ascii_lowercase()),
            action: self.action,
            path: self.path,
            reference: self.reference,
            from: from
                .map(|from| from.ok_or_else(|| wrong("from")))
                .transpose()?,
            to: to.map(|to| to.ok_or_else(|| wrong("to"))).transpose()?,
        })
    }
}

/// Runs it.
pub async fn run(db: &Db, task: Audit, json: bool) -> Result<(), String> {
    migrate::run(db).await.map_err(say)?;
    match task {
        Audit::Tail {
            rows,
            follow,
            search,
        } => tail(db, rows, follow, search.read()?, json).await,
        Audit::Export { search } => export(db, search, json).await,
        Audit::Undo { id, apply } => take_back(db, id, apply, json).await,
        Audit::Verify { head } => verify(db, head, json).await,
    }
}

async fn tail(
    db: &Db,
    rows: usize,
    follow: bool,
    search: Search,
    json: bool,
) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let head = seal::head(&mut conn).await.map_err(say)?;
    let mut newest = find::rows(&mut conn, &search, Way::Older(None), rows)
        .await
        .map_err(say)?;
    drop(conn);
    newest.reverse();
    for entry in &newest {
        show(entry, None, json)?;
    }
    match follow {
        true => go_on(db, head, &newest, &search, json).await,
        false => Ok(()),
    }
}

/// Shows what is sealed after `head`. What was `shown` before it was sealed comes by once more.
async fn go_on(
    db: &Db,
    mut head: Link,
    shown: &[Entry],
    search: &Search,
    json: bool,
) -> Result<(), String> {
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        let mut conn = db.conn().await.map_err(say)?;
        let sealed = store::sealed_after(&mut conn, head.seq)
            .await
            .map_err(say)?;
        for (link, entry) in sealed {
            let is_new = shown.iter().all(|known| known.id != entry.id);
            head = link.clone();
            if is_new && matches(&entry, search) {
                show(&entry, Some(link), json)?;
            }
        }
    }
}

fn matches(entry: &Entry, search: &Search) -> bool {
    let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|w| w == text);
    let person = search.person.as_deref();
    person.is_none_or(|email| entry.actor == email || entry.subject == email)
        && is(&search.action, &entry.action)
        && is(&search.reference, entry.reference.as_deref().unwrap_or(""))
        && search.path.as_deref().is_none_or(|path| {
            entry.subject == path || (path.ends_with('/') && entry.subject.starts_with(path))
        })
}

fn show(entry: &Entry, place: Option<Link>, json: bool) -> Result<(), String> {
    if json {
        return print::json(&export::object(entry, place));
    }
    let actor = match entry.actor.as_str() {
        "" => "somebody",
        actor => actor,
    };
    print::line(&format!(
        "{}\t{actor}\t{}\t{}\t{}\t{}",
        clock::rfc3339(entry.at),
        entry.action,
        entry.subject.escape_debug(),
        print::plain(&entry.outcome),
        entry.reference.as_deref().unwrap_or("-")
    ))
}

async fn export(db: &Db, search: SearchArguments, json: bool) -> Result<(), String> {
    let (format, name) = match json {
        true => (Format::JsonLines, "audit.jsonl"),
        false => (Format::Csv, "audit.csv"),
    };
    let event = Event::new(Action::AuditExported, "dim.audit", "exported")
        .with("filter", search.in_words())
        .with("format", name);
    let search = search.read()?;
    let actor = Actor::command_line();
    db.transaction::<_, DbError>(async |conn: &mut Conn| audit::record(conn, &actor, &event).await)
        .await
        .map_err(say)?;
    let mut stream = pin!(export::stream(db.clone(), search, format));
    while let Some(bytes) = stream.try_next().await.map_err(say)? {
        print::raw(&bytes)?;
    }
    Ok(())
}

async fn take_back(db: &Db, id: i64, apply: bool, json: bool) -> Result<(), String> {
    // One number for all rows of the audit, by which this is taken back in turn.
    let actor = Actor::command_line().with_reference(&Reference::new().to_string());
    let plan = db
        .exclusive(Lock::Roles, async |conn: &mut Conn| {
            let plan = undo::plan(conn, id).await?;
            if let Some(plan) = plan.as_ref().filter(|_| apply) {
                plan.apply(conn, &actor, "undo").await?;
            }
            Ok::<_, ChangeError>(plan)
        })
        .await
        .map_err(say)?;
    let gone = "There is no such row in the audit, or it tells of nothing that can be taken back.";
    let plan = plan.ok_or(gone)?;
    lists::show(&plan, json)?;
    for (email, why) in &plan.skipped {
        eprintln!("{}: {why}", print::plain(email));
    }
    match (plan.changes.is_empty(), apply) {
        (true, _) => Err("There is nothing to take back.".to_owned()),
        (false, true) => {
            eprintln!("It was taken back.");
            Ok(())
        }
        (false, false) => {
            eprintln!("Nothing was changed. To take it back, add --apply.");
            Ok(())
        }
    }
}

async fn verify(db: &Db, head: Option<Head>, json: bool) -> Result<(), String> {
    let report = verify::verify(db, head.as_ref()).await.map_err(say)?;
    if json {
        print::json(&json!(report))?;
    } else {
        for problem in &report.problems {
            print::line(problem)?;
        }
        if report.more_problems > 0 {
            print::line(&format!("… and {} more.", report.more_problems))?;
        }
        if report.waiting > 0 {
            print::line(&format!(
                "{} rows wait to be sealed; a running portal does that every second.",
                report.waiting
            ))?;
            for row in &report.unsealed {
                print::line(&format!("waits\t{}\t{}", row.id, clock::rfc3339(row.at)))?;
            }
        }
        if let Some(anchor) = &report.anchor {
            print::line(&format!("Retention has removed the rows up to {anchor}."))?;
        }
    }
    if !report.is_sound() {
        return Err(format!(
            "The audit is NOT sound; {} rows were looked at.",
            report.rows
        ));
    }
    if !json {
        let sentence = format!(
            "The audit is sound: {} rows, head {}",
            report.rows, report.head
        );
        print::line(&sentence)?;
    }
    Ok(())
}
