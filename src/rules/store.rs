//! The SQL of folder rules. A change cannot be made without an [`Actor`], and is audited in its own transaction.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{Rule, is_within};
use crate::audit::{self, Action, Actor, Event};
use crate::db::schema::dim::{folder_people, folder_rules};
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

/// Takes the rule of that folder away, with an audit row. Returns whether there was one.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn clear(conn: &mut Conn, actor: &Actor, folder: &str) -> DbResult<bool> {
    let Some(before) = of(conn, folder).await? else {
        return Ok(false);
    };
    remove(conn, folder).await?;
    let event = Event::new(Action::FolderRuleCleared, subject(folder), "removed")
        .with("before", told(&before));
    audit::record(conn, actor, &event).await?;
    Ok(true)
}

/// A folder was renamed or moved: its rule and those below it are for the new paths now, each with its audit rows.
///
/// # Errors
/// The database's; nothing has changed then.
pub async fn moved(conn: &mut Conn, actor: &Actor, from: &str, to: &str) -> DbResult<()> {
    for rule in all(conn).await? {
        if !is_within(from, &rule.folder) {
            continue;
        }
        let rest = rule.folder.strip_prefix(from).unwrap_or_default();
        let there = Rule {
            folder: format!("{to}{rest}"),
            ..rule.clone()
        };
        set(conn, actor, &there).await?;
        clear(conn, actor, &rule.folder).await?;
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
