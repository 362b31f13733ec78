//! `/admin/folders`: who may see which folder.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::{Section, sections};
use crate::app::{State, finish};
use crate::auth::gate;
use crate::auth::user::Admin;
use crate::clock;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::{self, Files, Named};
use crate::index;
use crate::page::{Page, html, see_other};
use crate::roles::Role;
use crate::rules::Rule;
use crate::rules::draft::{self, Wrong};
use crate::rules::store::{self, Cleared};

/// Folders that the form offers; any other can be typed.
const OFFERED: i64 = 200;

#[derive(Template)]
#[template(path = "admin/folders.html")]
struct FoldersPage {
    page: Page,
    sections: Vec<Section>,
    problem: Option<Wrong>,
    typed: Typed,
    rows: Vec<Row>,
    offered: Vec<String>,
    /// What is wrong with FILES_DIR, if anything.
    warning: Option<String>,
}

struct Row {
    folder: String,
    /// Of the folder in the catalogue and in this form, encoded.
    encoded: String,
    exists: bool,
    role: &'static str,
    people: Vec<String>,
    set_by: String,
    set: String,
    set_exact: String,
}

/// What was typed into the form.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    /// The folder.
    pub folder: String,
    /// The least role that sees it.
    pub role: String,
    /// Addresses of people who see it whatever their role.
    pub people: String,
    /// From the page that kept the form while the person signed in again: it is shown, and nothing is done.
    pub kept: bool,
}

/// `GET /admin/folders`: the rules, and a form for one; `?folder=` fills it in. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Typed>>,
) -> AppResult<HttpResponse> {
    let mut typed = query.map(web::Query::into_inner).unwrap_or_default();
    let rules = rules(&state).await?;
    if let Some(rule) = rules
        .iter()
        .find(|rule| shown(&rule.folder) == typed.folder)
    {
        typed.role = rule.role.as_str().to_owned();
        typed.people = rule.people.iter().cloned().collect::<Vec<_>>().join("\n");
    }
    html(&folders_page(page, &state, rules, typed, None).await?)
}

/// `POST /admin/folders`: makes a rule, or changes it. Admins.
///
/// # Errors
/// 400 for what is no such form, 409 for a folder that is being renamed; 503 without a database. What cannot be taken comes back as the form.
pub async fn set(
    admin: Admin,
    page: Page,
    state: web::Data<State>,
    form: Option<web::Form<Typed>>,
) -> AppResult<HttpResponse> {
    let typed = form.ok_or_else(no_form)?.into_inner();
    if typed.kept {
        let rules = rules(&state).await?;
        return html(&folders_page(page, &state, rules, typed, None).await?);
    }
    match checked(&state, &typed, admin.email()).await? {
        Ok((rule, named)) => {
            let (actor, files, text) = (admin.actor(), state.files.clone(), typed.folder);
            change(&state, &admin, async move |conn: &mut Conn| {
                // No folder is renamed under this lock; it may have been just before.
                let again = look(&files, text).await?;
                if again.as_ref() != Ok(&named) || store::is_passing(conn, &named.path).await? {
                    return Err(renamed_meanwhile());
                }
                Ok(store::set(conn, &actor, &rule).await?)
            })
            .await?;
            Ok(see_other("/admin/folders"))
        }
        Err(wrong) => {
            let rules = rules(&state).await?;
            let view = folders_page(page, &state, rules, typed, Some(wrong)).await?;
            let mut response = html(&view)?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

/// `POST /admin/folders/clear`: takes the rule of a folder away. Admins.
///
/// # Errors
/// 404 for a folder without a rule, 409 for one that lies in the trash; 503 without a database.
pub async fn clear(
    admin: Admin,
    state: web::Data<State>,
    form: Option<web::Form<Typed>>,
) -> AppResult<HttpResponse> {
    let folder = form.ok_or_else(no_form)?.into_inner().folder;
    let actor = admin.actor();
    change(
        &state,
        &admin,
        async move |conn: &mut Conn| match store::clear(conn, &actor, folder.trim_matches('/'))
            .await?
        {
            Cleared::Gone => Ok(()),
            Cleared::None => Err(AppError::NotFound),
            Cleared::InTrash => Err(AppError::Conflict(store::IN_TRASH.to_owned())),
        },
    )
    .await?;
    Ok(see_other("/admin/folders"))
}

/// Runs a change of the rules, which nobody keeps in memory any longer afterwards.
async fn change(
    state: &web::Data<State>,
    admin: &Admin,
    work: impl AsyncFnOnce(&mut Conn) -> AppResult<()> + 'static,
) -> AppResult<()> {
    let (state, admin) = (state.clone(), admin.clone());
    finish(async move {
        gate::check_again(&state, &admin, Role::Admin).await?;
        let done = state.db.exclusive(Lock::FolderRules, work).await;
        state.files.rules.forget();
        done
    })
    .await
}

async fn checked(
    state: &State,
    typed: &Typed,
    by: &str,
) -> AppResult<Result<(Rule, Named), Wrong>> {
    let text = typed.folder.clone();
    if text.trim().is_empty() {
        let sentence = "Name the folder, or write / for all files.";
        return Ok(Err(Wrong::new("folder", sentence)));
    }
    let named = look(&state.files, text).await?;
    Ok(named
        .map_err(|sentence| Wrong::new("folder", sentence))
        .and_then(|named| {
            let rule = draft::rule(&named.path, &typed.role, &typed.people, by)?;
            Ok((rule, named))
        }))
}

/// The folder that was typed, or what is wrong with its name.
async fn look(files: &Files, text: String) -> AppResult<Result<Named, String>> {
    match files.storage() {
        Some(_) => Ok(files::named_in_storage(&text)),
        None => files.run(move |dir| Ok(files::named(dir, &text))).await,
    }
}

fn renamed_meanwhile() -> AppError {
    AppError::Conflict(
        "The folder is being renamed at this moment, so the rule was not made. Look for its name, and try again."
            .to_owned(),
    )
}

async fn rules(state: &State) -> AppResult<Vec<Rule>> {
    let mut conn = state.db.conn().await?;
    Ok(store::all(&mut conn).await?)
}

async fn folders_page(
    page: Page,
    state: &State,
    rules: Vec<Rule>,
    typed: Typed,
    problem: Option<Wrong>,
) -> AppResult<FoldersPage> {
    let mut conn = state.db.conn().await?;
    let known = index::folders::with_below(&mut conn, "", OFFERED).await?;
    let warning = index::state::of(&mut conn).await?.warning;
    let sections = sections(&mut conn, "/admin/folders").await?;
    drop(conn);
    let now = clock::now();
    let names: Vec<String> = rules.iter().map(|rule| rule.folder.clone()).collect();
    // A page about rules is worth showing also while FILES_DIR is away.
    let exists = state.files.run(move |dir| {
        let is_there = |name: &String| {
            let named = files::named(dir, name);
            named.is_ok_and(|Named { exists, .. }| exists)
        };
        Ok(names.iter().map(is_there).collect::<Vec<_>>())
    });
    let exists = exists.await.unwrap_or_else(|_| vec![true; rules.len()]);
    let row = |(rule, exists): (Rule, bool)| Row {
        encoded: files::path::encode(shown(&rule.folder)),
        folder: shown(&rule.folder).to_owned(),
        exists,
        role: match rule.role {
            Role::Admin => "Admins",
            _ => "Editors and admins",
        },
        people: rule.people.into_iter().collect(),
        set_by: rule.set_by,
        set: clock::ago(rule.set_at, now),
        set_exact: clock::rfc3339(rule.set_at),
    };
    Ok(FoldersPage {
        page,
        sections,
        problem,
        typed,
        rows: rules.into_iter().zip(exists).map(row).collect(),
        offered: known
            .into_iter()
            .map(|folder| folder.path)
            .filter(|path| !path.is_empty())
            .collect(),
        warning,
    })
}

/// The root has no name of its own.
fn shown(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}

fn no_form() -> AppError {
    AppError::Unusable("Send the form of the page “Folders”.".to_owned())
}
