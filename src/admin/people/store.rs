//! The SQL of the list of people: rows of `dim.user_roles`, whoever wrote them, with what is known beside them.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::json;

use super::choice::{Column, Show, Sort};
use super::stretch::{Stretch, reversed};
use super::words;
use crate::db::{Conn, DbResult, either};

/// Rows of a page.
pub const PER_PAGE: i64 = 50;
/// A search shows so many rows at most; the words can be made more exact.
pub const MOST_FOUND: usize = 1000;

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

/// Which rows are listed.
#[derive(Debug, Clone)]
pub enum Which {
    /// All that a choice admits.
    Those(Show),
    /// What a search found: a JSON array of objects with an `email`, as it is written.
    Found(String),
}

/// The rows that the words are in, in address or name: the first thousand by address, and whether there are more.
/// Words can be anywhere, so both are read from end to end, once.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, text: &str, show: Show) -> DbResult<(Which, i64, bool)> {
    let sql = find_sql(conn, show, text.is_ascii());
    let query = diesel::sql_query(sql).bind::<Text, _>(words::pattern(conn, text));
    let mut found: Vec<Email> = either!(conn, |c| query.load(c).await)?;
    let has_more = found.len() > MOST_FOUND;
    found.truncate(MOST_FOUND);
    let total = i64::try_from(found.len()).unwrap_or(0);
    let rows = found.into_iter().map(|row| json!({ "email": row.email }));
    let rows = serde_json::Value::from_iter(rows).to_string();
    Ok((Which::Found(rows), total, has_more))
}

/// The statement of [`find`] for words that are ASCII, or not; `$1` is the pattern.
pub fn find_sql(conn: &Conn, show: Show, ascii: bool) -> String {
    let key = conn.email_key("r.email");
    format!(
        "SELECT r.email FROM dim.user_roles r
         WHERE ({} OR {key} IN (SELECT n.email FROM dim.identities n WHERE {}))
           AND {} ORDER BY {key}, r.email LIMIT {}",
        words::contains(conn, "r.email", ascii),
        words::contains(conn, "n.name", ascii),
        show.condition(&key),
        MOST_FOUND + 1
    )
}

/// How many rows a choice admits.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut Conn, show: Show) -> DbResult<i64> {
    let everybody = Stretch::everybody(&conn.email_key("r.email"));
    rows_of(conn, &Which::Those(show), &everybody).await
}

/// The page that begins behind `offset` of `total` rows. It is read from whichever end is nearer.
///
/// # Errors
/// The database's.
pub async fn page(
    conn: &mut Conn,
    which: &Which,
    sort: Sort,
    offset: i64,
    total: i64,
) -> DbResult<Vec<Row>> {
    let wanted = PER_PAGE.min(total - offset).max(0);
    let from_the_end = offset > total / 2;
    let mut stretches = which.stretches(conn, sort);
    let mut skip = offset;
    if from_the_end {
        stretches = reversed(stretches);
        skip = total - offset - wanted;
    }
    let mut rows: Vec<Row> = Vec::new();
    for (index, stretch) in stretches.iter().enumerate() {
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(wanted);
        if missing == 0 {
            break;
        }
        // Counting a stretch costs less than walking it in vain.
        if skip > 0 && index + 1 < stretches.len() {
            let count = rows_of(conn, which, stretch).await?;
            if skip >= count {
                skip -= count;
                continue;
            }
        }
        let sql = sql(conn, which, stretch, missing, skip);
        let query = diesel::sql_query(sql).bind::<Text, _>(which.bound());
        let some: Vec<Row> = either!(&mut *conn, |c| query.load(c).await)?;
        skip = 0;
        rows.extend(some);
    }
    if from_the_end {
        rows.reverse();
    }
    Ok(rows)
}

/// The statements that a list may be made of, one a stretch, for a look at how the database runs them.
pub fn statements(conn: &Conn, which: &Which, sort: Sort) -> Vec<String> {
    let stretches = which.stretches(conn, sort);
    let statements = stretches
        .iter()
        .map(|stretch| sql(conn, which, stretch, PER_PAGE, 0));
    statements.collect()
}

/// The rows are chosen first, and what is known beside them is looked up for those alone.
fn sql(conn: &Conn, which: &Which, stretch: &Stretch, limit: i64, offset: i64) -> String {
    let (key, other) = (conn.email_key("r.email"), conn.email_key("o.email"));
    format!(
        "SELECT p.email, p.key, p.role, e.ends_at, e.note,
                (SELECT max(i.last_sign_in_at) FROM dim.identities i WHERE i.email = p.key) AS seen_at,
                (SELECT i.name FROM dim.identities i WHERE i.email = p.key ORDER BY i.last_sign_in_at DESC LIMIT 1) AS name,
                (SELECT count(*) FROM dim.user_roles o WHERE {other} = p.key) AS spellings
         FROM (SELECT r.email, {key} AS key, r.role, {value} AS value {from}
               ORDER BY {order} LIMIT {limit} OFFSET {offset}) p
         LEFT JOIN dim.grants e ON e.email = p.key
         ORDER BY {order_of_chosen}",
        value = stretch.value(),
        from = from(conn, which, stretch),
        order = stretch.order(),
        order_of_chosen = stretch.order_of_chosen(),
    )
}

async fn rows_of(conn: &mut Conn, which: &Which, stretch: &Stretch) -> DbResult<i64> {
    let sql = format!("SELECT count(*) AS count {}", from(conn, which, stretch));
    let query = diesel::sql_query(sql).bind::<Text, _>(which.bound());
    let found: Count = either!(conn, |c| query.get_result(c).await)?;
    Ok(found.count)
}

fn from(conn: &Conn, which: &Which, stretch: &Stretch) -> String {
    let which = match which {
        // Compared with nothing, so that there is one bound value either way.
        Which::Those(show) => {
            let condition = show.condition(&conn.email_key("r.email"));
            format!("$1 <> '' AND {condition}")
        }
        Which::Found(_) => {
            let found = conn.rows_of_json(&[("email", "text")]);
            format!("r.email IN (SELECT x.email FROM {found})")
        }
    };
    format!(
        "FROM dim.user_roles r {} WHERE {which} AND {}",
        stretch.join, stretch.condition
    )
}

impl Which {
    fn stretches(&self, conn: &Conn, sort: Sort) -> Vec<Stretch> {
        let key = conn.email_key("r.email");
        match self {
            // Of those who never signed in, nobody signed in last.
            Self::Those(Show::Never) if sort.column() == Column::Seen => {
                vec![Stretch::everybody(&key)]
            }
            Self::Those(Show::All | Show::Readers) => Stretch::of(sort, false, &key),
            Self::Those(_) | Self::Found(_) => Stretch::of(sort, true, &key),
        }
    }

    fn bound(&self) -> &str {
        match self {
            Self::Those(_) => "[]",
            Self::Found(rows) => rows,
        }
    }
}

#[derive(QueryableByName)]
struct Email {
    #[diesel(sql_type = Text)]
    email: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
