//! `/item` and below: what a file or folder is, and the forms that change it. Everything is shown before it is done.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, web};
use askama::Template;
use serde::Deserialize;

use super::relocate::Eyes;
use super::{Goal, Refusal, item};
use crate::app::State;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::moving::Thing;
use crate::files::path::encode;
use crate::page::{Page, html};

mod confirm;
pub mod delete;
pub mod folder;
pub mod relocate;
pub mod replace;
pub mod show;
pub mod title;

pub use confirm::ConfirmPage;

/// Of what, in the address: the form's fields are in its body, so that the way back after a sign-in still names it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    path: String,
    /// What was done a moment ago.
    done: String,
}

impl Query {
    fn path(&self) -> AppResult<ItemPath> {
        ItemPath::parse(self.path.trim_matches('/')).ok_or(AppError::NotFound)
    }
}

/// What was typed, and whether it was confirmed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Form {
    folder: String,
    name: String,
    title: String,
    sure: bool,
    /// Entity tag of what the page showed.
    etag: String,
    /// The title that it showed.
    was: String,
    /// How many files a folder held, as it showed.
    files: Option<i64>,
}

impl Form {
    /// What the change is for, as `If-Match` has it.
    fn expected(&self) -> Option<String> {
        Some(self.etag.clone()).filter(|etag| !etag.is_empty())
    }

    fn goal(&self) -> Goal {
        Goal {
            folder: self.folder.clone(),
            name: self.name.trim_matches('/').to_owned(),
        }
    }
}

/// A sentence beside a field.
#[derive(Debug)]
pub struct Problem {
    /// The field.
    pub field: &'static str,
    /// What to do.
    pub sentence: String,
}

#[derive(Template)]
#[template(path = "items/form.html")]
struct FormPage {
    page: Page,
    heading: &'static str,
    /// What it is about; a whole path.
    about: String,
    action: String,
    back: String,
    problem: Option<Problem>,
    /// Which fields the form has: `move`, `title` or `folder`.
    kind: &'static str,
    form: Form,
}

/// What a page says that was shown before somebody else's change.
const CHANGED: &str = "Somebody changed it since this page was shown, so nothing was done. Look at it as it is now, and decide again.";

/// Heading, address and fields of a form.
type Kind = (&'static str, &'static str, &'static str);

async fn found(
    editor: &Editor,
    state: &State,
    query: Option<web::Query<Query>>,
) -> AppResult<(Thing, Eyes)> {
    let path = asked(query)?;
    let eyes = Eyes::of(state, &editor.person).await?;
    let thing = item::find(state, &eyes.sight, &path).await?;
    Ok((thing, eyes))
}

/// The path that the address names.
fn asked(query: Option<web::Query<Query>>) -> AppResult<ItemPath> {
    query.map(web::Query::into_inner).unwrap_or_default().path()
}

fn form_page(
    page: Page,
    (heading, action, kind): Kind,
    thing: &Thing,
    form: Form,
    problem: Option<Problem>,
) -> FormPage {
    FormPage {
        page,
        heading,
        about: thing.path.to_string(),
        action: url(action, &thing.path),
        back: url("/item", &thing.path),
        problem,
        kind,
        form: Form {
            etag: thing.etag.clone(),
            ..form
        },
    }
}

/// The form with what was typed, and with what it is about as that is now.
fn again(
    page: Page,
    kind: Kind,
    thing: &Thing,
    form: Form,
    refusal: Refusal,
) -> AppResult<HttpResponse> {
    let (status, problem) = told(refusal, "name")?;
    with_status(&form_page(page, kind, thing, form, Some(problem)), status)
}

/// The status and the sentence beside a field.
///
/// # Errors
/// What is not the form's fault.
pub fn told(refusal: Refusal, usual: &'static str) -> AppResult<(StatusCode, Problem)> {
    let Refusal { field, error } = refusal;
    let status = error.status_code();
    let sentence = match error {
        // The thing itself is not there (any more): no form can mend that.
        AppError::NotFound if field.is_empty() => return Err(AppError::NotFound),
        AppError::NotFound if field == "folder" => {
            "There is no such folder for you. Make it first, or choose another.".to_owned()
        }
        AppError::NotFound => "That name cannot be used here. Choose another.".to_owned(),
        AppError::Changed => CHANGED.to_owned(),
        AppError::Unprocessable(sentence)
        | AppError::Conflict(sentence)
        | AppError::TooLarge(sentence)
        | AppError::Unusable(sentence) => sentence,
        error => return Err(error),
    };
    let field = if field.is_empty() { usual } else { field };
    Ok((status, Problem { field, sentence }))
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

fn url(page: &str, path: &ItemPath) -> String {
    format!("{page}?path={}", encode(path.as_str()))
}

fn item_url(path: &ItemPath, done: &str) -> String {
    format!("{}&done={done}", url("/item", path))
}
