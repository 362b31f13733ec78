//! `/admin/person`: one person with everything that the portal knows of them, and what an admin may do about it.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, address, gone, notice, oddity, sections, why};
use crate::app::State;
use crate::audit::find::{self, Search, Way};
use crate::audit::words::{self, Line};
use crate::audit::{Action, store as audit_store};
use crate::auth::store::{self, Known, Living, Owner};
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, DbResult};
use crate::error::AppResult;
use crate::files::path::encode;
use crate::page::{Page, html};
use crate::roles::change::Change;
use crate::roles::{Holding, bindings, decide, has_ended, holdings as roles};

const LATELY: usize = 10;

/// Which person, and what was done a moment ago.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    email: Option<String>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/person.html")]
struct PersonPage {
    page: Page,
    sections: Vec<Section>,
    notice: Option<&'static str>,
    email: String,
    name: Option<String>,
    is_me: bool,
    role: String,
    has_role: bool,
    rows: Vec<(String, String)>,
    warnings: Vec<String>,
    /// Nobody can come in under the address, so it can only lose its role.
    is_odd: bool,
    can_be_tidied: bool,
    source: String,
    note: Option<String>,
    bound: Option<Bound>,
    accounts: Vec<AccountRow>,
    sessions: Vec<SessionRow>,
    downloads: Vec<Line>,
    refusals: Vec<Line>,
    changes: Vec<Line>,
}

struct Bound {
    tid: String,
    oid: String,
    since: String,
}

struct AccountRow {
    oid: String,
    seen: String,
    seen_exact: String,
}

struct SessionRow {
    agent: String,
    address: String,
    started: String,
    started_exact: String,
}

/// Where a person's page is.
pub fn url(email: &str) -> String {
    format!("/admin/person?email={}", encode(email))
}

/// `GET /admin/person`: the page. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let email = address(query.email.as_deref());
    let now = clock::now();
    let mut conn = state.db.conn().await?;
    let held = roles::holding(&mut conn, &email).await?;
    let accounts = store::known(&mut conn, &email).await?;
    if held.rows.is_empty() && accounts.is_empty() && !is_told_of(&mut conn, &email).await? {
        return gone(page, &mut conn, NOBODY, WAY_BACK).await;
    }
    let changes = audit_store::role_changes(&mut conn, &email, LATELY as i64).await?;
    let oldest = now - clock::span(state.settings.session.ttl);
    let living = store::living(&mut conn, &Owner::whoever(&email), oldest).await?;
    let bound = bindings::bound(&mut conn, &email).await?;
    let downloads = downloads(&mut conn, &email).await?;
    let refusals = find::refusals(&mut conn, &email, LATELY).await?;
    let stranger = why::stranger(bound.as_ref(), &accounts, &refusals);
    let sections = sections(&mut conn, "/admin/people").await?;
    drop(conn);
    html(&PersonPage {
        notice: notice(query.done.as_deref()),
        name: accounts.first().and_then(|account| account.name.clone()),
        is_me: admin.email() == email,
        role: held.in_words(&email),
        has_role: !held.rows.is_empty(),
        rows: held
            .rows
            .iter()
            .map(|row| (row.email.clone(), row.role.clone()))
            .collect(),
        warnings: warnings(&email, &held, stranger, now),
        is_odd: oddity(&email).is_some(),
        can_be_tidied: Change::tidy(&email, held.clone()).is_ok(),
        source: source(&held, now),
        note: held.grant.as_ref().and_then(|grant| grant.note.clone()),
        bound: bound.map(|(account, at)| Bound {
            tid: account.tid,
            oid: account.oid,
            since: clock::ago(at, now),
        }),
        accounts: accounts
            .into_iter()
            .map(|known| account(known, now))
            .collect(),
        sessions: living
            .into_iter()
            .map(|living| session(living, now))
            .collect(),
        downloads: words::lines(downloads, now),
        refusals: words::lines(refusals, now),
        changes: words::lines(changes, now),
        email,
        page,
        sections,
    })
}

pub(super) const WAY_BACK: (&str, &str) = ("/admin/people", "All people");
pub(super) const NOBODY: &str = "Nobody of that address holds a role or ever signed in. The row may have been removed a moment ago, by somebody else or by another program.";

/// Whether the audit, which leads here, tells of anything that the address did or that was done to it.
async fn is_told_of(conn: &mut Conn, email: &str) -> DbResult<bool> {
    let search = Search {
        person: Some(email.to_owned()),
        ..Search::default()
    };
    let found = find::rows(conn, &search, Way::Older(None), 1).await?;
    Ok(!found.is_empty())
}

async fn downloads(conn: &mut Conn, email: &str) -> DbResult<Vec<audit_store::Entry>> {
    let search = Search {
        person: Some(email.to_owned()),
        action: Some(Action::Downloaded.as_str().to_owned()),
        ..Search::default()
    };
    find::rows(conn, &search, Way::Older(None), LATELY).await
}

fn warnings(email: &str, held: &Holding, stranger: Option<String>, now: i64) -> Vec<String> {
    let mut warnings = Vec::from_iter(stranger);
    if let Some(oddity) = oddity(email).filter(|_| !held.rows.is_empty()) {
        let way_out = "Take its role away, and give it to the address that Microsoft tells.";
        warnings.push(format!("{oddity} {way_out}"));
        return warnings;
    }
    if let (_, Some(warning)) = decide(email, &held.rows) {
        warnings.push(format!("{warning}."));
    }
    if held.rows.len() > 1 {
        warnings.push(
            "The address is listed in several spellings. A change here is written to all of them."
                .to_owned(),
        );
    } else if held.rows.iter().any(|row| row.email != email) {
        warnings.push(
            "The row is written in mixed case. It counts, as long as no row in lower case says otherwise.".to_owned(),
        );
    }
    if has_ended(held.ends_at(), now) {
        warnings.push("The role has ended. Its row goes within moments.".to_owned());
    }
    warnings
}

/// Where the role came from.
fn source(held: &Holding, now: i64) -> String {
    let Some(row) = held.rows.first() else {
        return String::new();
    };
    match &held.grant {
        None => {
            "Written by another program or with SQL; the portal knows no more of it.".to_owned()
        }
        Some(grant) if grant.role != row.role => format!(
            "The role {} was given {} {}; another program has written {} since.",
            grant.role,
            by(&grant.granted_by),
            clock::ago(grant.granted_at, now),
            row.role
        ),
        Some(grant) => format!(
            "Given {} {}.",
            by(&grant.granted_by),
            clock::ago(grant.granted_at, now)
        ),
    }
}

fn by(name: &str) -> String {
    match name.contains('@') {
        true => format!("by {name}"),
        false => format!("at the {name}"),
    }
}

fn account(known: Known, now: i64) -> AccountRow {
    AccountRow {
        oid: known.oid,
        seen: clock::ago(known.last_sign_in_at, now),
        seen_exact: clock::rfc3339(known.last_sign_in_at),
    }
}

fn session(living: Living, now: i64) -> SessionRow {
    SessionRow {
        agent: living
            .agent
            .unwrap_or_else(|| "An unknown program".to_owned()),
        address: living.address.unwrap_or_default(),
        started: clock::ago(living.started_at, now),
        started_exact: clock::rfc3339(living.started_at),
    }
}
