//! A plan of changes as a page shows it; see `templates/admin/differences.html`.

use crate::roles::Holding;
use crate::roles::plan::{Kind, Plan};

/// Differences shown one by one; the rest is counted.
const MOST_SHOWN: usize = 1000;

/// A plan as a page shows it.
pub struct Shown {
    /// People who get a role.
    pub added: usize,
    /// People whose role, end or note changes.
    pub changed: usize,
    /// People who lose their role.
    pub removed: usize,
    /// The differences, at most a thousand.
    pub lines: Vec<Difference>,
    /// How many more there are.
    pub more: usize,
}

impl Shown {
    /// `3 added, 1 removed.`
    pub fn in_words(&self) -> String {
        let counts = [
            (self.added, "added"),
            (self.changed, "changed"),
            (self.removed, "removed"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = counts
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        match parts.is_empty() {
            true => "Nothing would change.".to_owned(),
            false => format!("{}.", parts.join(", ")),
        }
    }
}

/// One difference.
pub struct Difference {
    /// `Added`, `Changed` or `Removed`.
    pub kind: &'static str,
    /// The address.
    pub email: String,
    /// What it has.
    pub before: String,
    /// What it gets.
    pub after: String,
}

/// A plan, ready to be shown.
pub fn shown(plan: &Plan) -> Shown {
    let lines = plan.changes.iter().take(MOST_SHOWN).map(|change| {
        let note = |held: &Holding| {
            let note = held.grant.as_ref().and_then(|grant| grant.note.as_deref());
            note.map_or(String::new(), |note| format!(" (“{note}”)"))
        };
        let words = |held: &Holding| format!("{}{}", held.in_words(&change.email), note(held));
        Difference {
            kind: match change.kind() {
                Kind::Added => "Added",
                Kind::Changed => "Changed",
                Kind::Removed => "Removed",
            },
            before: words(&change.before),
            after: words(&change.after),
            email: change.email.clone(),
        }
    });
    Shown {
        added: plan.count(Kind::Added),
        changed: plan.count(Kind::Changed),
        removed: plan.count(Kind::Removed),
        lines: lines.collect(),
        more: plan.changes.len().saturating_sub(MOST_SHOWN),
    }
}
