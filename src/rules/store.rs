//! The SQL of folder rules. A change cannot be made without an [`Actor`], and is audited in its own transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{BROUGHT_BACK, Rule, is_within};
use crate::audit::{self, Action, Actor, Event};
use crate::db::schema::dim::{folder_people, folder_rules, moves_begun, trash};
use crate::db::{Conn, DbResult, either};
use crate::roles::Role;

/// All rules, by folder.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut Conn) -> DbResult<Vec<Rule>> {
    let rules = folder_rules::table.order(folder_rules::folder);
    let rules: Vec<(String, String, String, i64)> = either!(&mut *conn, |c| rules.load(c).await)?;
    let people: Vec<(String, String)> =
        either!(&mut *conn, |c| folder_people::table.load(c).await)?;
    let mut of_folder: BTreeMap<String, _> = BTreeMap::new();
    for (folder, email) in people {
        let emails: &mut std::collections::BTreeSet<_> = of_folder.entry(folder).or_default();
        emails.insert(email.to_ascii_lowercase());
    }
    let rule = |(folder, role, set_by, set_at): (String, String, String, i64)| Rule {
        role: known_role(&folder, &role),
        people: of_folder.remove(&folder).unwrap_or_default(),
        folder,
        set_by,
        set_at,
    };
    Ok(rules.into_iter().map(rule).collect())
}

/// The rules that count at this moment.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// Those of the table.
    pub settled: Vec<Rule>,
    /// The same for the other names that a folder may have on the disk while it is renamed.
    pub passing: Vec<Rule>,
}

impl InForce {
    /// All of them.
    pub fn rules(self) -> Vec<Rule> {
        let Self { settled, passing } = self;
        settled.into_iter().chain(passing).collect()
    }
}

/// The rules that count at this moment: between a rename on the disk and its commit a folder has its rules under both names.
///
/// # Errors
/// The database's.
pub async fn in_force(conn: &mut Conn) -> DbResult<InForce> {
    // Read first: a change that is over in between has left its rules under the new name.
    let under_way = under_way(conn).await?;
    let settled = all(conn).await?;
    let mut passing = Vec::new();
    for (from, to) in &under_way {
        for name in [to.clone(), format!("{from}{BROUGHT_BACK}")] {
            passing.extend(at_name(&settled, from, &name));
        }
    }
    Ok(InForce { settled, passing })
}

/// Sources and targets of the renames that are not known to be finished.
async fn under_way(conn: &mut Conn) -> DbResult<Vec<(String, String)>> {
    let query = moves_begun::table
        .filter(moves_begun::done_at.eq(0))
        .select((moves_begun::source, moves_begun::target));
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Whether the folder has its name only as long as a rename is not finished.
///
/// # Errors
/// The database's.
pub async fn is_passing(conn: &mut Conn, folder: &str) -> DbResult<bool> {
    let under_way = under_way(conn).await?;
    Ok(under_way.iter().any(|(_, to)| is_within(to, folder)))
}

/// The rules of `from` and below it, as they are for `to`.
fn at_name(rules: &[Rule], from: &str, to: &str) -> Vec<Rule> {
    let there = |rule: &Rule| {
        let rest = rule.folder.strip_prefix(from).unwrap_or_default();
        Rule {
            folder: format!("{to}{rest}"),
            ..rule.clone()
        }
    };
    let inside = rules.iter().filter(|rule| is_within(from, &rule.folder));
    inside.map(there).collect()
}

/// Other programs may write the table. What cannot be understood opens nothing to anybody but admins.
fn known_role(folder: &str, role: &str) -> Role {
    role.parse().unwrap_or_else(|known| {
        log::warn!(
            "dim.folder_rules gives the folder {folder:?} the role {role:?}, so only admins see it: {known}"
        );
        Role::Admin
    })
}

/// The rule of exactly that folder.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut Conn, folder: &str) -> DbResult<Option<Rule>> {
    let rules = all(conn).await?;
    Ok(rules.into_iter().find(|rule| rule.folder == folder))
}

/// Puts the rule in the place of the one that its folder had, with its audit row.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn set(conn: &mut Conn, actor: &Actor, rule: &Rule) -> DbResult<()> {
    let before = of(conn, &rule.folder).await?;
    remove(conn, &rule.folder).await?;
    let statement = diesel::insert_into(folder_rules::table).values((
        folder_rules::folder.eq(&rule.folder),
        folder_rules::role.eq(rule.role.as_str()),
        folder_rules::set_by.eq(&rule.set_by),
        folder_rules::set_at.eq(rule.set_at),
    ));
    either!(&mut *conn, |c| statement.execute(c).await)?;
    for email in &rule.people {
        let statement = diesel::insert_into(folder_people::table).values((
            folder_people::folder.eq(&rule.folder),
            folder_people::email.eq(email),
        ));
        either!(&mut *conn, |c| statement.execute(c).await)?;
    }
    let event = Event::new(
        Action::FolderRuleSet,
        subject(&rule.folder),
        rule.role.as_str(),
    )
    .with("before", before.as_ref().map_or(Value::Null, told))
    .with("after", told(rule));
    audit::record(conn, actor, &event).await
}

/// What became of a rule that was to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// It is gone.
    Gone,
    /// There was none.
    None,
    /// The folder, or one that it was in, lies in the trash, and the rule says who sees it there.
    InTrash,
}

/// Why a rule stays, for whoever wanted to take it away.
pub const IN_TRASH: &str = "This folder lies in the trash, and the rule says who sees it there, so the rule stays. Bring the folder back or remove it for good first.";

/// Takes the rule of that folder away, with an audit row.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn clear(conn: &mut Conn, actor: &Actor, folder: &str) -> DbResult<Cleared> {
    let Some(before) = of(conn, folder).await? else {
        return Ok(Cleared::None);
    };
    if is_in_trash(conn, folder).await? {
        return Ok(Cleared::InTrash);
    }
    take_away(conn, actor, &before).await?;
    Ok(Cleared::Gone)
}

async fn is_in_trash(conn: &mut Conn, folder: &str) -> DbResult<bool> {
    let query = trash::table
        .filter(trash::removed_at.eq(0).and(trash::kind.eq("folder")))
        .select(trash::origin);
    let origins: Vec<String> = either!(conn, |c| query.load(c).await)?;
    Ok(origins.iter().any(|origin| is_within(origin, folder)))
}

async fn take_away(conn: &mut Conn, actor: &Actor, rule: &Rule) -> DbResult<()> {
    remove(conn, &rule.folder).await?;
    let event = Event::new(Action::FolderRuleCleared, subject(&rule.folder), "removed")
        .with("before", told(rule));
    audit::record(conn, actor, &event).await
}

/// A folder was renamed or moved: its rule and those below it are for the new paths now, each with its audit rows.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn moved(conn: &mut Conn, actor: &Actor, from: &str, to: &str) -> DbResult<()> {
    let rules = all(conn).await?;
    copied(conn, actor, from, to).await?;
    for rule in rules.iter().filter(|rule| is_within(from, &rule.folder)) {
        take_away(conn, actor, rule).await?;
    }
    Ok(())
}

/// What was known as `from` is known as `to` as well: the rules are for both, with audit rows.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn copied(conn: &mut Conn, actor: &Actor, from: &str, to: &str) -> DbResult<()> {
    for there in at_name(&all(conn).await?, from, to) {
        set(conn, actor, &there).await?;
    }
    Ok(())
}

async fn remove(conn: &mut Conn, folder: &str) -> DbResult<()> {
    let people = diesel::delete(folder_people::table.filter(folder_people::folder.eq(folder)));
    either!(&mut *conn, |c| people.execute(c).await)?;
    let rule = diesel::delete(folder_rules::table.filter(folder_rules::folder.eq(folder)));
    either!(conn, |c| rule.execute(c).await)?;
    Ok(())
}

/// The root has no name of its own.
fn subject(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}

fn told(rule: &Rule) -> Value {
    json!({ "role": rule.role.as_str(), "people": rule.people })
}
