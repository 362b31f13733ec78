//! `/admin`: who may come in, and what happened lately.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::app::State;
use crate::audit::store::Entry;
use crate::auth::user::Admin;
use crate::error::AppResult;
use crate::page::{Page, html};
use crate::roles::{Role, RoleRow, bindings, store};
use crate::{audit, auth, clock};

const PEOPLE: i64 = 50;
const EVENTS: i64 = 20;

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    page: Page,
    roles: Vec<RoleCount>,
    people: Vec<PersonRow>,
    people_total: u64,
    events: Vec<EventRow>,
    renamed: Vec<(String, String)>,
}

struct RoleCount {
    role: String,
    people: u64,
    known: bool,
}

struct PersonRow {
    email: String,
    role: String,
    warning: Option<String>,
    last_sign_in: Option<String>,
    last_sign_in_exact: Option<String>,
}

struct EventRow {
    when: String,
    when_exact: String,
    actor: String,
    action: String,
    subject: String,
    outcome: String,
    reference: String,
}

/// `GET /admin`: the overview. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(_: Admin, page: Page, state: web::Data<State>) -> AppResult<HttpResponse> {
    let mut conn = state.db.conn().await?;
    let counts = store::counts(&mut conn).await?;
    let (rows, total) = store::list(&mut conn, PEOPLE).await?;
    let emails: Vec<String> = rows
        .iter()
        .map(|row| row.email.to_ascii_lowercase())
        .collect();
    let seen: HashMap<String, i64> = auth::store::last_sign_ins(&mut conn, &emails)
        .await?
        .into_iter()
        .collect();
    let events = audit::store::newest(&mut conn, EVENTS).await?;
    let renamed = bindings::renamed(&mut conn, PEOPLE).await?;
    drop(conn);

    let now = clock::now();
    html(&OverviewPage {
        page,
        roles: counts.into_iter().map(role_count).collect(),
        people: rows
            .into_iter()
            .map(|row| person(row, &seen, now))
            .collect(),
        people_total: u64::try_from(total).unwrap_or(0),
        renamed,
        events: events.into_iter().map(|entry| event(entry, now)).collect(),
    })
}

fn role_count((role, people): (String, i64)) -> RoleCount {
    RoleCount {
        known: role.parse::<Role>().is_ok(),
        people: u64::try_from(people).unwrap_or(0),
        role,
    }
}

fn person(row: RoleRow, seen: &HashMap<String, i64>, now: i64) -> PersonRow {
    let key = row.email.to_ascii_lowercase();
    let last = seen.get(&key).copied();
    let warning = if row.role.parse::<Role>().is_err() {
        Some("The portal knows no role of this name, so it opens nothing.")
    } else if key != row.email {
        Some("Written in mixed case: it counts only while no row in lower case says otherwise.")
    } else {
        None
    };
    PersonRow {
        email: row.email,
        role: row.role,
        warning: warning.map(str::to_owned),
        last_sign_in: last.map(|at| clock::ago(at, now)),
        last_sign_in_exact: last.map(clock::rfc3339),
    }
}

fn event(entry: Entry, now: i64) -> EventRow {
    let action = match entry.action.as_str() {
        "signed_in" => "signed in",
        "sign_in_refused" => "was refused at the sign-in",
        "signed_out" => "signed out",
        "access_refused" => "was refused",
        "role_granted" => "gave a role to",
        "role_revoked" => "took the role from",
        "rebound" => "freed for another account",
        "published" => "published",
        "downloaded" => "downloaded",
        "folder_rule_set" => "narrowed who sees the folder",
        "folder_rule_cleared" => "opened to every role the folder",
        other => other,
    };
    // Whoever signs in or out is the subject as well; saying it once is enough.
    let subject = match entry.subject == entry.actor {
        true => String::new(),
        false => entry.subject,
    };
    EventRow {
        when: clock::ago(entry.at, now),
        when_exact: clock::rfc3339(entry.at),
        actor: match entry.actor.is_empty() {
            true => "somebody".to_owned(),
            false => entry.actor,
        },
        action: action.to_owned(),
        subject,
        outcome: entry.outcome.replace('_', " "),
        reference: entry.reference.unwrap_or_default(),
    }
}
