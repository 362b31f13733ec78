//! A role to be given, and how it is read from what people type: in a form, in a line of a list, at the command line.

use super::Role;
use crate::clock;

const LONGEST_NOTE: usize = 200;

/// A role to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The role.
    pub role: Role,
    /// When it ends, microseconds since 1970 UTC.
    pub ends_at: Option<i64>,
    /// Why it is given.
    pub note: Option<String>,
}

/// What was typed cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `email`, `role`, `until` or `note`.
    pub field: &'static str,
    /// What to write instead.
    pub sentence: String,
}

impl Mistake {
    /// A mistake in `field`.
    pub fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { field, sentence }
    }
}

impl Wanted {
    /// Reads role, last day (UTC, `2026-12-31`, may be empty) and note (may be empty).
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn read(role: &str, until: &str, note: &str) -> Result<Self, Mistake> {
        let role = role.trim().parse().map_err(|_| match role.trim() {
            "" => Mistake::new("role", "Choose a role: reader, editor or admin."),
            other => Mistake::new(
                "role",
                format!("“{other}” is no role. The roles are reader, editor and admin."),
            ),
        })?;
        Ok(Self {
            role,
            ends_at: end(until.trim())?,
            note: read_note(note)?,
        })
    }
}

impl From<Role> for Wanted {
    fn from(role: Role) -> Self {
        Self {
            role,
            ends_at: None,
            note: None,
        }
    }
}

fn end(until: &str) -> Result<Option<i64>, Mistake> {
    if until.is_empty() {
        return Ok(None);
    }
    match clock::end_of_day(until) {
        Some(end) if end > clock::now() => Ok(Some(end)),
        Some(_) => Err(Mistake::new(
            "until",
            "That day has passed. Choose a later one, or leave it empty.",
        )),
        None => Err(Mistake::new(
            "until",
            "Write the last day as year-month-day, such as 2026-12-31, or leave it empty.",
        )),
    }
}

/// One line for people; `None` when there is nothing in it.
///
/// # Errors
/// A [`Mistake`] in `note`.
pub fn read_note(note: &str) -> Result<Option<String>, Mistake> {
    let note = note.trim();
    if note.chars().any(char::is_control) {
        let sentence = "A note is one line of plain text.";
        return Err(Mistake::new("note", sentence));
    }
    if note.chars().count() > LONGEST_NOTE {
        let sentence = format!("A note has at most {LONGEST_NOTE} characters.");
        return Err(Mistake::new("note", sentence));
    }
    Ok(Some(note.to_owned()).filter(|note| !note.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(role: &str, until: &str, note: &str) -> &'static str {
        Wanted::read(role, until, note).unwrap_err().field
    }

    #[test]
    fn what_people_type_is_understood_or_told_apart_by_field() {
        let wanted = Wanted::read(" editor ", " 2999-12-31 ", "  for the audit ").unwrap();
        assert_eq!(wanted.role, Role::Editor);
        assert_eq!(
            wanted.ends_at.map(clock::last_day).as_deref(),
            Some("2999-12-31")
        );
        assert_eq!(wanted.note.as_deref(), Some("for the audit"));
        assert_eq!(Wanted::read("reader", "", " "), Ok(Role::Reader.into()));
        assert_eq!(wrong("", "", ""), "role");
        assert_eq!(wrong("Owner", "", ""), "role");
        assert_eq!(wrong("reader", "2001-01-01", ""), "until");
        assert_eq!(wrong("reader", "31.12.2999", ""), "until");
        assert_eq!(wrong("reader", "", "two\nlines"), "note");
        assert_eq!(wrong("reader", "", &"x".repeat(201)), "note");
    }
}
