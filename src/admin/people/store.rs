//! The SQL of the list of people: rows of `dim.user_roles`, whoever wrote them, with what is known beside them.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use crate::clock;
use crate::db::{Conn, DbResult, either};

/// Rows of a page.
pub const PER_PAGE: i64 = 50;
const ENDING_WITHIN: i64 = 30 * 86_400 * clock::SECOND;

/// A row with what is known beside it.
#[derive(Debug, QueryableByName)]
pub struct Row {
    /// As it is written.
    #[diesel(sql_type = Text)]
    pub email: String,
    /// The same in lower case.
    #[diesel(sql_type = Text)]
    pub key: String,
    /// As it is written.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// When it ends, microseconds since 1970 UTC.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub ends_at: Option<i64>,
    /// Why it was given.
    #[diesel(sql_type = Nullable<Text>)]
    pub note: Option<String>,
    /// The last sign-in under the address, microseconds since 1970 UTC.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub seen_at: Option<i64>,
    /// The name of whoever signed in last.
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    /// Rows for the same address.
    #[diesel(sql_type = BigInt)]
    pub spellings: i64,
}

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

    fn condition(self, key: &str) -> String {
        match self {
            Self::All => "true".to_owned(),
            Self::Admins => "r.role = 'admin'".to_owned(),
            Self::Editors => "r.role = 'editor'".to_owned(),
            Self::Readers => "r.role = 'reader'".to_owned(),
            Self::Ending => format!("g.ends_at < {}", clock::now() + ENDING_WITHIN),
            Self::Never => {
                format!("NOT EXISTS (SELECT 1 FROM dim.identities i WHERE i.email = {key})")
            }
            Self::Odd => {
                format!("(r.role NOT IN ('reader', 'editor', 'admin') OR r.email <> {key})")
            }
        }
    }
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The address.
    Person,
    /// The role's name.
    Role,
    /// The end; none comes last.
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

    fn order(self, names: &Names) -> String {
        let way = if self.descending { "DESC" } else { "ASC" };
        let Names {
            key,
            email,
            role,
            ends_at,
            seen,
        } = names;
        match self.column {
            Column::Person => format!("{key} {way}, {email} {way}"),
            Column::Role => format!("{role} {way}, {key}, {email}"),
            Column::Until => format!("{ends_at} IS NULL, {ends_at} {way}, {key}, {email}"),
            Column::Seen => format!("{seen} {way}, {key}, {email}"),
        }
    }
}

/// What the columns are called.
struct Names<'a> {
    key: &'a str,
    email: &'a str,
    role: &'a str,
    ends_at: &'a str,
    seen: &'a str,
}

/// How many rows match.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut Conn, words: &str, show: Show) -> DbResult<i64> {
    let key = conn.email_key("r.email");
    let sql = format!(
        "SELECT count(*) AS count FROM dim.user_roles r LEFT JOIN dim.grants g ON g.email = {key} WHERE {}",
        condition(&key, words, show)
    );
    let query = diesel::sql_query(sql).bind::<Text, _>(pattern(words));
    let found: Count = either!(conn, |c| query.get_result(c).await)?;
    Ok(found.count)
}

/// Page `number` (from 1) of the rows that match.
///
/// # Errors
/// The database's.
pub async fn page(
    conn: &mut Conn,
    words: &str,
    show: Show,
    sort: Sort,
    number: i64,
) -> DbResult<Vec<Row>> {
    let query = diesel::sql_query(sql(conn, words, show, sort, number));
    let query = query.bind::<Text, _>(pattern(words));
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The rows are chosen first, and what is known beside them is looked up for those alone.
fn sql(conn: &Conn, words: &str, show: Show, sort: Sort, number: i64) -> String {
    let key = conn.email_key("r.email");
    let (seen, join) = match sort.column {
        Column::Seen => (
            "coalesce(s.at, 0)",
            format!(
                "LEFT JOIN (SELECT email, max(last_sign_in_at) AS at FROM dim.identities GROUP BY email) s ON s.email = {key}"
            ),
        ),
        _ => ("0", String::new()),
    };
    let inner = Names {
        key: &key,
        email: "r.email",
        role: "r.role",
        ends_at: "g.ends_at",
        seen,
    };
    let outer = Names {
        key: "p.key",
        email: "p.email",
        role: "p.role",
        ends_at: "p.ends_at",
        seen: "p.seen",
    };
    let other = conn.email_key("o.email");
    format!(
        "SELECT p.email, p.key, p.role, p.ends_at, p.note,
                (SELECT max(i.last_sign_in_at) FROM dim.identities i WHERE i.email = p.key) AS seen_at,
                (SELECT i.name FROM dim.identities i WHERE i.email = p.key ORDER BY i.last_sign_in_at DESC LIMIT 1) AS name,
                (SELECT count(*) FROM dim.user_roles o WHERE {other} = p.key) AS spellings
         FROM (SELECT r.email, {key} AS key, r.role, g.ends_at, g.note, {seen} AS seen
               FROM dim.user_roles r LEFT JOIN dim.grants g ON g.email = {key} {join}
               WHERE {condition} ORDER BY {order} LIMIT {PER_PAGE} OFFSET {offset}) p
         ORDER BY {outer}",
        order = sort.order(&inner),
        outer = sort.order(&outer),
        condition = condition(&key, words, show),
        offset = (number - 1).saturating_mul(PER_PAGE),
    )
}

/// `$1` is the pattern; without words it is compared with nothing, so that no row is read for it.
fn condition(key: &str, words: &str, show: Show) -> String {
    let found = match words.is_empty() {
        true => "$1 <> ''".to_owned(),
        false => format!(
            "({key} LIKE $1 ESCAPE '\\' OR {key} IN (SELECT n.email FROM dim.identities n WHERE lower(n.name) LIKE $1 ESCAPE '\\'))"
        ),
    };
    format!("{found} AND {}", show.condition(key))
}

/// The words anywhere, whatever signs they hold.
fn pattern(words: &str) -> String {
    let mut text = String::from("%");
    for character in words.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('%');
    text
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
