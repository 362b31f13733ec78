//! Sign-ins that are on their way through Entra: a small encrypted cookie with at most five of them, so that
//! several tabs can sign in at once and none lasts longer than three minutes.

use actix_web::cookie::Cookie;
use actix_web::http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use super::keyring::Keyring;
use crate::clock;

/// How long a sign-in may take, in seconds; checked here, not left to the browser.
const LIFE: i64 = 180;
const MOST: usize = 5;
/// Browsers drop cookies over 4,096 bytes; sealing and encoding make the text half as long again.
const MOST_BYTES: usize = 2_600;

/// One sign-in on its way. No `Debug`: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// OAuth `state`, RFC 6749 section 10.12.
    pub state: String,
    /// OpenID Connect `nonce`.
    pub nonce: String,
    /// PKCE `code_verifier`, RFC 7636.
    pub code_verifier: String,
    /// Where to go afterwards, see [`super::return_to`].
    pub target: String,
    /// Seconds since 1970 UTC.
    pub begun_at: i64,
    /// Whether this one already replaces a failed one.
    pub restarted: bool,
}

/// The sign-ins of one browser, oldest first.
#[derive(Default)]
pub struct Flows(Vec<Pending>);

impl Flows {
    /// Those that the request's cookie holds and that are not too old. A cookie that does not open holds none.
    pub fn read(headers: &HeaderMap, keys: &Keyring, name: &str) -> Self {
        let oldest = clock::now() / clock::SECOND - LIFE;
        let Some((text, _)) = keys.open(headers, name) else {
            return Self::default();
        };
        let mut flows: Vec<Pending> = serde_json::from_str(&text).unwrap_or_default();
        flows.retain(|pending| pending.begun_at >= oldest);
        Self(flows)
    }

    /// Adds one; the oldest leave when there are too many.
    pub fn add(&mut self, pending: Pending) {
        self.0.push(pending);
        while self.0.len() > MOST || (self.0.len() > 1 && self.text().len() > MOST_BYTES) {
            self.0.remove(0);
        }
    }

    /// Takes out the one with that state, which so can be used once only.
    pub fn take(&mut self, state: &str) -> Option<Pending> {
        let index = self.0.iter().position(|pending| pending.state == state)?;
        Some(self.0.remove(index))
    }

    /// The cookie that holds them; one that removes itself when none is left.
    pub fn cookie(&self, keys: &Keyring, name: &str, secure: bool) -> Cookie<'static> {
        let mut cookie = keys.cookie(name, self.text(), LIFE, secure);
        if self.0.is_empty() {
            cookie.make_removal();
        }
        cookie
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{COOKIE, HeaderValue};

    use super::*;
    use crate::settings::Secret;

    fn keys() -> Keyring {
        Keyring::derive(&[Secret::new(vec![7; 32])], "flow").unwrap()
    }

    fn pending(state: &str, target: &str, begun_at: i64) -> Pending {
        Pending {
            state: state.to_owned(),
            nonce: "n".repeat(22),
            code_verifier: "v".repeat(43),
            target: target.to_owned(),
            begun_at,
            restarted: false,
        }
    }

    fn sent_back(flows: &Flows) -> Flows {
        let cookie = flows.cookie(&keys(), "flow", false);
        let mut headers = HeaderMap::new();
        let line = cookie.stripped().encoded().to_string();
        headers.insert(COOKIE, HeaderValue::from_str(&line).unwrap());
        Flows::read(&headers, &keys(), "flow")
    }

    #[test]
    fn five_sign_ins_are_kept_and_the_oldest_leaves() {
        let now = clock::now() / clock::SECOND;
        let mut flows = Flows::default();
        for state in ["a", "b", "c", "d", "e", "f"] {
            flows.add(pending(state, "/", now));
        }
        let mut flows = sent_back(&flows);
        assert!(flows.take("a").is_none());
        assert!(flows.take("f").is_some());
        assert!(flows.take("b").is_some());
        assert!(flows.take("b").is_none(), "a state is good for one use");
    }

    #[test]
    fn the_cookie_stays_under_what_browsers_keep() {
        let now = clock::now() / clock::SECOND;
        let mut flows = Flows::default();
        for state in ["a", "b", "c"] {
            let target = format!("/{}", "x".repeat(super::super::return_to::LONGEST - 1));
            flows.add(pending(state, &target, now));
            let cookie = flows.cookie(&keys(), "__Host-flow", true);
            assert!(cookie.encoded().to_string().len() < 4_096);
        }
        assert!(sent_back(&flows).take("c").is_some());
    }

    #[test]
    fn an_old_sign_in_is_gone_whatever_the_browser_sends() {
        let mut flows = Flows::default();
        flows.add(pending("old", "/", clock::now() / clock::SECOND - LIFE - 1));
        assert!(sent_back(&flows).take("old").is_none());
    }
}
