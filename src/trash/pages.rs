//! `/trash`: what was deleted, for people.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Entry, KEPT, KEPT_DAYS, api, entry, origin, remove_for_good, restore};
use crate::app::State;
use crate::auth::user::{Admin, Editor};
use crate::changing::pages::{ConfirmPage, Problem, told, with_status};
use crate::changing::relocate::Eyes;
use crate::changing::{Goal, Refusal};
use crate::clock;
use crate::error::AppResult;
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::page::{Page, html, see_other};
use crate::roles::Role;

#[derive(Template)]
#[template(path = "items/trash.html")]
struct TrashPage {
    page: Page,
    rows: Vec<Row>,
    older: Option<i64>,
    is_admin: bool,
    kept_days: i64,
    notice: Option<&'static str>,
}

struct Row {
    id: i64,
    name: String,
    folder: String,
    is_folder: bool,
    what: String,
    deleted_by: String,
    deleted: String,
    deleted_exact: String,
    until: String,
    until_exact: String,
}

#[derive(Template)]
#[template(path = "items/restore.html")]
struct RestorePage {
    page: Page,
    id: i64,
    origin: String,
    problem: Option<Problem>,
    form: Form,
}

/// Which part of the list, or what was done.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    before: Option<i64>,
    done: String,
}

/// Where it shall come back to, and whether it was confirmed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Form {
    folder: String,
    name: String,
    sure: bool,
}

/// `GET /trash`: what was deleted, as far as the rules of its places of origin admit. Editors.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let eyes = Eyes::of(&state, &editor.person).await?;
    let part = api::Query {
        before: query.before,
        per_page: None,
    };
    let (entries, is_more) = api::page(&state, &eyes, &part).await?;
    let now = clock::now();
    html(&TrashPage {
        page,
        older: entries.last().map(|entry| entry.id).filter(|_| is_more),
        rows: entries.iter().map(|entry| row(entry, now)).collect(),
        is_admin: editor.person.role >= Some(Role::Admin),
        kept_days: KEPT_DAYS,
        notice: (query.done == "removed").then_some("It was removed for good."),
    })
}

/// `GET /trash/{id}/restore`: asks where to, with the place of origin filled in. Editors.
///
/// # Errors
/// 404.
pub async fn ask_restore(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    let eyes = Eyes::of(&state, &editor.person).await?;
    let entry = entry(&state, &eyes, api::number(&id)?).await?;
    let from = origin(&entry)?;
    let form = Form {
        folder: from.folder().map(|f| f.to_string()).unwrap_or_default(),
        name: from.name().to_owned(),
        sure: false,
    };
    html(&restore_page(page, &entry, form, None))
}

/// `POST /trash/{id}/restore`: asks, then brings it back. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_restore(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    id: web::Path<String>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let eyes = Eyes::of(&state, &editor.person).await?;
    let entry = entry(&state, &eyes, api::number(&id)?).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let goal = goal(&entry, &form)?;
    let done = match super::restore::planned(&state, &eyes, &entry, goal.as_ref()).await {
        Ok(to) if !form.sure => return html(&confirm_restore(page, &entry, &to.to_string(), form)),
        Ok(_) => restore(&state, &editor, entry.id, goal.as_ref())
            .await
            .map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(shown) => {
            let path = encode(shown.thing.path.as_str());
            Ok(see_other(&format!("/item?path={path}&done=restored")))
        }
        Err(refusal) => {
            let (status, problem) = told(refusal, "name")?;
            with_status(&restore_page(page, &entry, form, Some(problem)), status)
        }
    }
}

/// `GET /trash/{id}/remove`: asks. Admins.
///
/// # Errors
/// 404.
pub async fn ask_remove(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    let eyes = Eyes::of(&state, &admin.person).await?;
    let entry = entry(&state, &eyes, api::number(&id)?).await?;
    html(&ConfirmPage {
        page,
        heading: "Remove this for good?",
        problem: None,
        facts: vec![
            ("Deleted from", entry.origin.clone()),
            ("What", what(&entry)),
            ("Then", "gone, and nobody can bring it back".to_owned()),
        ],
        note: None,
        action: format!("/trash/{}/remove", entry.id),
        back: "/trash".to_owned(),
        fields: Vec::new(),
        button: "Yes, remove it for good",
        is_danger: true,
    })
}

/// `POST /trash/{id}/remove`: removes it for good. Admins.
///
/// # Errors
/// 404.
pub async fn submit_remove(
    admin: Admin,
    state: web::Data<State>,
    id: web::Path<String>,
) -> AppResult<HttpResponse> {
    remove_for_good(&state, &admin, api::number(&id)?).await?;
    Ok(see_other("/trash?done=removed"))
}

/// The place of origin, typed as it was, is where it came from, even if its folder has to be made again.
fn goal(entry: &Entry, form: &Form) -> AppResult<Option<Goal>> {
    let from = origin(entry)?;
    let folder = form.folder.trim().trim_matches('/');
    let is_same = form.name == from.name()
        && folder == from.folder().map(|f| f.to_string()).unwrap_or_default();
    Ok((!is_same).then(|| Goal {
        folder: form.folder.clone(),
        name: form.name.trim_matches('/').to_owned(),
    }))
}

fn confirm_restore(page: Page, entry: &Entry, to: &str, form: Form) -> ConfirmPage {
    ConfirmPage {
        page,
        heading: "Bring this back?",
        problem: None,
        facts: vec![
            ("Deleted from", entry.origin.clone()),
            ("What", what(entry)),
            ("Then", to.to_owned()),
        ],
        note: None,
        action: format!("/trash/{}/restore", entry.id),
        back: "/trash".to_owned(),
        fields: vec![("folder", form.folder), ("name", form.name)],
        button: "Yes, bring it back",
        is_danger: false,
    }
}

fn restore_page(page: Page, entry: &Entry, form: Form, problem: Option<Problem>) -> RestorePage {
    RestorePage {
        page,
        id: entry.id,
        origin: entry.origin.clone(),
        problem,
        form,
    }
}

fn row(entry: &Entry, now: i64) -> Row {
    let (folder, name) = entry.origin.rsplit_once('/').unwrap_or(("", &entry.origin));
    let until = entry.deleted_at + KEPT;
    Row {
        id: entry.id,
        name: name.to_owned(),
        folder: folder.to_owned(),
        is_folder: entry.is_folder(),
        what: what(entry),
        deleted_by: entry.deleted_by.clone(),
        deleted: clock::ago(entry.deleted_at, now),
        deleted_exact: clock::rfc3339(entry.deleted_at),
        until: clock::day_in_words(clock::day(until)),
        until_exact: clock::rfc3339(until),
    }
}

fn what(entry: &Entry) -> String {
    let size = human_size(u64::try_from(entry.size).unwrap_or(0));
    match (entry.is_folder(), entry.files) {
        (false, _) => size,
        (true, 0) => "a folder without files".to_owned(),
        (true, 1) => format!("a folder with 1 file, {size}"),
        (true, files) => format!("a folder with {files} files, {size}"),
    }
}
