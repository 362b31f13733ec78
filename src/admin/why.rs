//! `/admin/why`: why can, or can't, this person see that? Every check that a request passes, one by one, and its outcome.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, address_or_typed, sections, typed};
use crate::app::State;
use crate::audit::find;
use crate::audit::store::Entry;
use crate::audit::words::{self, Line};
use crate::auth::store as auth;
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, DbResult};
use crate::error::AppResult;
use crate::files::{self, Files, ItemPath};
use crate::page::{Page, html};
use crate::roles::cache::People;
use crate::roles::{Role, bindings, has_ended, holdings as roles};
use crate::rules::is_within;

mod checks;

pub use checks::Step;
pub(super) use checks::stranger;
use checks::{account, address, no, row, rule, told, yes};

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

/// The answer.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Whether the person may.
    pub may: bool,
    /// A sentence: yes, or the first thing in the way and what to do about it.
    pub verdict: String,
    /// All checks in their order.
    pub steps: Vec<Step>,
    /// What the address may do now.
    pub role: Option<Role>,
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
    let path = typed(query.path.as_deref());
    let mut conn = state.db.conn().await?;
    let email = address_or_typed(&mut conn, query.email.as_deref()).await?;
    let sections = sections(&mut conn, "/admin/why").await?;
    let found = match email.is_empty() {
        true => None,
        false => {
            let people = Some(state.people.as_ref());
            let mut found = explain(&mut conn, people, &email).await?;
            if !path.is_empty() {
                found.look_at(&state.files, &email, &path).await?;
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
    let refusals = find::refusals(conn, email, REFUSALS).await?;

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
    steps.push(match stranger(bound.as_ref(), &known, &refusals) {
        Some(sentence) => no("Account", sentence),
        None => account(email, bound, &known, now),
    });
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
        role: held.role(email, now),
        refusals,
    };
    found.judge(format!(
        "{email} may come in, and sees every file that no folder's rule hides."
    ));
    Ok(found)
}

impl Explanation {
    /// Looks at a file as well, named as in its link or as in the list.
    ///
    /// # Errors
    /// The portal's own rights do not reach it.
    pub async fn look_at(&mut self, files: &Files, email: &str, text: &str) -> AppResult<()> {
        let text = text.trim_start_matches('/');
        let path = match text.strip_prefix("api/files/") {
            Some(encoded) => ItemPath::from_url(encoded),
            None => ItemPath::parse(text),
        };
        match path {
            None => {
                let sentence = "That is no path that a file can have.".to_owned();
                self.steps.push(no("File", sentence));
            }
            Some(path) => {
                let found = files::locate(files, &path).await?;
                self.steps.push(match &found {
                    Some(_) => yes("File", format!("{path} is there.")),
                    None => no(
                        "File",
                        format!("There is no file {path}; everybody gets the same 404."),
                    ),
                });
                // Rules count for the name that was asked for and for the place where links lead.
                let places = [Some(&path), found.as_ref()];
                let rules = files.rules.rules().await?;
                let over = rules.iter().filter(|rule| {
                    let mut places = places.iter().flatten();
                    places.any(|place| is_within(&rule.folder, place.as_str()))
                });
                let before = self.steps.len();
                self.steps
                    .extend(over.map(|over| rule(over, email, self.role)));
                if self.steps.len() == before {
                    let sentence = "No folder's rule counts here, so every role opens it.";
                    self.steps.push(told("Rule", sentence.to_owned()));
                }
            }
        }
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
