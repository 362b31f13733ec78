//! `/publish`: the form, and what becomes of it.

use actix_multipart::Multipart;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::folder_url;
use crate::app::State;
use crate::assets::ASSETS;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::incoming::human_size;
use crate::items::form::{self, Files, Submission, Typed};
use crate::items::publish;
use crate::page::{Page, html, see_other};

const NOT_THERE: &str = "That folder is not there for you to publish into. Choose another.";

#[derive(Template)]
#[template(path = "items/publish.html")]
struct PublishPage {
    page: Page,
    problem: Option<FieldProblem>,
    folder: String,
    title: String,
    overwrite: bool,
    limit: String,
    /// Endings that are taken, with commas between; all where there is none.
    kinds: String,
    /// Whether files may come in pieces, which object storage does not take.
    in_pieces: bool,
    script: &'static str,
    tus: &'static str,
}

#[derive(Template)]
#[template(path = "items/published.html")]
struct PublishedPage {
    page: Page,
    outcomes: Vec<Outcome>,
    published: usize,
    refused: usize,
    folder: String,
    folder_url: String,
}

/// What became of one of several files.
struct Outcome {
    name: String,
    href: Option<String>,
    sentence: String,
}

struct FieldProblem {
    field: &'static str,
    sentence: String,
}

/// `GET /publish`: the form. Editors.
///
/// # Errors
/// None of its own.
pub async fn show(
    _: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Typed>>,
) -> AppResult<HttpResponse> {
    // Links to the form fill in where the file goes; whether it replaces another one is for the person to say.
    let typed = query.map(web::Query::into_inner).unwrap_or_default();
    let typed = Typed {
        overwrite: false,
        ..typed
    };
    form(page, &state, &typed, None)
}

/// `POST /publish` without a file, from the page that kept the form while the person signed in again:
/// shows it filled in. Editors.
///
/// # Errors
/// None of its own.
pub async fn again(
    _: Editor,
    page: Page,
    state: web::Data<State>,
    typed: Option<web::Form<Typed>>,
) -> AppResult<HttpResponse> {
    let typed = typed.map(web::Form::into_inner).unwrap_or_default();
    form(page, &state, &typed, None)
}

/// `POST /publish`: publishes, then shows the folder, or with several files what became of each. Editors. What cannot be
/// taken comes back as the form.
///
/// # Errors
/// What is not the form's fault: 503, 507, 500.
pub async fn submit(
    editor: Editor,
    page: Page,
    req: HttpRequest,
    state: web::Data<State>,
    form: Result<Multipart, actix_web::Error>,
) -> AppResult<HttpResponse> {
    let mut submission = Submission::default();
    let read = form::read(&state, &editor, &req, form, Files::Several, &mut submission).await;
    let typed = submission.typed.clone();
    if read.is_ok() && submission.files.len() > 1 {
        return several(&state, &editor, page, submission).await;
    }
    let published = match read {
        Ok(()) => publish::publish(&state, &editor, submission).await,
        Err(error) => Err(error),
    };
    match published {
        Ok(listed) => Ok(see_other(&folder_url(listed.path.folder().as_ref()))),
        Err(error) => form_again(page, &state, &typed, error),
    }
}

async fn several(
    state: &web::Data<State>,
    editor: &Editor,
    page: Page,
    submission: Submission,
) -> AppResult<HttpResponse> {
    let typed = submission.typed;
    let mut outcomes = Vec::new();
    let mut place = None;
    let mut failed = None;
    for arrived in submission.files {
        let name = arrived.name.clone();
        let outcome = match publish::publish_one(state, editor, &typed, arrived).await {
            Ok(listed) => {
                place = Some(folder_url(listed.path.folder().as_ref()));
                Outcome {
                    name,
                    href: Some(listed.path.download_url()),
                    sentence: String::new(),
                }
            }
            Err(error) => {
                let problem = error.problem("/publish");
                let status = Some(problem.status).filter(StatusCode::is_server_error);
                failed = failed.or(status);
                if let Some(cause) = error.cause() {
                    log::error!("{name:?} was not published: {cause}");
                }
                Outcome {
                    name,
                    href: None,
                    sentence: match error {
                        AppError::NotFound => NOT_THERE.to_owned(),
                        _ => problem.sentence,
                    },
                }
            }
        };
        outcomes.push(outcome);
    }
    let published = outcomes
        .iter()
        .filter(|outcome| outcome.href.is_some())
        .count();
    let mut response = html(&PublishedPage {
        page,
        published,
        refused: outcomes.len() - published,
        outcomes,
        folder: typed.folder,
        folder_url: place.unwrap_or_else(|| "/".to_owned()),
    })?;
    if published == 0 {
        // What is no file's fault may pass by itself, and programs tell it by the status.
        *response.status_mut() = failed.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(response)
}

fn form_again(
    page: Page,
    state: &State,
    typed: &Typed,
    error: AppError,
) -> AppResult<HttpResponse> {
    let hidden = NOT_THERE.to_owned();
    let problem = match &error {
        AppError::NotFound => ("folder", &hidden),
        AppError::Unprocessable(sentence) if sentence.contains("folder's name") => {
            ("folder", sentence)
        }
        AppError::Unprocessable(sentence) if sentence.contains("title") => ("title", sentence),
        AppError::Unprocessable(sentence)
        | AppError::TooLarge(sentence)
        | AppError::Unusable(sentence)
        | AppError::Conflict(sentence) => ("file", sentence),
        _ => return Err(error),
    };
    let problem = FieldProblem {
        field: problem.0,
        sentence: problem.1.clone(),
    };
    let status = match error.status_code() {
        StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
        status => status,
    };
    let mut response = form(page, state, typed, Some(problem))?;
    *response.status_mut() = status;
    Ok(response)
}

fn form(
    page: Page,
    state: &State,
    typed: &Typed,
    problem: Option<FieldProblem>,
) -> AppResult<HttpResponse> {
    let kinds: Vec<String> = state
        .settings
        .files
        .upload_kinds
        .iter()
        .map(|kind| format!(".{kind}"))
        .collect();
    let mut response = html(&PublishPage {
        page,
        problem,
        folder: typed.folder.clone(),
        title: typed.title.clone(),
        overwrite: typed.overwrite,
        limit: human_size(state.files.upload_limit),
        kinds: kinds.join(", "),
        in_pieces: state.files.storage().is_none(),
        script: &ASSETS.publish,
        tus: &ASSETS.tus,
    })?;
    let policy = state.policy.with_scripts();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
