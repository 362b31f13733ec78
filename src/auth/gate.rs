//! The gate in front of everything that is not listed as public. The session is looked at first;
//! method, origin and existence come after it, so that a visitor learns nothing from the answer.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};

use super::{kept_form, keyring, origin, return_to, session, user::CurrentUser};
use crate::app::State;
use crate::audit::{Action, Event};
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::page::see_other;
use crate::roles::Role;
use crate::roles::cache::{Person, person_now};
use crate::settings::{DEV_USER, Mode};

const DEFAULT_TEST_USER: &str = "test.user@example.com";

/// Lets in who has a living session; answers everybody else with 401 or a redirect to the sign-in.
///
/// # Errors
/// Never of its own: an `Err` would skip the saving of the session and the error pages.
pub async fn gate(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // `error_response`, not `into_response`: the latter forgets the error, and with it the words of its page.
    let refused = match admit(&req).await {
        Ok(()) => {
            return next
                .call(req)
                .await
                .map(ServiceResponse::map_into_left_body);
        }
        Err(AppError::SignInNeeded) if may_redirect(&req) => {
            let asked = req.uri().path_and_query().map_or("/", |pq| pq.as_str());
            let answer = see_other(&return_to::login_url(asked));
            req.into_response(answer)
        }
        Err(error @ AppError::SignInNeeded) => {
            let fields = kept_form::fields(&mut req).await;
            match fields.is_empty() {
                true => req.error_response(error),
                false => {
                    let page = kept_form::page(req.request(), fields);
                    let answer = page.unwrap_or_else(HttpResponse::from_error);
                    req.into_response(answer)
                }
            }
        }
        Err(error) => req.error_response(error),
    };
    Ok(refused.map_into_right_body())
}

/// Lets in admins only; stands in front of `/admin` and all below, existing or not.
///
/// # Errors
/// Never of its own.
pub async fn admins_only(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    at_least(Role::Admin, req, next).await
}

/// Lets in whoever has any role; stands in front of an embedding program's pages, whatever their handlers ask for.
///
/// # Errors
/// Never of its own.
pub async fn with_a_role(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    at_least(Role::Reader, req, next).await
}

async fn at_least(
    least: Role,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let user = req.extensions().get::<CurrentUser>().cloned();
    let admitted = user
        .ok_or(AppError::SignInNeeded)
        .and_then(|user| user.at_least(least));
    match admitted {
        Ok(_) => next
            .call(req)
            .await
            .map(ServiceResponse::map_into_left_body),
        Err(error) => Ok(req.error_response(error).map_into_right_body()),
    }
}

/// Writes refusals of people who are signed in into the audit; stands just inside the gate.
///
/// # Errors
/// Never of its own.
pub async fn tell_refusals(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let response = next.call(req).await?;
    if response.status() == 403 {
        let req = response.request();
        let user = req.extensions().get::<CurrentUser>().cloned();
        let state = req.app_data::<web::Data<State>>().cloned();
        let reason = match response
            .response()
            .error()
            .and_then(|e| e.as_error::<AppError>())
        {
            Some(AppError::NoRole) => "no_role",
            Some(AppError::OtherAccount) => "other_account",
            Some(AppError::RoleNeeded(_)) => "role_too_small",
            Some(AppError::CrossSite) => "cross_site",
            _ => "forbidden",
        };
        if let (Some(user), Some(state)) = (user, state)
            && let Some(left_out) = state.refusals.count(user.email())
        {
            let event = Event::new(Action::AccessRefused, req.path(), reason)
                .with("method", req.method().as_str())
                .with("left_out_before", left_out);
            state.audit.tell(user.actor(), event).await;
        }
    }
    Ok(response)
}

/// Refuses what did not come from our own pages; stands inside the gate, and before public routes that change something.
///
/// # Errors
/// Never of its own.
pub async fn same_origin(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let ours = req.app_data::<web::Data<State>>().is_some_and(|state| {
        origin::is_ours(req.method(), req.headers(), &state.settings.web.origin)
    });
    if ours {
        return next
            .call(req)
            .await
            .map(ServiceResponse::map_into_left_body);
    }
    Ok(req
        .error_response(AppError::CrossSite)
        .map_into_right_body())
}

async fn admit(req: &ServiceRequest) -> AppResult<()> {
    let user = identify(req.request())
        .await?
        .ok_or(AppError::SignInNeeded)?;
    keyring::renew_if_sealed_anew(req);
    req.extensions_mut().insert(user);
    Ok(())
}

/// Who is asking, if anybody is signed in.
///
/// # Errors
/// [`AppError::DatabaseAway`] when there is a cookie, but nobody can say whether its session lives.
pub async fn identify(req: &HttpRequest) -> AppResult<Option<CurrentUser>> {
    let Some(state) = req.app_data::<web::Data<State>>().cloned() else {
        return Ok(None);
    };
    match state.settings.mode {
        Mode::Dev => fake(req, &state, DEV_USER.to_owned()).await,
        Mode::Test => fake(req, &state, test_user(req.headers())).await,
        Mode::Entra => by_session(req, &state).await,
    }
}

/// Asks once more whether a person may still do what they began: a change that took its time to arrive counts for
/// nothing when the session or the role ended meanwhile. Returns them as they are now, since folder rules look at the role.
///
/// # Errors
/// 401, 403, or 503 without an answer.
pub async fn check_again(state: &State, user: &CurrentUser, least: Role) -> AppResult<CurrentUser> {
    let person = match &user.session_id {
        Some(id) => state.people.of_session(id, user.email()).await?,
        None => state.people.of_email(user.email()).await?,
    };
    let person = person.ok_or(AppError::SignInNeeded)?;
    user.known_as(person).at_least(least)
}

/// As [`check_again`], for whoever holds the lock on roles on this connection: until its transaction ends nobody takes the
/// role away.
///
/// # Errors
/// As [`check_again`].
pub async fn check_now(conn: &mut Conn, user: &CurrentUser, least: Role) -> AppResult<CurrentUser> {
    let person = person_now(conn, user.session_id.as_deref(), user.email()).await?;
    let person = person.ok_or(AppError::SignInNeeded)?;
    user.known_as(Arc::new(person)).at_least(least)
}

async fn by_session(req: &HttpRequest, state: &State) -> AppResult<Option<CurrentUser>> {
    let settings = &state.settings.session;
    let Some(ticket) = session::ticket(req, settings) else {
        return Ok(None);
    };
    let Some(person) = state.people.of_session(&ticket.id, &ticket.email).await? else {
        return Ok(None);
    };
    session::touch(req, &ticket, settings);
    let expires_at = ticket.expires_at(settings);
    Ok(Some(CurrentUser::new(
        req,
        person,
        Some(ticket.id),
        Some(expires_at),
    )))
}

async fn fake(req: &HttpRequest, state: &State, email: String) -> AppResult<Option<CurrentUser>> {
    let person: Option<Arc<Person>> = state.people.of_email(&email).await?;
    Ok(person.map(|person| CurrentUser::new(req, person, None, None)))
}

fn test_user(headers: &HeaderMap) -> String {
    headers
        .get("x-test-user")
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .unwrap_or(DEFAULT_TEST_USER)
        .to_ascii_lowercase()
}

/// The router decodes paths, so `/%61pi/` is the API as well.
pub fn is_api(path: &str) -> bool {
    percent_encoding::percent_decode_str(path)
        .collect::<Vec<u8>>()
        .starts_with(b"/api/")
}

/// Only a person who opens a page is sent to the sign-in; scripts, images and the JSON API get a clean 401.
fn may_redirect(req: &ServiceRequest) -> bool {
    let headers = req.headers();
    let safe = req.method() == Method::GET || req.method() == Method::HEAD;
    let page = !is_api(req.path());
    let document = headers
        .get("sec-fetch-dest")
        .is_none_or(|destination| destination == "document");
    let accepts = headers.get(ACCEPT).is_none_or(|accept| {
        let accept = accept.to_str().unwrap_or("");
        accept.contains("text/html") || accept.contains("*/*")
    });
    safe && page && document && accepts
}
