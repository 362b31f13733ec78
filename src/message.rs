//! One sentence and the ways on from it: what errors, refusals and the pages about signing out consist of. An embedding
//! program may put its own frame around it.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::app::State;
use crate::page::Page;

/// A message to whoever looks at the page.
#[derive(Debug, Clone)]
pub struct Message {
    /// Status of the answer.
    pub status: u16,
    /// A few words.
    pub heading: Cow<'static, str>,
    /// What happened and what to do.
    pub sentence: Cow<'static, str>,
    /// What has to be said besides.
    pub note: Option<&'static str>,
    /// Further facts, by label.
    pub details: Vec<(String, String)>,
    /// Ways on, the best one first.
    pub actions: Vec<Action>,
    /// What to quote when asking for help.
    pub reference: Option<String>,
}

/// A way on.
#[derive(Debug, Clone)]
pub struct Action {
    /// What the link or button says.
    pub label: Cow<'static, str>,
    /// Where it leads.
    pub href: String,
    /// Whether it is a button that posts.
    pub post: bool,
}

/// Puts an embedding program's own page around a message; returns the whole page as HTML.
pub type Frame = Arc<dyn Fn(&Message) -> String + Send + Sync>;

/// What our own pages look like.
#[derive(Clone)]
pub enum Look {
    /// The portal's.
    Portal,
    /// An embedding program's: its name, and its own frame where it has one.
    Embedded(String, Option<Frame>),
}

impl Look {
    /// Whether this is the portal itself, with its catalogue, accounts and admin pages.
    pub fn is_portal(&self) -> bool {
        matches!(self, Self::Portal)
    }

    /// The look of the application that a request came to.
    pub fn of(req: &HttpRequest) -> Option<&Self> {
        req.app_data::<web::Data<State>>().map(|state| &state.look)
    }
}

#[derive(Template)]
#[template(path = "partials/message.html")]
struct MessageAlone<'a> {
    message: &'a Message,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    page: Page,
    message: &'a Message,
}

impl Message {
    /// The message alone as HTML, everything in it escaped, to be put into a page.
    pub fn html(&self) -> String {
        MessageAlone { message: self }
            .render()
            .unwrap_or_else(|error| {
                log::error!("the message's template failed: {error}");
                String::new()
            })
    }

    /// The whole page, never stored by anybody. `show_nav` is false where the answer must not depend on who is asking.
    pub fn answer(&self, req: &HttpRequest, show_nav: bool) -> HttpResponse {
        let text = match Look::of(req) {
            Some(Look::Embedded(_, Some(frame))) => frame(self),
            _ => self.page(req, show_nav),
        };
        let status = StatusCode::from_u16(self.status);
        HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            .content_type("text/html; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(text)
    }

    fn page(&self, req: &HttpRequest, show_nav: bool) -> String {
        let mut page = Page::of(req);
        if !show_nav {
            page.nav.clear();
        }
        let view = MessagePage {
            page,
            message: self,
        };
        view.render().unwrap_or_else(|error| {
            log::error!("the message's page failed: {error}");
            self.sentence.clone().into_owned()
        })
    }
}
