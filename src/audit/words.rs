//! Rows of the audit as people read them: a sentence of who did what to whom, and what else is known.

use serde_json::Value;

use super::store::Entry;
use crate::clock;

/// Every action that the portal writes: as the table holds it, as a filter names it, and as the verb of a sentence.
pub const ACTIONS: [(&str, &str, &str); 27] = [
    ("signed_in", "Signed in", "signed in"),
    (
        "sign_in_refused",
        "Sign-in refused",
        "was refused at the sign-in",
    ),
    ("signed_out", "Signed out", "signed out"),
    ("access_refused", "Access refused", "was refused"),
    ("access_requested", "Asked for access", "asked for access"),
    (
        "access_declined",
        "Request declined",
        "declined the request of",
    ),
    ("role_granted", "Role given or changed", "gave a role to"),
    ("role_revoked", "Role taken away", "took the role from"),
    ("role_tidied", "Rows tidied", "made one row for"),
    ("role_ended", "Role ended", "ended the role of"),
    ("bound", "Address bound", "bound to an account"),
    ("rebound", "Address freed", "freed for another account"),
    ("published", "Published", "published"),
    ("downloaded", "Downloaded", "downloaded"),
    ("previewed", "Looked at", "looked at"),
    ("renamed", "Renamed", "renamed"),
    ("moved", "Moved", "moved"),
    ("title_changed", "Title changed", "changed the title of"),
    ("folder_made", "Folder made", "made the folder"),
    ("deleted", "Deleted", "deleted"),
    ("restored", "Brought back", "brought back"),
    ("removed_for_good", "Removed for good", "removed for good"),
    (
        "folder_rule_set",
        "Folder rule made",
        "said who sees the folder",
    ),
    (
        "folder_rule_cleared",
        "Folder rule removed",
        "opened to every role the folder",
    ),
    (
        "roles_exported",
        "Roles exported",
        "exported the list of people",
    ),
    ("audit_exported", "Audit exported", "exported the audit"),
    (
        "audit_removed",
        "Audit rows removed",
        "removed old rows of the audit",
    ),
];

/// A row of the audit, ready to be shown.
#[derive(Debug, Clone)]
pub struct Line {
    /// Key of the row.
    pub id: i64,
    /// How long ago.
    pub when: String,
    /// Exactly.
    pub when_exact: String,
    /// Who; `somebody` where no identity is established.
    pub actor: String,
    /// Whether that is a person with a page.
    pub actor_is_person: bool,
    /// What they did, as a verb.
    pub verb: String,
    /// To whom or what; empty where the sentence needs none.
    pub subject: String,
    /// Whether that is a person with a page.
    pub subject_is_person: bool,
    /// How it ended.
    pub outcome: String,
    /// Bytes sent or stored.
    pub bytes: Option<String>,
    /// The number that the person was shown.
    pub reference: String,
    /// The client's address.
    pub address: String,
    /// What else is known, name by name.
    pub details: Vec<(String, String)>,
    /// Whether it can be taken back.
    pub can_be_undone: bool,
}

/// Rows, ready to be shown at `now` (microseconds since 1970 UTC).
pub fn lines(entries: Vec<Entry>, now: i64) -> Vec<Line> {
    entries.into_iter().map(|entry| line(entry, now)).collect()
}

fn line(entry: Entry, now: i64) -> Line {
    let known = ACTIONS
        .iter()
        .find(|(action, _, _)| *action == entry.action);
    let verb = known.map_or_else(
        || entry.action.replace('_', " "),
        |(_, _, verb)| (*verb).to_owned(),
    );
    // The account that came is not the one that the address belongs to, so it is not said to be that person.
    let verb = match entry.action == "sign_in_refused" && !entry.subject.is_empty() {
        true => format!("{verb} under"),
        false => verb,
    };
    // Whoever signs in or out is the subject as well; saying it once is enough. Exports name a table.
    let says_all = entry.subject == entry.actor || entry.subject.starts_with("dim.");
    Line {
        id: entry.id,
        when: clock::ago(entry.at, now),
        when_exact: clock::rfc3339(entry.at),
        actor_is_person: entry.actor.contains('@'),
        actor: match entry.actor.is_empty() {
            true => "somebody".to_owned(),
            false => entry.actor,
        },
        verb,
        subject_is_person: is_about_a_person(&entry.action),
        subject: match says_all {
            true => String::new(),
            false => entry.subject,
        },
        outcome: entry.outcome.replace('_', " "),
        bytes: entry
            .bytes
            .and_then(|bytes| u64::try_from(bytes).ok())
            .map(crate::files::incoming::human_size),
        reference: entry.reference.unwrap_or_default(),
        address: entry.address.unwrap_or_default(),
        details: details(&entry.detail),
        can_be_undone: crate::roles::undo::is_possible(&entry.action),
    }
}

fn is_about_a_person(action: &str) -> bool {
    [
        "role_",
        "signed_",
        "sign_in_refused",
        "access_requested",
        "access_declined",
        "bound",
        "rebound",
    ]
    .iter()
    .any(|beginning| action.starts_with(beginning))
}

/// The members of the detail, each as one line; empty ones are left out.
fn details(detail: &str) -> Vec<(String, String)> {
    let Ok(Value::Object(members)) = serde_json::from_str(detail) else {
        return Vec::new();
    };
    members
        .into_iter()
        .filter_map(|(name, value)| {
            let text = text(&name, &value);
            (!text.is_empty()).then(|| (name.replace('_', " "), text))
        })
        .collect()
}

fn text(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(rows) if rows.is_empty() => match name {
            "before" | "after" => "no role".to_owned(),
            _ => String::new(),
        },
        Value::Array(rows) => {
            let rows: Vec<String> = rows.iter().map(|row| text(name, row)).collect();
            rows.join("; ")
        }
        Value::Object(members) => {
            let parts = members.iter().filter_map(|(name, value)| {
                let shown = match (name.ends_with("_at"), value.as_i64()) {
                    (true, Some(at)) => clock::rfc3339(at),
                    _ => text(name, value),
                };
                (!shown.is_empty()).then(|| format!("{}: {shown}", name.replace('_', " ")))
            });
            parts.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, detail: &str) -> Entry {
        Entry {
            id: 1,
            at: 0,
            actor: "ada@x.example".to_owned(),
            action: action.to_owned(),
            subject: "karl@x.example".to_owned(),
            outcome: "reader".to_owned(),
            bytes: None,
            reference: None,
            address: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn a_row_reads_as_a_sentence() {
        let detail = r#"{"before":[],"after":[{"email":"karl@x.example","role":"reader"}],"grant_after":{"ends_at":86400000000,"note":null},"grant_before":null}"#;
        let line = line(entry("role_granted", detail), 0);
        let sentence = format!("{} {} {}", line.actor, line.verb, line.subject);
        assert_eq!(sentence, "ada@x.example gave a role to karl@x.example");
        let expected = [
            ("after", "email: karl@x.example, role: reader"),
            ("before", "no role"),
            ("grant after", "ends at: 1970-01-02T00:00:00Z"),
        ];
        let found: Vec<(&str, &str)> = line
            .details
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(found, expected);
        assert!(line.can_be_undone && line.subject_is_person);
    }

    #[test]
    fn an_action_that_others_add_is_shown_by_its_name() {
        let line = line(entry("folder_rule_changed", "no JSON"), 0);
        assert_eq!(
            (line.verb.as_str(), line.details.len()),
            ("folder rule changed", 0)
        );
    }
}
