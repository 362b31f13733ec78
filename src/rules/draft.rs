//! A rule as it was typed, on the page or at the command line, and what can be wrong with it.

use std::collections::BTreeSet;

use super::Rule;
use crate::auth::entra::is_plain_address;
use crate::clock;
use crate::roles::Role;

/// More people than these are better given a role.
const MOST_PEOPLE: usize = 200;

/// What cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The field: `folder`, `role` or `people`.
    pub field: &'static str,
    /// What to do about it.
    pub sentence: String,
}

impl Wrong {
    /// A sentence about a field.
    pub fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            field,
            sentence: sentence.into(),
        }
    }
}

/// The rule for `folder` (where it really is; empty is the root) that these texts make. Addresses may be parted by white
/// space, commas or semicolons.
///
/// # Errors
/// The first field that cannot be taken.
pub fn rule(folder: &str, role: &str, people: &str, set_by: &str) -> Result<Rule, Wrong> {
    let role = match role.parse() {
        Ok(Role::Reader) => {
            return Err(Wrong::new(
                "role",
                "Every reader sees a folder without a rule. Remove the rule instead.",
            ));
        }
        Ok(role) => role,
        Err(_) => return Err(Wrong::new("role", "Choose editor or admin.")),
    };
    Ok(Rule {
        folder: folder.to_owned(),
        role,
        people: addresses(people)?,
        set_by: set_by.to_owned(),
        set_at: clock::now(),
    })
}

fn addresses(text: &str) -> Result<BTreeSet<String>, Wrong> {
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let mut people = BTreeSet::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !is_plain_address(part) {
            let shown: String = part.chars().take(60).collect();
            return Err(Wrong::new(
                "people",
                format!("“{shown}” is not an e-mail address, such as ada@contoso.com."),
            ));
        }
        people.insert(part.to_ascii_lowercase());
    }
    if people.len() > MOST_PEOPLE {
        return Err(Wrong::new(
            "people",
            format!("A rule can name {MOST_PEOPLE} people at most. Give them a role instead."),
        ));
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_in_any_form_and_kept_in_lower_case() {
        let made = rule(
            "a",
            "editor",
            " Ada@X.example, karl@x.example;\nkarl@x.example\r\n",
            "admin@x.example",
        );
        let made = made.unwrap();
        assert_eq!(made.role, Role::Editor);
        assert!(made.people.iter().eq(["ada@x.example", "karl@x.example"]));
        for (role, people, field) in [
            ("reader", "", "role"),
            ("", "", "role"),
            ("Admin", "", "role"),
            ("admin", "ada", "people"),
            ("admin", "a@b@c", "people"),
        ] {
            assert_eq!(rule("a", role, people, "").unwrap_err().field, field);
        }
    }
}
