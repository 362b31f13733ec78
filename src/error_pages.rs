//! Gives every answer from 400 on its body: a page for people, problem+json (RFC 9457) for programs.
//! Errors of the framework and of extractors pass here as well, so none shows its own text.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{self, Standing};
use crate::app::State;
use crate::auth::user::CurrentUser;
use crate::auth::{gate, return_to};
use crate::error::{AppError, Problem};
use crate::message::{Action, Look, Message};
use crate::reference::Reference;

/// Headers of the original answer that go on meaning something.
const KEPT: [HeaderName; 9] = [
    header::SET_COOKIE,
    header::ALLOW,
    header::WWW_AUTHENTICATE,
    header::RETRY_AFTER,
    header::CONTENT_RANGE,
    header::CONNECTION,
    HeaderName::from_static("tus-resumable"),
    HeaderName::from_static("tus-version"),
    HeaderName::from_static("upload-offset"),
];

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "about:blank", "title": "There is nothing here", "status": 404,
    "detail": "The address may be mistyped, or the file was moved or removed. Look for it in the list of files.",
    "reference": "7F3K-Q2MD",
}))]
pub struct ProblemJson<'a> {
    /// Always `about:blank`: the status says what kind of error it is.
    r#type: &'static str,
    /// A few words.
    title: &'a str,
    /// The answer's status.
    status: u16,
    /// What happened and what to do.
    detail: &'a str,
    /// What to quote when asking for help; it stands in the log. Not on 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reference: Option<&'a str>,
}

/// Renders what has no body of its own yet.
///
/// # Errors
/// Never of its own.
pub async fn render(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(req).await?;
    let status = response.status();
    let has_body = !matches!(
        response.response().body().size(),
        BodySize::None | BodySize::Sized(0)
    );
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || (has_body && response.response().error().is_none()) {
        return Ok(response.map_into_boxed_body());
    }
    let (req, original) = response.into_parts();
    let standing = standing(&req, original.error()).await;
    let rendered = answer(
        &req,
        original.status(),
        original.error(),
        original.headers(),
        standing,
    );
    Ok(ServiceResponse::new(req, rendered))
}

fn answer(
    req: &HttpRequest,
    status: StatusCode,
    error: Option<&Error>,
    headers: &HeaderMap,
    standing: Option<Standing>,
) -> HttpResponse {
    let app_error = error.and_then(|error| error.as_error::<AppError>());
    let mut problem = match app_error {
        Some(error) => error.problem(&way_back(req)),
        None => of_framework(status),
    };
    if !is_portal(req) {
        problem.without_files();
    }
    let reference = Reference::of(req).map(|reference| reference.to_string());
    let cause = match (app_error, error) {
        (Some(known), _) => known.cause(),
        (None, Some(other)) if status.is_server_error() => Some(other.to_string()),
        _ => None,
    };
    if let Some(cause) = cause {
        let reference = reference.as_deref().unwrap_or("-");
        match status.is_server_error() || app_error.is_some_and(AppError::is_operators) {
            true => log::error!("{reference} {cause}"),
            false => log::warn!("{reference} {cause}"),
        }
    }
    // What Microsoft did not see has no number of Microsoft's; the person still needs one to quote.
    if let (Some(AppError::SignInRefused(..)), Some(reference), true) =
        (app_error, &reference, problem.facts.is_empty())
    {
        let fact = ("Correlation id".to_owned(), reference.clone());
        problem.facts.push(fact);
    }
    // A refused sign-in has its own facts to quote; a plain 401 is the same for every address.
    let reference = reference.filter(|_| status != StatusCode::UNAUTHORIZED);
    let mut response = match accepts_html(req) {
        true => page(req, &problem, reference, standing),
        false => json(&problem, reference.as_deref()),
    };
    for name in &KEPT {
        for value in headers.get_all(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

/// What opens again by a link: the address that was asked for, and for a form the page of ours that it stands on.
fn way_back(req: &HttpRequest) -> String {
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        let asked = req.uri().path_and_query();
        return asked.map_or("/", |asked| asked.as_str()).to_owned();
    }
    let from = req.headers().get(header::REFERER);
    let from = from.and_then(|from| from.to_str().ok());
    let origin = req
        .app_data::<web::Data<State>>()
        .map(|state| state.settings.web.origin.as_str());
    from.zip(origin)
        .and_then(|(from, origin)| from.strip_prefix(origin))
        .map_or_else(|| "/".to_owned(), return_to::local)
}

/// How it stands with the asking of somebody without a role: their page has the button. It depends on the person alone,
/// never on what was asked for; and without an answer of the database the page does without.
async fn standing(req: &HttpRequest, error: Option<&Error>) -> Option<Standing> {
    let error = error.and_then(|error| error.as_error::<AppError>());
    if !matches!(error, Some(AppError::NoRole)) || !accepts_html(req) || !is_portal(req) {
        return None;
    }
    let user = req.extensions().get::<CurrentUser>().cloned()?;
    let state = req.app_data::<web::Data<State>>()?;
    let mut conn = state.db.conn().await.ok()?;
    access::standing(&mut conn, user.email()).await.ok()
}

/// Elsewhere there is no catalogue to go back to, and nobody to ask for access.
fn is_portal(req: &HttpRequest) -> bool {
    Look::of(req).is_none_or(Look::is_portal)
}

fn page(
    req: &HttpRequest,
    problem: &Problem,
    reference: Option<String>,
    standing: Option<Standing>,
) -> HttpResponse {
    let actions = problem.actions.iter().map(|way| Action {
        label: way.label.into(),
        href: way.href.clone(),
        post: false,
    });
    let mut actions: Vec<Action> = actions.collect();
    let mut details = problem.facts.clone();
    let ask = |label: &'static str| Action {
        label: label.into(),
        href: access::ADDRESS.to_owned(),
        post: true,
    };
    match standing {
        None => {}
        Some(Standing::MayAsk) => actions.insert(0, ask("Ask for access")),
        Some(Standing::Open(day)) => details.push((
            format!("Your request of {day}"),
            "The administrators have not answered yet.".to_owned(),
        )),
        Some(Standing::Declined(day, answer)) => {
            details.push((format!("Answer to your request of {day}"), answer));
            actions.insert(0, ask("Ask again"));
        }
    }
    let message = Message {
        status: problem.status.as_u16(),
        heading: problem.heading.clone().into(),
        sentence: problem.sentence.clone().into(),
        note: None,
        details,
        actions,
        reference,
    };
    message.answer(req, problem.status != StatusCode::UNAUTHORIZED)
}

fn json(problem: &Problem, reference: Option<&str>) -> HttpResponse {
    let body = ProblemJson {
        r#type: "about:blank",
        title: &problem.heading,
        status: problem.status.as_u16(),
        detail: &problem.sentence,
        reference,
    };
    HttpResponse::build(problem.status)
        .content_type("application/problem+json")
        .body(serde_json::to_string(&body).unwrap_or_default())
}

/// A page for whoever opens one; for the rest, JSON under `/api/`, a page elsewhere.
fn accepts_html(req: &HttpRequest) -> bool {
    let text = |name: &str| {
        let value = req
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or("").to_owned()
    };
    if text("sec-fetch-mode") == "navigate" {
        return true;
    }
    let accept = text("accept");
    if accept.contains("text/html") {
        return true;
    }
    !accept.contains("json") && !gate::is_api(req.path())
}

/// Words for what the framework refused before a handler saw it.
fn of_framework(status: StatusCode) -> Problem {
    let (heading, sentence) = match status {
        StatusCode::NOT_FOUND => {
            return AppError::NotFound.problem("/");
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("That is too large", "Send less, then try again."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "That kind of content is not taken here",
            "Send a form (multipart/form-data).",
        ),
        status if status.is_server_error() => {
            return Problem {
                status,
                ..AppError::Internal(String::new()).problem("/")
            };
        }
        _ => (
            "That request makes no sense",
            "Something in it is missing or malformed. Go back and try again.",
        ),
    };
    Problem {
        status,
        heading: heading.to_owned(),
        sentence: sentence.to_owned(),
        facts: Vec::new(),
        actions: Vec::new(),
    }
}
