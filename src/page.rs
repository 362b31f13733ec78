//! What every page shows around its content, and the two ways in which a page's handler answers.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use askama::Template;

use crate::app::State;
use crate::assets::ASSETS;
use crate::auth::user::CurrentUser;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::message::Look;
use crate::radar;
use crate::roles::Role;
use crate::settings::Mode;

/// The frame of a page, an extractor. See `templates/layout/base.html`.
#[derive(Debug, Clone)]
pub struct Page {
    /// What the site is called.
    pub site: String,
    /// Whether this is the portal, where everybody has a page with their sessions.
    pub is_portal: bool,
    /// Address of the stylesheet.
    pub css: &'static str,
    /// Address of the sprite of icons.
    pub icons: &'static str,
    /// Address of the tab's icon.
    pub favicon: &'static str,
    /// What must stand on top of every page in development and test mode.
    pub banner: Option<&'static str>,
    /// What admins should know on every page.
    pub notices: Vec<String>,
    /// Who is signed in, as far as the gate looked.
    pub person: Option<PagePerson>,
    /// The main navigation, by role.
    pub nav: Vec<NavLink>,
}

/// Who is signed in, for the bar.
#[derive(Debug, Clone)]
pub struct PagePerson {
    /// Lower-case address.
    pub email: String,
    /// Display name.
    pub name: Option<String>,
    /// Role, if any.
    pub role: Option<&'static str>,
}

/// A link of the main navigation.
#[derive(Debug, Clone)]
pub struct NavLink {
    /// Where it leads.
    pub href: &'static str,
    /// What it says.
    pub label: &'static str,
    /// Whether this page lies there.
    pub current: bool,
}

impl Page {
    /// The frame for a request.
    pub fn of(req: &HttpRequest) -> Self {
        let user = req.extensions().get::<CurrentUser>().cloned();
        let role = user.as_ref().and_then(|user| user.person.role);
        let embedded = match Look::of(req) {
            Some(Look::Embedded(name, _)) => Some(name.clone()),
            _ => None,
        };
        Self {
            is_portal: embedded.is_none(),
            css: &ASSETS.css,
            icons: &ASSETS.icons,
            favicon: &ASSETS.favicon,
            banner: banner(req),
            notices: match role {
                Some(Role::Admin) => notices(req),
                _ => Vec::new(),
            },
            person: user.map(|user| PagePerson {
                email: user.email().to_owned(),
                name: user.person.name.clone(),
                role: role.map(Role::as_str),
            }),
            nav: match embedded {
                None => nav(role, req.path()),
                Some(_) => Vec::new(),
            },
            site: embedded.unwrap_or_else(|| "Portcullis".to_owned()),
        }
    }
}

fn banner(req: &HttpRequest) -> Option<&'static str> {
    let state = req.app_data::<web::Data<State>>()?;
    match state.settings.mode {
        Mode::Entra => None,
        Mode::Dev => Some(
            "Development mode: everybody is the fake user dev.user@example.com, and Microsoft is not asked.",
        ),
        Mode::Test => {
            Some("Test mode: the X-Test-User header says who you are, and Microsoft is not asked.")
        }
    }
}

fn notices(req: &HttpRequest) -> Vec<String> {
    let state = req.app_data::<web::Data<State>>();
    let Some(state) = state else {
        return Vec::new();
    };
    let endings = radar::endings(state.entra.as_deref(), state.certificate.as_deref());
    radar::notices(&endings, clock::now())
        .into_iter()
        .map(|notice| notice.sentence)
        .collect()
}

fn nav(role: Option<Role>, path: &str) -> Vec<NavLink> {
    let mut links = Vec::new();
    let mut add = |href, label, least: Role, current| {
        if role.is_some_and(|role| role >= least) {
            links.push(NavLink {
                href,
                label,
                current,
            });
        }
    };
    add("/", "Files", Role::Reader, path == "/");
    add("/publish", "Publish", Role::Editor, path == "/publish");
    add("/admin", "Admin", Role::Admin, path.starts_with("/admin"));
    links
}

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(req)))
    }
}

/// A rendered page, never stored by anybody.
///
/// # Errors
/// [`AppError::Internal`] when the template fails.
pub fn html(view: &impl Template) -> AppResult<HttpResponse> {
    Ok(html_of(rendered(view)?))
}

/// The text of a page.
///
/// # Errors
/// [`AppError::Internal`] when the template fails.
pub fn rendered(view: &impl Template) -> AppResult<String> {
    view.render()
        .map_err(|error| AppError::Internal(format!("a template failed: {error}")))
}

/// A page whose text is there already, or comes as it is taken.
pub fn html_of(text: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}

/// 303: the answer of whatever changed something, or sends people elsewhere.
pub fn see_other(url: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, url))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
