//! The admin portal, for people with the role admin: who may do what, who did what, and why.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::access;
use crate::auth::entra::is_plain_address;
use crate::db::{Conn, DbResult};
use crate::error::AppResult;
use crate::page::{Page, html};
use crate::roles::store::rows_of;

pub mod audit;
pub mod charts;
pub mod diagnostics;
pub mod differences;
pub mod folders;
pub mod grant;
pub mod import;
pub mod overview;
pub mod people;
pub mod person;
pub mod remove;
pub mod requests;
pub mod sessions;
pub mod tidy;
mod turn;
pub mod undo;
pub mod why;

/// The places of the admin portal, in the order of its navigation. A new place is a line here.
const SECTIONS: [(&str, &str); 7] = [
    ("/admin", "Overview"),
    ("/admin/people", "People"),
    ("/admin/requests", REQUESTS),
    ("/admin/folders", "Folders"),
    ("/admin/audit", "Activity"),
    ("/admin/why", "Access check"),
    ("/admin/diagnostics", "Diagnostics"),
];
const REQUESTS: &str = "Requests";

/// A link of the admin portal's navigation; see `templates/admin/nav.html`.
#[derive(Debug, Clone)]
pub struct Section {
    /// Where it leads.
    pub href: &'static str,
    /// What it says.
    pub label: &'static str,
    /// Whether this page lies there.
    pub current: bool,
    /// How much waits there to be done.
    pub waiting: i64,
}

/// The navigation of a page that lies at `current`.
///
/// # Errors
/// The database's.
pub async fn sections(conn: &mut Conn, current: &str) -> DbResult<Vec<Section>> {
    let open = access::store::count_open(conn).await?;
    Ok(links(current, open))
}

fn links(current: &str, open: i64) -> Vec<Section> {
    let section = |(href, label)| Section {
        href,
        label,
        current: href == current,
        waiting: if label == REQUESTS { open } else { 0 },
    };
    SECTIONS.map(section).to_vec()
}

#[derive(Template)]
#[template(path = "admin/gone.html")]
struct GonePage {
    page: Page,
    sections: Vec<Section>,
    sentence: &'static str,
    href: &'static str,
    label: &'static str,
}

/// 404 for a row that is not there (any more), with the way back to its list.
///
/// # Errors
/// The database's.
pub async fn gone(
    page: Page,
    conn: &mut Conn,
    sentence: &'static str,
    (href, label): (&'static str, &'static str),
) -> AppResult<HttpResponse> {
    let sections = sections(conn, href).await?;
    let view = GonePage {
        page,
        sections,
        sentence,
        href,
        label,
    };
    with_status(&view, StatusCode::NOT_FOUND)
}

/// A page under another status than 200.
///
/// # Errors
/// 500 when the template fails.
pub fn with_status(view: &impl Template, status: StatusCode) -> AppResult<HttpResponse> {
    let mut response = html(view)?;
    *response.status_mut() = status;
    Ok(response)
}

/// What somebody typed into one line: trimmed, without characters that cannot be seen, at most five hundred.
pub fn typed(text: Option<&str>) -> String {
    let text = text.unwrap_or("").chars();
    let seen: String = text.filter(|c| !c.is_control()).take(500).collect();
    seen.trim().to_owned()
}

/// An address that a link or a form of ours names, in lower case and else as it stands: another program may have written
/// it with spaces or with signs that nobody sees, and its row is not that of the address without them.
pub fn address(text: Option<&str>) -> String {
    // No database holds this one, and Postgres takes it for an error.
    text.unwrap_or("").replace('\0', "").to_ascii_lowercase()
}

/// The same for a field in which people write as well: spaces around it go, unless there is such a row.
///
/// # Errors
/// The database's.
pub async fn address_or_typed(conn: &mut Conn, text: Option<&str>) -> DbResult<String> {
    let (exact, typed) = (address(text), typed(text).to_ascii_lowercase());
    let is_there = exact != typed && !rows_of(conn, &exact).await?.is_empty();
    Ok(if is_there { exact } else { typed })
}

/// The address in the action of a form: browsers change the ends of lines in fields, which an odd address may hold.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Named {
    email: Option<String>,
}

impl Named {
    /// The one that the action names, else the field's.
    pub fn or<'a>(query: &'a Option<web::Query<Self>>, field: &'a str) -> &'a str {
        let named = query.as_ref().and_then(|query| query.email.as_deref());
        named.unwrap_or(field)
    }
}

/// Why nobody comes in under an address as it is written; nothing where somebody can.
pub fn oddity(email: &str) -> Option<String> {
    let is_odd = !is_plain_address(email);
    is_odd.then(|| {
        format!(
            "Nobody can sign in under this address as it is written: “{}”.",
            email.escape_debug()
        )
    })
}

/// What a page says on top once something was done: the address names it, and the sentence stands here alone.
pub fn notice(done: Option<&str>) -> Option<&'static str> {
    match done? {
        "granted" => Some("The role was given. It counts from now on, on every instance."),
        "removed" => Some("The role was taken away. It counts no more, on any instance."),
        "tidied" => {
            Some("There is one row now, in lower case. What the person may do is what it was.")
        }
        "signed-out" => Some("All of this person’s sessions were ended."),
        "rebound" => Some(
            "The address is free: the next account that signs in under it, with a role, owns it.",
        ),
        "imported" => Some("The list was applied, all of it in one step."),
        "undone" => Some("It was taken back."),
        "approved" => Some("The request was approved, and the role counts from now on."),
        "declined" => {
            Some("The request was declined. The person reads your answer at their next visit.")
        }
        _ => None,
    }
}
