//! The list of everybody's role as CSV: written for a spreadsheet, read back from one.

use std::collections::BTreeMap;

use super::change::Change;
use super::plan::Plan;
use super::wanted::{Mistake, Wanted};
use super::{Holding, holdings};
use crate::audit::Actor;
use crate::auth::entra::is_plain_address;
use crate::db::{Conn, DbResult};
use crate::{cells, clock};

mod lines;
mod same;

use lines::Line;
pub use lines::Wrong;
use same::SetAside;

/// Wrong lines told one by one.
const MOST_WRONG: usize = 200;
const HEADING: [&str; 4] = ["email", "role", "until", "note"];

/// The lines that cannot be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrongLines {
    /// The first two hundred, by their numbers.
    pub first: Vec<Wrong>,
    /// How many more there are.
    pub more: usize,
}

/// The list as CSV, one row of `dim.user_roles` a line.
///
/// # Errors
/// The database's.
pub async fn write(conn: &mut Conn) -> DbResult<Vec<u8>> {
    let mut text = cells::line(HEADING).unwrap_or_default();
    for holding in holdings::holdings(conn).await?.values() {
        let until = holding.ends_at().map(clock::last_day).unwrap_or_default();
        let note = holding
            .grant
            .as_ref()
            .and_then(|grant| grant.note.as_deref());
        for row in &holding.rows {
            let cells = [&row.email, &row.role, &until, note.unwrap_or("")];
            text.extend(cells::line(cells).unwrap_or_default());
        }
    }
    Ok(text)
}

/// What the list in `text` would change. With `complete`, whoever is not in it loses their role.
///
/// # Errors
/// The database's; the inner error holds the lines that cannot be taken.
pub async fn plan(
    conn: &mut Conn,
    text: &str,
    complete: bool,
    actor: &Actor,
) -> DbResult<Result<Plan, WrongLines>> {
    let (lines, mut wrong) = lines::read(text);
    let mut everybody = holdings::holdings(conn).await?;
    let had_admin = has_admin(&everybody);
    let mut left = everybody.clone();
    let SetAside { rest, mut seen } = same::set_aside(lines, &mut left);
    let mut plan = Plan {
        unchanged: everybody.len() - left.len(),
        ..Plan::default()
    };
    for line in rest {
        if let Err(sentence) = line.is_usable(&everybody) {
            wrong.push(Wrong::new(line.number, &line.email, sentence));
            continue;
        }
        if let Some(before) = seen.insert(line.email.clone(), line.number) {
            let sentence = format!("Line {before} names the same address already.");
            wrong.push(Wrong::new(line.number, &line.email, &sentence));
            continue;
        }
        let before = left.remove(&line.email).unwrap_or_default();
        match line.wanted(&before) {
            Ok(wanted) if is_so(&line.email, &before, &wanted) => plan.unchanged += 1,
            Ok(wanted) => {
                let change = Change::grant(&line.email, before, &wanted, actor);
                plan.changes.push(change);
            }
            // A role that nobody knows and that is there already is no mistake of the list's.
            Err(_) if line.says(&before) => plan.unchanged += 1,
            Err(mistake) => wrong.push(Wrong::new(line.number, &line.email, &mistake.sentence)),
        }
    }
    if !wrong.is_empty() {
        wrong.sort_by_key(|wrong| wrong.line);
        let more = wrong.len().saturating_sub(MOST_WRONG);
        wrong.truncate(MOST_WRONG);
        return Ok(Err(WrongLines { first: wrong, more }));
    }
    match complete {
        true => {
            let removed = left.into_iter();
            plan.changes
                .extend(removed.map(|(email, before)| Change::revoke(&email, before)));
        }
        false => plan.unchanged += left.len(),
    }
    plan.changes.sort_by(|a, b| a.email.cmp(&b.email));
    for change in &plan.changes {
        everybody.insert(change.email.clone(), change.after.clone());
    }
    plan.leaves_no_admin = had_admin && !has_admin(&everybody);
    Ok(Ok(plan))
}

fn has_admin(holdings: &BTreeMap<String, Holding>) -> bool {
    let mut holdings = holdings.iter();
    holdings.any(|(email, held)| held.is_lasting_admin(email))
}

fn is_so(email: &str, before: &Holding, wanted: &Wanted) -> bool {
    let note = before.grant.as_ref().and_then(|grant| grant.note.as_ref());
    super::decide(email, &before.rows).0 == Some(wanted.role)
        && before
            .rows
            .iter()
            .all(|row| row.role == wanted.role.as_str())
        && before.ends_at() == wanted.ends_at
        && note == wanted.note.as_ref()
}

impl Line {
    /// Whether its address is one that somebody can sign in under, and not the odd row of another program's, of which the
    /// address without its odd signs would be somebody else's.
    fn is_usable(&self, everybody: &BTreeMap<String, Holding>) -> Result<(), &'static str> {
        let key = self.key();
        if !is_plain_address(&key) && everybody.contains_key(&key) {
            return Err(
                "Nobody can sign in under this address as its row is written, so only take the row away, on the person’s page.",
            );
        }
        match is_plain_address(&self.email) {
            true => Ok(()),
            false => Err("This is no e-mail address, such as ada@contoso.com."),
        }
    }

    fn says(&self, before: &Holding) -> bool {
        let mut roles = before.rows.iter().map(|row| &row.role);
        !before.rows.is_empty() && roles.all(|role| role.eq_ignore_ascii_case(&self.role))
    }

    fn wanted(&self, before: &Holding) -> Result<Wanted, Mistake> {
        let until = self.until.as_deref().unwrap_or("");
        let note = self.note.as_deref().unwrap_or("");
        // The list is written with the ends that are there; one of today must not make it wrong.
        let is_kept = before
            .ends_at()
            .is_some_and(|end| clock::last_day(end) == until);
        let mut wanted = Wanted::read(&self.role, if is_kept { "" } else { until }, note)?;
        if is_kept || self.until.is_none() {
            wanted.ends_at = before.ends_at();
        }
        if self.note.is_none() {
            wanted.note = before.grant.as_ref().and_then(|grant| grant.note.clone());
        }
        Ok(wanted)
    }
}
