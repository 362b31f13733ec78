//! `/admin/diagnostics`: what `portcullis doctor` finds, from inside the running portal.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{Section, links, sections};
use crate::app::State;
use crate::auth::user::{self, Admin};
use crate::doctor::{self, Finding, Level};
use crate::error::AppResult;
use crate::page::{Page, html};

#[derive(Template)]
#[template(path = "admin/diagnostics.html")]
struct DiagnosticsPage {
    page: Page,
    sections: Vec<Section>,
    findings: Vec<Finding>,
    failed: usize,
    warned: usize,
}

/// `GET /admin/diagnostics`: the checks, made now. Admins.
///
/// # Errors
/// None of its own: what does not answer is a finding.
pub async fn show(
    _: Admin,
    page: Page,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let entra = state.entra.as_deref();
    let mut findings = vec![your_request(&req)];
    findings.extend(doctor::examine(&state.settings, Some(&state.db), entra).await);
    // What has to be done stands first.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let of_level = |level| findings.iter().filter(|f| f.level == level).count();
    html(&DiagnosticsPage {
        page,
        sections: navigation(&state).await,
        failed: of_level(Level::Fail),
        warned: of_level(Level::Warn),
        findings,
    })
}

/// The gate has asked the database a moment ago. When it went away since, or lends no connection, the page says so below, and
/// only the count is missing.
async fn navigation(state: &State) -> Vec<Section> {
    const HERE: &str = "/admin/diagnostics";
    let Ok(mut conn) = state.db.conn().await else {
        return links(HERE, 0);
    };
    let sections = sections(&mut conn, HERE).await;
    sections.unwrap_or_else(|_| links(HERE, 0))
}

fn your_request(req: &HttpRequest) -> Finding {
    let peer = req.peer_addr().map(|peer| peer.ip().to_string());
    let client = user::address(req);
    let has_header = req.headers().contains_key("x-forwarded-for");
    doctor::forwarded(peer.as_deref(), client.as_deref(), has_header)
}
