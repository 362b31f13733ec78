//! Many changes at once, shown before they are made: an import, or the undoing of one. Whoever applies a plan says which
//! one they were shown; it is made again from the tables of that moment, and only applied when nothing else came out.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::change::{self, Change, ChangeError};
use super::{Holding, decide};
use crate::audit::Actor;
use crate::db::Conn;
use crate::settings::certificate::hex;

/// What would be changed, by address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes.
    pub changes: Vec<Change>,
    /// How many addresses are as wanted already.
    pub unchanged: usize,
    /// Addresses that are left alone, and why.
    pub skipped: Vec<(String, &'static str)>,
    /// Whether no admin without an end date would be left, so that it cannot be applied.
    pub leaves_no_admin: bool,
}

/// What a change comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address had no role.
    Added,
    /// It has another role, end or note.
    Changed,
    /// It has no role any more.
    Removed,
}

impl Change {
    /// What it comes to.
    pub fn kind(&self) -> Kind {
        match (self.before.rows.is_empty(), self.after.rows.is_empty()) {
            (_, true) => Kind::Removed,
            (true, false) => Kind::Added,
            (false, false) => Kind::Changed,
        }
    }
}

impl Plan {
    /// How many changes of that kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.changes
            .iter()
            .filter(|change| change.kind() == kind)
            .count()
    }

    /// Names exactly this plan: 64 hexadecimal digits over everything that a person is shown of it.
    pub fn fingerprint(&self) -> String {
        let shown: Vec<_> = self
            .changes
            .iter()
            .map(|change| {
                let after = &change.after;
                let note = after.grant.as_ref().and_then(|grant| grant.note.as_deref());
                json!([
                    change.email,
                    change.before.fingerprint(),
                    after.rows,
                    after.ends_at(),
                    note
                ])
            })
            .collect();
        hex(digest(&SHA256, json!(shown).to_string().as_bytes()).as_ref())
    }

    /// Applies it; every row of the audit carries the actor's reference, by which it is undone. The caller holds
    /// [`crate::db::Lock::Roles`] since before it made the plan.
    ///
    /// # Errors
    /// [`ChangeError`]; let go of the transaction then.
    pub async fn apply(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        source: &'static str,
    ) -> Result<(), ChangeError> {
        change::apply(
            conn,
            actor,
            None,
            &self.changes,
            &[("source", json!(source))],
        )
        .await
    }
}

impl Holding {
    /// Names exactly this state: what a form was filled in for is what is changed, or it is asked again.
    pub fn fingerprint(&self) -> String {
        let mut rows = self.rows.clone();
        rows.sort_by(|a, b| a.email.cmp(&b.email));
        let text = json!([rows, self.grant]).to_string();
        hex(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// In words: `reader`, `reader until 2026-12-31`, `no role`.
    pub fn in_words(&self, email: &str) -> String {
        let role = match decide(email, &self.rows).0 {
            Some(role) => role.as_str().to_owned(),
            None => match self.rows.first() {
                Some(row) => format!("“{}”, which opens nothing", row.role),
                None => return "no role".to_owned(),
            },
        };
        match self.ends_at() {
            Some(end) => format!("{role} until {}", crate::clock::last_day(end)),
            None => role,
        }
    }
}
