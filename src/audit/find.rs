//! Looks rows up by person, action, path, reference and time: newest first, page by page, without counting them.

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use super::Action;
use super::store::Entry;
use crate::db::{Conn, DbResult, either};

/// Characters of a subject that the index holds.
const INDEXED: usize = 200;

/// What to look for; every part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Who did it, or to whom it was done: an address in lower case.
    pub person: Option<String>,
    /// What happened, as [`super::Action`] spells it.
    pub action: Option<String>,
    /// The file or address it happened to; everything below it where it ends in `/`.
    pub path: Option<String>,
    /// The number that a person was shown.
    pub reference: Option<String>,
    /// Not before, microseconds since 1970 UTC.
    pub from: Option<i64>,
    /// Before, microseconds since 1970 UTC.
    pub to: Option<i64>,
}

/// A place between two rows: time, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// Breaks ties.
    pub id: i64,
}

impl Cursor {
    /// The place of a row.
    pub fn of(entry: &Entry) -> Self {
        Self {
            at: entry.at,
            id: entry.id,
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('.').ok_or(())?;
        Ok(Self {
            at: at.parse().map_err(|_| ())?,
            id: id.parse().map_err(|_| ())?,
        })
    }
}

/// Which way from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Towards the past; from the newest row on without a cursor.
    Older(Option<Cursor>),
    /// Towards the present; from the oldest row on without a cursor.
    Newer(Option<Cursor>),
}

/// The first `limit` rows that way, in the order in which one meets them.
///
/// # Errors
/// The database's.
pub async fn rows(
    conn: &mut Conn,
    search: &Search,
    way: Way,
    limit: usize,
) -> DbResult<Vec<Entry>> {
    let Some(person) = &search.person else {
        return select(conn, search, None, way, limit).await;
    };
    let mut found = select(conn, search, Some(("actor", person)), way, limit).await?;
    // With a path, what happened to a person as the subject is out of the question.
    if search.path.is_none() {
        let to_them = select(conn, search, Some(("subject", person)), way, limit).await?;
        found.extend(to_them.into_iter().filter(|entry| &entry.actor != person));
        found.sort_by_key(Cursor::of);
        if matches!(way, Way::Older(_)) {
            found.reverse();
        }
        found.truncate(limit);
    }
    Ok(found)
}

/// The newest refusals of an address (lower case), newest first, at most `limit` of either kind: pages that its person was
/// refused, and sign-ins under it.
///
/// # Errors
/// The database's.
pub async fn refusals(conn: &mut Conn, email: &str, limit: usize) -> DbResult<Vec<Entry>> {
    let mut found = Vec::new();
    for action in [Action::AccessRefused, Action::SignInRefused] {
        let search = Search {
            person: Some(email.to_owned()),
            action: Some(action.as_str().to_owned()),
            ..Search::default()
        };
        found.extend(rows(conn, &search, Way::Older(None), limit).await?);
    }
    found.sort_by_key(|entry| std::cmp::Reverse(Cursor::of(entry)));
    Ok(found)
}

async fn select(
    conn: &mut Conn,
    search: &Search,
    person: Option<(&str, &str)>,
    way: Way,
    limit: usize,
) -> DbResult<Vec<Entry>> {
    let (sql, texts) = query(conn, search, person, way, limit);
    Ok(either!(conn, |c| {
        let mut query = diesel::sql_query(sql).into_boxed();
        for text in texts {
            query = query.bind::<Text, _>(text);
        }
        query.load(c).await
    })?)
}

/// The SQL, and the texts to bind in their order. Numbers stand in it as they are.
pub fn query(
    conn: &Conn,
    search: &Search,
    person: Option<(&str, &str)>,
    way: Way,
    limit: usize,
) -> (String, Vec<String>) {
    let mut filter = Filter::default();
    match person {
        Some(("subject", email)) => filter.subject_is(conn, email),
        Some((_, email)) => filter.equals("actor", email),
        None => {}
    }
    if let Some(action) = &search.action {
        filter.equals("action", action);
    }
    if let Some(reference) = &search.reference {
        filter.equals("reference", reference);
    }
    match search.path.as_deref() {
        Some(path) if path.ends_with('/') => filter.subject_below(conn, path),
        Some(path) => filter.subject_is(conn, path),
        None => {}
    }
    if let Some(from) = search.from {
        filter.conditions.push(format!("at >= {from}"));
    }
    if let Some(to) = search.to {
        filter.conditions.push(format!("at < {to}"));
    }
    let (cursor, sign, order) = match way {
        Way::Older(cursor) => (cursor, '<', "DESC"),
        Way::Newer(cursor) => (cursor, '>', "ASC"),
    };
    if let Some(Cursor { at, id }) = cursor {
        // The first half alone is what an index can begin from.
        let past = format!("at {sign}= {at} AND (at {sign} {at} OR id {sign} {id})");
        filter.conditions.push(past);
    }
    let conditions = match filter.conditions.is_empty() {
        true => "true".to_owned(),
        false => filter.conditions.join(" AND "),
    };
    let sql = format!(
        "SELECT id, at, actor, action, subject, outcome, bytes, reference, address, detail FROM dim.audit
         WHERE {conditions} ORDER BY at {order}, id {order} LIMIT {limit}"
    );
    (sql, filter.texts)
}

#[derive(Default)]
struct Filter {
    conditions: Vec<String>,
    texts: Vec<String>,
}

impl Filter {
    /// Binds a text, and returns its name in the SQL.
    fn bind(&mut self, text: impl Into<String>) -> String {
        self.texts.push(text.into());
        format!("${}", self.texts.len())
    }

    fn equals(&mut self, column: &str, text: &str) {
        let name = self.bind(text);
        self.conditions.push(format!("{column} = {name}"));
    }

    fn subject_is(&mut self, conn: &Conn, subject: &str) {
        let beginning = self.bind(subject.chars().take(INDEXED).collect::<String>());
        let indexed = conn.bytewise("substr(subject, 1, 200)");
        self.conditions.push(format!("{indexed} = {beginning}"));
        self.equals("subject", subject);
    }

    /// Every text between `a/` and `a0`, the character after the slash, begins with `a/`.
    fn subject_below(&mut self, conn: &Conn, folder: &str) {
        let beginning: String = folder.chars().take(INDEXED).collect();
        let (least, past) = match beginning.strip_suffix('/') {
            Some(name) => (beginning.clone(), format!("{name}0")),
            None => (beginning.clone(), format!("{beginning}\u{10FFFF}")),
        };
        let indexed = conn.bytewise("substr(subject, 1, 200)");
        let (least, past) = (self.bind(least), self.bind(past));
        self.conditions
            .push(format!("{indexed} >= {least} AND {indexed} < {past}"));
        let length = folder.chars().count();
        if length > INDEXED {
            self.equals(&format!("substr(subject, 1, {length})"), folder);
        }
    }
}
