//! Folder rules: which roles and which people may see a folder and what is below it. Without a rule everybody with a
//! role may. All rules on the way to a file have to admit, so a rule further down can only narrow what one above it says.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::roles::Role;
use crate::roles::cache::Person;

pub mod cache;
pub mod draft;
pub mod store;

pub use cache::Rulebook;

/// What is put behind a name that was taken when something came back to it.
pub const BROUGHT_BACK: &str = " (brought back)";

/// Who may see one folder and what is below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its path; empty is the root.
    pub folder: String,
    /// The least role that sees it. As no role is above admin, nothing can be hidden from admins.
    pub role: Role,
    /// Lower-case addresses of people who see it whatever their role.
    pub people: BTreeSet<String>,
    /// Who made the rule.
    pub set_by: String,
    /// When, microseconds since 1970 UTC.
    pub set_at: i64,
}

impl Rule {
    fn admits(&self, person: &Person) -> bool {
        self.lets_in(&person.email, person.role)
    }

    /// Whether somebody with that address (lower case) and role sees the folder.
    pub fn lets_in(&self, email: &str, role: Option<Role>) -> bool {
        role >= Some(self.role) || self.people.contains(email)
    }
}

/// What one person may see. Everything that shows or opens files asks this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sight(Arc<[String]>);

impl Sight {
    /// What `person` sees under these rules.
    pub fn new(rules: &[Rule], person: &Person) -> Self {
        let mut hidden: Vec<String> = rules
            .iter()
            .filter(|rule| !rule.admits(person))
            .map(|rule| rule.folder.clone())
            .collect();
        hidden.sort();
        // Of folders inside each other the outermost says it all.
        let mut outermost: Vec<String> = Vec::new();
        for folder in hidden {
            if !outermost.iter().any(|outer| is_within(outer, &folder)) {
                outermost.push(folder);
            }
        }
        Self(outermost.into())
    }

    /// What somebody sees from whom nothing is hidden.
    pub fn everything() -> Self {
        Self(Arc::new([]))
    }

    /// The outermost folders that this person may not see; an empty path is the root.
    pub fn hidden(&self) -> &[String] {
        &self.0
    }

    /// Whether nothing at all is hidden.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the file or folder at `path` may be seen; the empty path is the root.
    pub fn shows(&self, path: &str) -> bool {
        !self.0.iter().any(|hidden| is_within(hidden, path))
    }

    /// Whether something is hidden in `folder` or deeper, or the folder itself.
    pub fn hides_below(&self, folder: &str) -> bool {
        let touches = |hidden: &String| is_within(folder, hidden) || is_within(hidden, folder);
        self.0.iter().any(touches)
    }
}

/// Whether `path` is `folder` or lies below it; the empty folder is the root.
pub fn is_within(folder: &str, path: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(folder: &str, role: Role, people: &[&str]) -> Rule {
        Rule {
            folder: folder.to_owned(),
            role,
            people: people.iter().map(|email| (*email).to_owned()).collect(),
            set_by: String::new(),
            set_at: 0,
        }
    }

    fn sight(rules: &[Rule], email: &str, role: Option<Role>) -> Sight {
        let person = Person {
            email: email.to_owned(),
            name: None,
            role,
            ends_at: None,
            is_other_account: false,
            account: None,
        };
        Sight::new(rules, &person)
    }

    #[test]
    fn a_rule_governs_the_folder_and_what_is_below_and_nothing_beside_it() {
        let rules = [rule("a/b", Role::Editor, &["ada@x.example"])];
        let reader = sight(&rules, "karl@x.example", Some(Role::Reader));
        for hidden in ["a/b", "a/b/c", "a/b/c/d.txt"] {
            assert!(!reader.shows(hidden), "{hidden}");
        }
        for shown in ["", "a", "a/bc", "a/b.txt", "b", "A/B"] {
            assert!(reader.shows(shown), "{shown}");
        }
        assert!(reader.hides_below("") && reader.hides_below("a") && reader.hides_below("a/b"));
        assert!(!reader.hides_below("a/bc") && !reader.hides_below("b"));
        assert!(sight(&rules, "ada@x.example", Some(Role::Reader)).is_whole());
        assert!(sight(&rules, "karl@x.example", Some(Role::Editor)).is_whole());
        assert!(sight(&rules, "karl@x.example", Some(Role::Admin)).is_whole());
    }

    #[test]
    fn a_rule_further_down_only_narrows() {
        let rules = [
            rule("a", Role::Editor, &["ada@x.example"]),
            rule("a/b", Role::Admin, &["ada@x.example", "karl@x.example"]),
            rule("a/c", Role::Reader, &[]),
        ];
        let karl = sight(&rules, "karl@x.example", Some(Role::Reader));
        assert!(
            !karl.shows("a/b") && !karl.shows("a/c"),
            "the outer rule counts"
        );
        assert_eq!(karl.hidden(), ["a"]);
        let ada = sight(&rules, "ada@x.example", Some(Role::Reader));
        assert!(ada.is_whole());
        let grace = sight(&rules, "grace@x.example", Some(Role::Editor));
        assert_eq!(grace.hidden(), ["a/b"]);
    }

    #[test]
    fn nothing_is_hidden_from_admins_and_everything_from_nobody() {
        let rules = [rule("", Role::Admin, &[]), rule("x", Role::Admin, &[])];
        assert!(sight(&rules, "ada@x.example", Some(Role::Admin)).is_whole());
        let nobody = sight(&rules, "eve@x.example", None);
        assert_eq!(nobody.hidden(), [""]);
        assert!(!nobody.shows("") && !nobody.shows("a") && nobody.hides_below("q"));
    }
}
