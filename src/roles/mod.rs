//! Roles: what a person may do, decided by rows of `dim.user_roles`. Other programs may write that table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::auth::entra::is_plain_address;

pub mod bindings;
pub mod cache;
pub mod change;
pub mod changes;
pub mod ends;
pub mod holdings;
pub mod list;
pub mod orphans;
pub mod plan;
pub mod store;
pub mod tidy;
pub mod undo;
pub mod wanted;
mod write;

pub use wanted::{Mistake, Wanted};

/// What a person may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees and downloads.
    Reader,
    /// Publishes besides.
    Editor,
    /// Manages the portal besides.
    Admin,
}

impl Role {
    /// All roles, least first.
    pub const ALL: [Role; 3] = [Role::Reader, Role::Editor, Role::Admin];

    /// The value as the table holds it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "the roles are reader, editor and admin".to_owned())
    }
}

/// A row of `dim.user_roles` as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRow {
    /// The address, in whatever case it was written.
    pub email: String,
    /// The role, whether we know it or not.
    pub role: String,
}

/// What the portal knows of a role that was given through it: a row of `dim.grants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role that was given. Another program may have written another one into `dim.user_roles` since.
    pub role: String,
    /// When the role ends, microseconds since 1970 UTC; never where there is none.
    pub ends_at: Option<i64>,
    /// Why it was given, in the words of whoever gave it.
    pub note: Option<String>,
    /// Who gave it, as [`crate::audit::Actor`] names them.
    pub granted_by: String,
    /// When, microseconds since 1970 UTC.
    pub granted_at: i64,
}

/// Everything that the tables say of an address's role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// The rows of `dim.user_roles`, however they are spelled.
    pub rows: Vec<RoleRow>,
    /// What is known beyond them.
    pub grant: Option<Grant>,
}

impl Holding {
    /// What the address (lower case) may do at `now` (microseconds since 1970 UTC).
    pub fn role(&self, email: &str, now: i64) -> Option<Role> {
        decide(email, &self.rows)
            .0
            .filter(|_| !has_ended(self.ends_at(), now))
    }

    /// When the role ends.
    pub fn ends_at(&self) -> Option<i64> {
        self.grant.as_ref().and_then(|grant| grant.ends_at)
    }

    /// Whether it makes an admin for good, whom the sign-in can let in. One such address has to be left, whatever is changed.
    pub fn is_lasting_admin(&self, email: &str) -> bool {
        is_plain_address(email)
            && self.ends_at().is_none()
            && decide(email, &self.rows).0 == Some(Role::Admin)
    }
}

/// Whether an end has come. The row may still be there: whoever asks decides by the clock, not by the row.
pub fn has_ended(ends_at: Option<i64>, now: i64) -> bool {
    ends_at.is_some_and(|ends_at| ends_at <= now)
}

/// What the rows whose address equals `email` without regard to ASCII case give that person.
///
/// An exact lower-case row wins, else a single mixed-case one; several mixed-case rows admit only
/// when they agree. An unknown role admits to nothing. The second value is what to tell an operator.
pub fn decide(email: &str, rows: &[RoleRow]) -> (Option<Role>, Option<String>) {
    let exact: Vec<&RoleRow> = rows.iter().filter(|row| row.email == email).collect();
    // A table without a key may hold the very same address twice.
    let rows = match exact.is_empty() {
        true => rows.iter().collect(),
        false => exact,
    };
    let Some(row) = rows.first() else {
        return (None, None);
    };
    if rows.iter().any(|other| other.role != row.role) {
        return (
            None,
            Some(format!(
                "dim.user_roles holds {email} several times with different roles; keep one row, in lower case"
            )),
        );
    }
    match row.role.parse() {
        Ok(role) => (Some(role), None),
        Err(known) => (
            None,
            Some(format!(
                "dim.user_roles gives {email} the role {:?}, which admits to nothing: {known}",
                row.role
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(&str, &str)]) -> Vec<RoleRow> {
        pairs
            .iter()
            .map(|(email, role)| RoleRow {
                email: (*email).to_owned(),
                role: (*role).to_owned(),
            })
            .collect()
    }

    fn role(pairs: &[(&str, &str)]) -> Option<Role> {
        decide("ada@x.example", &rows(pairs)).0
    }

    #[test]
    fn a_role_contains_the_lesser_ones() {
        assert!(Role::Admin > Role::Editor && Role::Editor > Role::Reader);
    }

    #[test]
    fn the_lower_case_row_wins_and_mixed_case_rows_must_agree() {
        assert_eq!(role(&[]), None);
        assert_eq!(role(&[("ada@x.example", "reader")]), Some(Role::Reader));
        assert_eq!(role(&[("Ada@X.example", "editor")]), Some(Role::Editor));
        let both = [("Ada@x.example", "admin"), ("ada@x.example", "reader")];
        assert_eq!(role(&both), Some(Role::Reader));
        let agree = [("Ada@x.example", "editor"), ("ADA@x.example", "editor")];
        assert_eq!(role(&agree), Some(Role::Editor));
        let differ = [("Ada@x.example", "editor"), ("ADA@x.example", "admin")];
        assert_eq!(role(&differ), None);
        assert!(decide("ada@x.example", &rows(&differ)).1.is_some());
        let twice = [("ada@x.example", "editor"), ("ada@x.example", "admin")];
        assert_eq!(role(&twice), None, "a table without a key");
    }

    #[test]
    fn an_unknown_role_admits_to_nothing_and_is_pointed_out() {
        for unknown in ["owner", "Admin", "", " reader"] {
            let (role, warning) = decide("ada@x.example", &rows(&[("ada@x.example", unknown)]));
            assert_eq!(role, None, "{unknown}");
            assert!(warning.is_some(), "{unknown}");
        }
        let shadowed = [("ada@x.example", "owner"), ("Ada@x.example", "admin")];
        assert_eq!(role(&shadowed), None);
    }
}
