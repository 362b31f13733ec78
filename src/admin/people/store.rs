//! The SQL of the list of people: rows of `dim.user_roles`, whoever wrote them, with what is known beside them.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::choice::{Column, Names, Show, Sort};
use crate::db::{Conn, DbResult, either};

/// Rows of a page.
pub const PER_PAGE: i64 = 50;

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
pub fn sql(conn: &Conn, words: &str, show: Show, sort: Sort, number: i64) -> String {
    let key = conn.email_key("r.email");
    let (seen, join) = match sort.column() {
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
