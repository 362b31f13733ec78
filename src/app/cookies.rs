//! The cookies: what each is called, and what the two of a sign-in hold.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

use super::State;
use crate::auth::flow::Flows;
use crate::auth::recent::Recent;

impl State {
    /// Name of the session cookie. `__Host-` keeps other hosts of the domain from setting it.
    pub fn session_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-session",
            false => "session",
        }
    }

    /// The sign-ins that a browser has on their way.
    pub fn flows(&self, req: &HttpRequest) -> Flows {
        Flows::read(req.headers(), &self.flow_keys, self.flow_cookie_name())
    }

    /// The cookie that holds them.
    pub fn flow_cookie(&self, flows: &Flows) -> Cookie<'static> {
        let secure = self.settings.web.is_https();
        flows.cookie(&self.flow_keys, self.flow_cookie_name(), secure)
    }

    /// Where the browser's latest sign-ins were to lead.
    pub fn recent(&self, req: &HttpRequest) -> Recent {
        Recent::read(req.headers(), &self.recent_keys, self.recent_cookie_name())
    }

    /// The cookie that holds them.
    pub fn recent_cookie(&self, recent: &Recent) -> Cookie<'static> {
        let secure = self.settings.web.is_https();
        recent.cookie(&self.recent_keys, self.recent_cookie_name(), secure)
    }

    fn recent_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-recent",
            false => "recent",
        }
    }

    fn flow_cookie_name(&self) -> &'static str {
        match self.settings.web.is_https() {
            true => "__Host-flow",
            false => "flow",
        }
    }
}
