//! `/item/replace`: another content for a file. What goes is shown first, and only that is replaced.

use actix_multipart::Multipart;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{Problem, Query, asked, found, item_url, told, url, with_status};
use crate::app::State;
use crate::assets::ASSETS;
use crate::auth::user::Editor;
use crate::changing::relocate::Eyes;
use crate::changing::{Refusal, Shown, item};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::incoming::human_size;
use crate::items::form::{self, Files, Submission};
use crate::items::listing::Listed;
use crate::items::pages::exact_size;
use crate::items::publish;
use crate::page::{Page, html, see_other};

#[derive(Template)]
#[template(path = "items/replace.html")]
struct ReplacePage {
    page: Page,
    problem: Option<Problem>,
    name: String,
    folder: String,
    /// Entity tag of what is shown.
    etag: String,
    /// With its dot; empty where the name has none.
    ending: String,
    /// What goes.
    facts: Vec<(&'static str, String)>,
    limit: String,
    action: String,
    back: String,
    script: &'static str,
    tus: &'static str,
}

/// `GET /item/replace`: shows what goes, and asks for the file that comes. Editors.
///
/// # Errors
/// 404, also for a folder.
pub async fn ask_replace(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let path = asked(query)?;
    let shown = file(&state, &editor, &path).await?;
    with_scripts(&state, html(&replace_page(page, &state, &shown, None))?)
}

/// `POST /item/replace`: replaces what was shown, and nothing else. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_replace(
    editor: Editor,
    page: Page,
    req: HttpRequest,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let (thing, _) = found(&editor, &state, query).await?;
    let path = thing.path;
    let mut submission = Submission::default();
    let read = form::read(&state, &editor, &req, form, Files::One, &mut submission).await;
    let replaced = match read {
        Ok(()) => replace(&state, &editor, &path, submission).await,
        Err(error) => Err(about_file(error)),
    };
    match replaced {
        Ok(listed) => Ok(see_other(&item_url(&listed.path, "replaced"))),
        Err(refusal) => {
            let (status, problem) = told(refusal, "file")?;
            let shown = file(&state, &editor, &path).await?;
            let view = replace_page(page, &state, &shown, Some(problem));
            with_scripts(&state, with_status(&view, status)?)
        }
    }
}

async fn replace(
    state: &web::Data<State>,
    editor: &Editor,
    path: &ItemPath,
    mut submission: Submission,
) -> Result<Listed, Refusal> {
    let typed = &mut submission.typed;
    if !typed.overwrite {
        return Err(Refusal {
            field: "overwrite",
            error: AppError::Unprocessable(
                "Say that it shall be replaced, and choose the file again.".to_owned(),
            ),
        });
    }
    // A form that does not say what it showed was shown nothing.
    if typed.etag.is_empty() {
        return Err(about_file(AppError::Changed));
    }
    typed.folder = path.folder().map(|f| f.to_string()).unwrap_or_default();
    typed.title = String::new();
    let arrived = submission.files.first_mut();
    let arrived = arrived.ok_or_else(|| about_file(publish::no_file()))?;
    same_kind(&arrived.name, path.name()).map_err(about_file)?;
    // A copy that a browser saved as “report (1).pdf” replaces “report.pdf” as well.
    arrived.name = path.name().to_owned();
    let published = publish::publish(state, editor, submission).await;
    published.map_err(about_file)
}

fn about_file(error: AppError) -> Refusal {
    Refusal {
        field: "file",
        error,
    }
}

/// Refuses a file whose name says that it is of another kind than the one that it replaces.
fn same_kind(chosen: &str, name: &str) -> AppResult<()> {
    let ending = ending(name);
    if self::ending(chosen).to_lowercase() == ending.to_lowercase() {
        return Ok(());
    }
    let advice = match ending {
        "" => "Choose one without an ending".to_owned(),
        ending => format!("Choose one that ends in {ending}"),
    };
    Err(AppError::Unprocessable(format!(
        "“{chosen}” is another kind of file than “{name}”. {advice}, or publish it as a file of its own."
    )))
}

/// The name's ending with its dot.
fn ending(name: &str) -> &str {
    match name.rfind('.') {
        Some(dot) if dot > 0 => &name[dot..],
        _ => "",
    }
}

async fn file(state: &State, editor: &Editor, path: &ItemPath) -> AppResult<Shown> {
    let eyes = Eyes::of(state, &editor.person).await?;
    let shown = item::asked(state, &eyes, path).await?;
    match shown.thing.is_folder {
        true => Err(AppError::NotFound),
        false => Ok(shown),
    }
}

fn replace_page(page: Page, state: &State, shown: &Shown, problem: Option<Problem>) -> ReplacePage {
    let path = &shown.thing.path;
    ReplacePage {
        page,
        problem,
        name: path.name().to_owned(),
        folder: path.folder().map(|f| f.to_string()).unwrap_or_default(),
        etag: shown.thing.etag.clone(),
        ending: ending(path.name()).to_owned(),
        facts: facts(shown),
        limit: human_size(state.files.upload_limit),
        action: url("/item/replace", path),
        back: url("/item", path),
        script: &ASSETS.publish,
        tus: &ASSETS.tus,
    }
}

fn facts(shown: &Shown) -> Vec<(&'static str, String)> {
    let (thing, row) = (&shown.thing, shown.row.as_ref());
    let bytes = u64::try_from(thing.size).unwrap_or(0);
    let owner = row.and_then(|row| row.owner.clone());
    let mut facts = vec![
        ("File", thing.path.to_string()),
        (
            "Size",
            format!("{} ({})", human_size(bytes), exact_size(bytes)),
        ),
        (
            "Changed",
            format!(
                "{} ({})",
                clock::ago(thing.modified_at, clock::now()),
                clock::rfc3339(thing.modified_at)
            ),
        ),
        (
            "Published by",
            owner.unwrap_or_else(|| "nobody through the portal".to_owned()),
        ),
    ];
    let title = row.and_then(|row| row.title.clone());
    facts.extend(title.map(|title| ("Title", title)));
    facts
}

fn with_scripts(state: &State, mut response: HttpResponse) -> AppResult<HttpResponse> {
    let policy = state.policy.with_scripts();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_the_same_kind_takes_the_place() {
        for (chosen, name) in [
            ("report (1).pdf", "report.pdf"),
            ("X.PDF", "report.pdf"),
            ("Makefile", "README"),
            (".profile", "README"),
        ] {
            assert!(same_kind(chosen, name).is_ok(), "{chosen} for {name}");
        }
        for (chosen, name) in [
            ("report.exe", "report.pdf"),
            ("report", "report.pdf"),
            ("README.txt", "README"),
        ] {
            assert!(same_kind(chosen, name).is_err(), "{chosen} for {name}");
        }
    }
}
