//! `/admin/people`: everybody's role, searched, sorted, page by page. The address holds all of the state.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, notice, oddity, sections, typed};
use crate::app::{State, finish};
use crate::audit::{self, Action, Event};
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, DbError, DbResult};
use crate::error::AppResult;
use crate::files::path::encode;
use crate::page::{Page, html};
use crate::roles::{Role, list};

pub mod choice;
pub mod store;
mod stretch;
mod words;

use choice::{Show, Sort};
use store::{PER_PAGE, Row, Which};

const SOON: i64 = 7 * 86_400 * clock::SECOND;

/// What the address asks for; every part may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    q: Option<String>,
    show: Option<String>,
    sort: Option<String>,
    page: Option<String>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    page: Page,
    sections: Vec<Section>,
    notice: Option<&'static str>,
    counts: String,
    query: String,
    shows: Vec<(&'static str, &'static str, bool)>,
    sort: String,
    has_more: bool,
    is_narrowed: bool,
    sorts: Vec<SortLink>,
    people: Vec<Person>,
    pager: Pager,
}

#[derive(Clone)]
struct SortLink {
    label: &'static str,
    href: String,
    direction: Option<&'static str>,
}

struct Person {
    email: String,
    key: String,
    name: Option<String>,
    role: String,
    warning: Option<String>,
    is_odd: bool,
    until: Option<String>,
    ends_soon: bool,
    note: Option<String>,
    seen: Option<String>,
    seen_exact: String,
}

struct Pager {
    from: i64,
    to: i64,
    total: i64,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /admin/people`: the list. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let words = typed(query.q.as_deref());
    let words = words.as_str();
    let show = Show::of(query.show.as_deref());
    let sort = Sort::of(query.sort.as_deref());
    let now = clock::now();
    let mut conn = state.db.conn().await?;
    let sections = sections(&mut conn, "/admin/people").await?;
    let counts = crate::roles::store::counts(&mut conn).await?;
    let (which, total, has_more) = match words.is_empty() {
        true => (
            Which::Those(show),
            total(&mut conn, show, &counts).await?,
            false,
        ),
        false => store::find(&mut conn, words, show).await?,
    };
    // A page past the end is the last one: somebody may have been removed since.
    let pages = (total + PER_PAGE - 1) / PER_PAGE;
    let number = page_number(query.page.as_deref()).clamp(1, pages.max(1));
    let first = (number - 1) * PER_PAGE;
    let rows = store::page(&mut conn, &which, sort, first, total).await?;
    drop(conn);
    let url = |sort: Sort, page: i64| url(words, show, sort, page);
    let pager = Pager {
        from: first + 1,
        to: first + i64::try_from(rows.len()).unwrap_or(0),
        total,
        previous: (number > 1).then(|| url(sort, number - 1)),
        next: (number < pages).then(|| url(sort, number + 1)),
    };
    html(&PeoplePage {
        page,
        sections,
        notice: notice(query.done.as_deref()),
        counts: in_words(&counts),
        query: words.to_owned(),
        shows: Show::ALL
            .map(|(choice, word, label)| (word, label, choice == show))
            .to_vec(),
        sort: sort.word(),
        has_more,
        is_narrowed: !words.is_empty() || show != Show::All,
        sorts: Sort::COLUMNS
            .map(|(column, _, label)| SortLink {
                label,
                href: url(sort.toward(column), 1),
                direction: sort.direction(column),
            })
            .to_vec(),
        people: rows.into_iter().map(|row| person(row, now)).collect(),
        pager,
    })
}

/// `GET /admin/people/export`: the list as CSV, written into the audit. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn export(admin: Admin, state: web::Data<State>) -> AppResult<HttpResponse> {
    let actor = admin.actor();
    let text = finish(async move {
        let text = state
            .db
            .transaction::<_, DbError>(async |conn: &mut Conn| {
                let event = Event::new(Action::RolesExported, "dim.user_roles", "exported");
                audit::record(conn, &actor, &event).await?;
                list::write(conn).await
            })
            .await?;
        Ok(text)
    })
    .await?;
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"people.csv\""))
        .body(text))
}

/// A number of any length; what is none is the first page.
fn page_number(text: Option<&str>) -> i64 {
    let text = text.unwrap_or("");
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let too_large = if is_number { i64::MAX } else { 1 };
    text.parse().unwrap_or(too_large)
}

/// How many rows a choice admits; most of it is known from the counts by role already.
async fn total(conn: &mut Conn, show: Show, counts: &[(String, i64)]) -> DbResult<i64> {
    let of = |role: Role| {
        let found = counts.iter().find(|(name, _)| name == role.as_str());
        found.map_or(0, |(_, count)| *count)
    };
    match show {
        Show::All => Ok(counts.iter().map(|(_, count)| count).sum()),
        Show::Admins => Ok(of(Role::Admin)),
        Show::Editors => Ok(of(Role::Editor)),
        Show::Readers => Ok(of(Role::Reader)),
        Show::Ending | Show::Never | Show::Odd => store::count(conn, show).await,
    }
}

fn person(row: Row, now: i64) -> Person {
    let oddity = oddity(&row.email);
    let warning = if row.role.parse::<Role>().is_err() {
        Some("The portal knows no role of this name, so it opens nothing.")
    } else if row.spellings > 1 {
        Some(
            "This address is listed in several spellings. The one in lower case counts; without it, all have to agree.",
        )
    } else if row.key != row.email {
        Some("Written in mixed case: it counts only while no row in lower case says otherwise.")
    } else {
        None
    };
    Person {
        is_odd: oddity.is_some(),
        warning: oddity.or_else(|| warning.map(str::to_owned)),
        until: row.ends_at.map(clock::last_day),
        ends_soon: row.ends_at.is_some_and(|end| end < now + SOON),
        seen: row.seen_at.map(|at| clock::ago(at, now)),
        seen_exact: row.seen_at.map(clock::rfc3339).unwrap_or_default(),
        email: row.email,
        key: row.key,
        name: row.name,
        role: row.role,
        note: row.note,
    }
}

/// `218 rows: 3 admins, 31 editors, 184 readers.`
fn in_words(counts: &[(String, i64)]) -> String {
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return "Nobody holds a role, so nobody can come in.".to_owned();
    }
    let plural = |count: i64, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", grouped(count)),
    };
    let known = Role::ALL.into_iter().rev().filter_map(|role| {
        let (_, count) = counts.iter().find(|(name, _)| name == role.as_str())?;
        Some(plural(*count, role.as_str()))
    });
    let mut parts: Vec<String> = known.collect();
    let unknown: i64 = counts
        .iter()
        .filter(|(name, _)| name.parse::<Role>().is_err())
        .map(|(_, count)| count)
        .sum();
    if unknown > 0 {
        parts.push(format!(
            "{} with a role that the portal does not know",
            grouped(unknown)
        ));
    }
    format!("{}. Changes take effect at once.", parts.join(", "))
}

/// 10432 as 10,432.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match number < 0 {
        true => format!("−{text}"),
        false => text,
    }
}

fn url(words: &str, show: Show, sort: Sort, page: i64) -> String {
    let mut pairs = Vec::new();
    if !words.is_empty() {
        pairs.push(format!("q={}", encode(words)));
    }
    if show != Show::All {
        pairs.push(format!("show={}", show.word()));
    }
    if sort != Sort::default() {
        pairs.push(format!("sort={}", sort.word()));
    }
    if page > 1 {
        pairs.push(format!("page={page}"));
    }
    match pairs.is_empty() {
        true => "/admin/people".to_owned(),
        false => format!("/admin/people?{}", pairs.join("&")),
    }
}
