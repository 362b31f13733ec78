//! `/publish`: the form, and what becomes of it.

use actix_multipart::Multipart;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::folder_url;
use crate::app::State;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::incoming::human_size;
use crate::items::publish::{self, Submission, Typed};
use crate::page::{Page, html, see_other};

#[derive(Template)]
#[template(path = "items/publish.html")]
struct PublishPage {
    page: Page,
    problem: Option<FieldProblem>,
    folder: String,
    title: String,
    overwrite: bool,
    limit: String,
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
    // Links to the form fill in where the file goes, and whether it replaces another one.
    let typed = query.map(web::Query::into_inner).unwrap_or_default();
    html(&form_page(page, &state, &typed, None))
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
    html(&form_page(page, &state, &typed, None))
}

/// `POST /publish`: publishes, then shows the folder. Editors. What cannot be taken comes back as the form.
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
    let read = publish::read(&state, &editor, &req, form, &mut submission).await;
    let typed = submission.typed.clone();
    let published = match read {
        Ok(()) => publish::publish(&state, &editor, submission).await,
        Err(error) => Err(error),
    };
    match published {
        Ok(listed) => Ok(see_other(&folder_url(listed.path.folder().as_ref()))),
        Err(error) => form_again(page, &state, &typed, error),
    }
}

fn form_again(
    page: Page,
    state: &State,
    typed: &Typed,
    error: AppError,
) -> AppResult<HttpResponse> {
    let hidden = "That folder is not there for you to publish into. Choose another.".to_owned();
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
    let mut response = html(&form_page(page, state, typed, Some(problem)))?;
    *response.status_mut() = status;
    Ok(response)
}

fn form_page(
    page: Page,
    state: &State,
    typed: &Typed,
    problem: Option<FieldProblem>,
) -> PublishPage {
    PublishPage {
        page,
        problem,
        folder: typed.folder.clone(),
        title: typed.title.clone(),
        overwrite: typed.overwrite,
        limit: human_size(state.files.upload_limit),
    }
}
