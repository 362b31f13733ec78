//! `/admin/why`: why can, or can't, this person see that? Every check that a request passes, one by one, and its outcome.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, sections, typed};
use crate::app::State;
use crate::audit::Action;
use crate::audit::find::{self, Search, Way};
use crate::audit::store::Entry;
use crate::audit::words::{self, Line};
use crate::auth::entra::is_plain_address;
use crate::auth::store as auth;
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, DbResult};
use crate::error::AppResult;
use crate::files::{self, Files, ItemPath};
use crate::page::{Page, html};
use crate::roles::cache::People;
use crate::roles::{Holding, bindings, decide, has_ended, store as roles};

const REFUSALS: usize = 10;

/// Who, and what; the path may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    email: Option<String>,
    path: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/why.html")]
struct WhyPage {
    page: Page,
    sections: Vec<Section>,
    email: String,
    path: String,
    found: Option<Found>,
}

struct Found {
    verdict: String,
    may: bool,
    steps: Vec<Step>,
    refusals: Vec<Line>,
}

/// One check.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is looked at.
    pub label: &'static str,
    /// Whether it lets the person pass; `None` where it only tells.
    pub passes: Option<bool>,
    /// What was found.
    pub text: String,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Whether the person may.
    pub may: bool,
    /// A sentence: yes, or the first thing in the way and what to do about it.
    pub verdict: String,
    /// All checks in their order.
    pub steps: Vec<Step>,
    /// The last refusals, newest first.
    pub refusals: Vec<Entry>,
}

/// `GET /admin/why`: the form, and the answer below it. Admins.
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
    let email = typed(query.email.as_deref()).to_ascii_lowercase();
    let path = typed(query.path.as_deref());
    let mut conn = state.db.conn().await?;
    let sections = sections(&mut conn, "/admin/why").await?;
    let found = match email.is_empty() {
        true => None,
        false => {
            let people = Some(state.people.as_ref());
            let mut found = explain(&mut conn, people, &email).await?;
            if !path.is_empty() {
                found.look_at(&state.files, &path).await?;
            }
            Some(Found {
                verdict: found.verdict,
                may: found.may,
                steps: found.steps,
                refusals: words::lines(found.refusals, clock::now()),
            })
        }
    };
    html(&WhyPage {
        page,
        sections,
        email,
        path,
        found,
    })
}

/// Looks at everything that decides over an address. `people` is this process's memory, where it has one.
///
/// # Errors
/// The database's.
pub async fn explain(
    conn: &mut Conn,
    people: Option<&People>,
    email: &str,
) -> DbResult<Explanation> {
    let now = clock::now();
    let held = roles::holding(conn, email).await?;
    let bound = bindings::bound(conn, email).await?;
    let known = auth::known(conn, email).await?;
    let living = auth::living(conn, &auth::Owner::whoever(email), 0).await?;
    let search = Search {
        person: Some(email.to_owned()),
        action: Some(Action::AccessRefused.as_str().to_owned()),
        ..Search::default()
    };
    let refusals = find::rows(conn, &search, Way::Older(None), REFUSALS).await?;

    let mut steps = vec![address(email), row(email, &held)];
    if let Some(end) = held.ends_at() {
        let day = clock::last_day(end);
        steps.push(match has_ended(Some(end), now) {
            true => no(
                "End",
                format!("The role ended with {day}. Give it again with a later end."),
            ),
            false => yes("End", format!("The role counts until {day}.")),
        });
    }
    steps.push(account(email, bound, &known, now));
    steps.push(match living.len() {
        0 => told("Sessions", "None: the person signs in first.".to_owned()),
        1 => told("Sessions", "Signed in, in one browser.".to_owned()),
        count => told("Sessions", format!("Signed in, in {count} browsers.")),
    });
    if let Some(people) = people {
        for session in &living {
            if let Some(seen) = people.remembered(&session.id, email).await {
                let role = seen.role.map_or("no role", |role| role.as_str());
                let text = match seen.is_current {
                    true => format!(
                        "This instance read {role} {} seconds ago, and uses that.",
                        seen.age.as_secs()
                    ),
                    false => format!(
                        "This instance read {role} {} seconds ago; the next request reads anew.",
                        seen.age.as_secs()
                    ),
                };
                steps.push(told("Memory", text));
            }
        }
    }
    let mut found = Explanation {
        may: true,
        verdict: String::new(),
        steps,
        refusals,
    };
    found.judge(format!("{email} may come in, and sees every file."));
    Ok(found)
}

impl Explanation {
    /// Looks at a file as well, named as in its link or as in the list.
    ///
    /// # Errors
    /// The portal's own rights do not reach it.
    pub async fn look_at(&mut self, files: &Files, text: &str) -> AppResult<()> {
        let text = text.trim_start_matches('/');
        let path = match text.strip_prefix("api/files/") {
            Some(encoded) => ItemPath::from_url(encoded),
            None => ItemPath::parse(text),
        };
        let step = match path {
            None => no("File", "That is no path that a file can have.".to_owned()),
            Some(path) => match files::exists(files, &path).await? {
                true => yes("File", format!("{path} is there.")),
                false => no(
                    "File",
                    format!("There is no file {path}; everybody gets the same 404."),
                ),
            },
        };
        self.steps.push(step);
        self.steps
            .push(told("Rule", "Every role opens every file.".to_owned()));
        self.judge("Yes: nothing is in the way.".to_owned());
        Ok(())
    }

    fn judge(&mut self, yes: String) {
        let obstacle = self.steps.iter().find(|step| step.passes == Some(false));
        self.may = obstacle.is_none();
        self.verdict = match obstacle {
            None => yes,
            Some(step) => format!("No. {}", step.text),
        };
    }
}

fn yes(label: &'static str, text: String) -> Step {
    step(label, Some(true), text)
}

fn no(label: &'static str, text: String) -> Step {
    step(label, Some(false), text)
}

fn told(label: &'static str, text: String) -> Step {
    step(label, None, text)
}

fn step(label: &'static str, passes: Option<bool>, text: String) -> Step {
    Step {
        label,
        passes,
        text,
    }
}

fn address(email: &str) -> Step {
    match is_plain_address(email) {
        true => yes("Address", format!("Looked up as {email}.")),
        false => no(
            "Address",
            format!("{email} is no plain e-mail address, so nobody can sign in under it."),
        ),
    }
}

fn row(email: &str, held: &Holding) -> Step {
    let rows: Vec<String> = held
        .rows
        .iter()
        .map(|row| format!("{} = {}", row.email, row.role))
        .collect();
    let rows = rows.join(", ");
    match decide(email, &held.rows) {
        (Some(role), _) => yes("Role", format!("{role}, by the row {rows}.")),
        (None, Some(warning)) => no("Role", format!("{warning}. Found: {rows}.")),
        (None, None) => no("Role", "The address has no role. Give it one.".to_owned()),
    }
}

/// The account that the address belongs to, beside those that signed in under it.
fn account(
    email: &str,
    bound: Option<(bindings::Account, i64)>,
    known: &[auth::Known],
    now: i64,
) -> Step {
    let last = known.first();
    match (bound, last) {
        (Some((account, at)), Some(last)) if last.oid == account.oid && last.tid == account.tid => {
            yes(
                "Account",
                format!(
                    "Belongs to the account {} since {}, which signed in {}.",
                    account.oid,
                    clock::ago(at, now),
                    clock::ago(last.last_sign_in_at, now)
                ),
            )
        }
        (Some((account, at)), Some(last)) => no(
            "Account",
            format!(
                "The address belongs to the account {} since {}, but the account {} signed in last, {}. If it has changed hands, free the address.",
                account.oid,
                clock::ago(at, now),
                last.oid,
                clock::ago(last.last_sign_in_at, now)
            ),
        ),
        (Some((account, at)), None) => no(
            "Account",
            format!(
                "The address belongs to the account {} since {}, which signs in under another address now. With {email} nobody has come since. Free the address if it has changed hands.",
                account.oid,
                clock::ago(at, now)
            ),
        ),
        (None, None) => told(
            "Account",
            "Nobody has signed in under this address yet.".to_owned(),
        ),
        (None, Some(_)) if known.len() == 1 => told(
            "Account",
            "One account signs in under this address, and owns it from its next visit with a role."
                .to_owned(),
        ),
        (None, Some(_)) => told(
            "Account",
            format!(
                "{} accounts have signed in under this address. The one that signs in next, while it has a role, owns it.",
                known.len()
            ),
        ),
    }
}
