//! Which people are shown, and in which order: the words of the address, and the SQL that they stand for.

use crate::clock;

const ENDING_WITHIN: i64 = 30 * 86_400 * clock::SECOND;

/// SQL for rows of a role that the portal does not know.
pub(super) const UNKNOWN_ROLE: &str = "r.role NOT IN ('reader', 'editor', 'admin')";

/// Which rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// All.
    All,
    /// With that role.
    Admins,
    /// With that role.
    Editors,
    /// With that role.
    Readers,
    /// That end within thirty days.
    Ending,
    /// Whose address never signed in.
    Never,
    /// An unknown role, or an address that is not in lower case.
    Odd,
}

impl Show {
    /// All choices, with their word in the address and what people read.
    pub const ALL: [(Show, &'static str, &'static str); 7] = [
        (Self::All, "", "Everybody"),
        (Self::Admins, "admins", "Admins"),
        (Self::Editors, "editors", "Editors"),
        (Self::Readers, "readers", "Readers"),
        (Self::Ending, "ending", "Ending within 30 days"),
        (Self::Never, "never", "Never signed in"),
        (Self::Odd, "odd", "Odd rows"),
    ];

    /// The one that the address asks for; all where it is none that we know.
    pub fn of(word: Option<&str>) -> Self {
        let known = Self::ALL
            .into_iter()
            .find(|(_, known, _)| word == Some(known));
        known.map_or(Self::All, |(show, _, _)| show)
    }

    /// Its word in the address.
    pub fn word(self) -> &'static str {
        let known = Self::ALL.into_iter().find(|(show, _, _)| *show == self);
        known.map_or("", |(_, word, _)| word)
    }

    pub(super) fn condition(self, key: &str) -> String {
        match self {
            Self::All => "true".to_owned(),
            Self::Admins => "r.role = 'admin'".to_owned(),
            Self::Editors => "r.role = 'editor'".to_owned(),
            Self::Readers => "r.role = 'reader'".to_owned(),
            Self::Ending => {
                let end = clock::now() + ENDING_WITHIN;
                format!("{key} IN (SELECT g.email FROM dim.grants g WHERE g.ends_at < {end})")
            }
            Self::Never => {
                format!("NOT EXISTS (SELECT 1 FROM dim.identities i WHERE i.email = {key})")
            }
            Self::Odd => {
                format!("({UNKNOWN_ROLE} OR r.email <> {key})")
            }
        }
    }
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The address.
    Person,
    /// The role, the one that opens most first.
    Role,
    /// The end; none comes last either way.
    Until,
    /// The last sign-in; none comes first.
    Seen,
}

/// Column and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    column: Column,
    descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            column: Column::Person,
            descending: false,
        }
    }
}

impl Sort {
    /// All columns, with their word in the address and what people read.
    pub const COLUMNS: [(Column, &'static str, &'static str); 4] = [
        (Column::Person, "person", "Person"),
        (Column::Role, "role", "Role"),
        (Column::Until, "until", "Until"),
        (Column::Seen, "seen", "Last sign-in"),
    ];

    /// The one that the address asks for; by person where it is none that we know.
    pub fn of(text: Option<&str>) -> Self {
        let text = text.unwrap_or("");
        let (descending, word) = match text.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, text),
        };
        let known = Self::COLUMNS
            .into_iter()
            .find(|(_, known, _)| *known == word);
        known.map_or_else(Self::default, |(column, _, _)| Self { column, descending })
    }

    /// The column.
    pub fn column(self) -> Column {
        self.column
    }

    /// Whether it is turned around.
    pub fn is_descending(self) -> bool {
        self.descending
    }

    /// Its word in the address.
    pub fn word(self) -> String {
        let known = Self::COLUMNS
            .into_iter()
            .find(|(column, _, _)| *column == self.column);
        let word = known.map_or("", |(_, word, _)| word);
        format!("{}{word}", if self.descending { "-" } else { "" })
    }

    /// What a click on the heading of `column` asks for.
    pub fn toward(self, column: Column) -> Self {
        Self {
            column,
            descending: self.column == column && !self.descending,
        }
    }

    /// How `column` is sorted, in the words of `aria-sort`.
    pub fn direction(self, column: Column) -> Option<&'static str> {
        match (self.column == column, self.descending) {
            (false, _) => None,
            (true, false) => Some("ascending"),
            (true, true) => Some("descending"),
        }
    }
}
