//! `/{tenant}/oauth2/v2.0/logout`: ends the emulator's session, then goes where the application may ask
//! to go. Apart because it shares nothing with signing in but the cookie.

use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::authorize::COOKIE;
use super::encoding::fields;
use super::faults::Endpoint;
use super::pages;
use super::state::{Form, Inner, State, check_tenant};

/// `GET` and `POST`.
pub async fn end(
    state: Data<State>,
    tenant: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let mut asked = fields(request.query_string().as_bytes());
    asked.extend(fields(&body));
    state.lock().last_logout = Some(asked.clone());
    if let Some(answer) = state.disturbed(Endpoint::Logout).await {
        return answer;
    }
    if let Err(problem) = check_tenant(&tenant) {
        return problem.page();
    }
    let inner = &mut *state.lock();
    if let Some(cookie) = request.cookie(COOKIE) {
        inner.sessions.remove(cookie.value());
    }
    let mut response = match way_on(inner, &asked) {
        Some(to) => pages::redirect(to.as_str()),
        None => pages::send(StatusCode::OK, pages::signed_out()),
    };
    let mut gone = Cookie::new(COOKIE, "");
    gone.set_path("/");
    let _ = response.add_removal_cookie(&gone);
    response
}

/// Where to go, if it lies on the origin of a registered redirect URI.
fn way_on(inner: &Inner, asked: &Form) -> Option<Url> {
    let mut to = Url::parse(asked.get("post_logout_redirect_uri")?).ok()?;
    let registered = inner
        .redirect_uris
        .iter()
        .filter_map(|uri| Url::parse(uri).ok());
    if !registered
        .into_iter()
        .any(|uri| uri.origin() == to.origin())
    {
        return None;
    }
    if let Some(state) = asked.get("state") {
        to.query_pairs_mut().append_pair("state", state);
    }
    Some(to)
}
