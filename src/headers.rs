//! Security headers on every answer, errors and redirects included; an answer that set one itself keeps it.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::app::State;
use crate::auth::session::Left;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

const FIXED: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (
        header::PERMISSIONS_POLICY,
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// The headers that depend on settings, made once.
#[derive(Clone)]
pub struct Policy {
    content_security: HeaderValue,
    with_scripts: HeaderValue,
    https: bool,
}

impl Policy {
    /// `authority` is Entra's origin, if there is one: browsers check `form-action` against redirects, too,
    /// and signing out by a form ends there.
    ///
    /// `origin` is the portal's own. Scripts come from its static folder alone: what people publish lies elsewhere.
    pub fn new(authority: &str, origin: &str, https: bool) -> Self {
        let text = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self' {authority}; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        let with_scripts = format!("{text}; script-src {origin}/static/; connect-src 'self'");
        let value = |text: &str| {
            HeaderValue::from_str(text)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
        };
        Self {
            content_security: value(&text),
            with_scripts: value(&with_scripts),
            https,
        }
    }

    /// For a page that a script of ours adds to, which that page sets itself.
    pub fn with_scripts(&self) -> HeaderValue {
        self.with_scripts.clone()
    }

    fn apply(&self, headers: &mut HeaderMap) {
        // Framing is allowed where an answer brings a policy of its own (front-channel logout).
        let own = headers.get(header::CONTENT_SECURITY_POLICY);
        let has_own = own.is_some();
        let framed = own.is_some_and(|own| *own != self.with_scripts);
        for (name, value) in FIXED {
            let skip = framed
                && (name == header::X_FRAME_OPTIONS
                    || name == header::CROSS_ORIGIN_RESOURCE_POLICY);
            if !skip && !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        if !has_own {
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                self.content_security.clone(),
            );
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.https {
            headers.insert(
                header::STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000"),
            );
        }
    }
}

/// Sets them.
///
/// # Errors
/// Never of its own.
pub async fn secure(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let state = req.app_data::<web::Data<State>>();
    let policy = state.map(|state| state.policy.clone());
    // What a program that embeds us keeps in the browser is its own.
    let is_portal = state.is_some_and(|state| state.look.is_portal());
    let mut response = next.call(req).await?;
    let left = response.request().extensions().get::<Left>().copied();
    if left.is_some() && is_portal {
        // The names and addresses of unfinished uploads. Cookies stay: those that have to go were taken one by one.
        response
            .headers_mut()
            .insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"storage\""));
    }
    if let Some(policy) = policy {
        policy.apply(response.headers_mut());
    }
    Ok(response)
}
