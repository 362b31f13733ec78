//! Where a browser's latest sign-ins were to lead, in a sealed cookie of its own that outlives them. A callback that
//! comes twice, or after the three minutes of its sign-in, still knows where its person wanted to go.

use actix_web::cookie::Cookie;
use actix_web::http::header::HeaderMap;

use super::keyring::Keyring;

/// How long a target is remembered, in seconds: people leave a sign-in page open over a meeting.
const LIFE: i64 = 3_600;
const MOST: usize = 5;
/// All cookies of the portal together stay under the 8 KiB that proxies allow for one header line.
const MOST_BYTES: usize = 1_700;

/// Targets by the `state` of their sign-in, oldest first. Nothing in here signs anybody in.
#[derive(Default)]
pub struct Recent(Vec<(String, String)>);

impl Recent {
    /// Those that the request's cookie holds. A cookie that does not open holds none.
    pub fn read(headers: &HeaderMap, keys: &Keyring, name: &str) -> Self {
        let opened = keys.open(headers, name);
        let targets = opened.and_then(|(text, _)| serde_json::from_str(&text).ok());
        Self(targets.unwrap_or_default())
    }

    /// Remembers one; the oldest leave when there are too many.
    pub fn add(&mut self, state: &str, target: &str) {
        self.0.push((state.to_owned(), target.to_owned()));
        while self.0.len() > MOST || (self.0.len() > 1 && self.text().len() > MOST_BYTES) {
            self.0.remove(0);
        }
    }

    /// Where the sign-in with that `state` was to lead.
    pub fn target(&self, state: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == state)?;
        Some(&found.1)
    }

    /// The cookie that holds them.
    pub fn cookie(&self, keys: &Keyring, name: &str, secure: bool) -> Cookie<'static> {
        keys.cookie(name, self.text(), LIFE, secure)
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_targets_are_remembered_and_take_little_room() {
        let mut recent = Recent::default();
        for state in ["a", "b", "c", "d", "e", "f"] {
            recent.add(state, &format!("/{state}"));
        }
        assert_eq!(recent.target("a"), None);
        assert_eq!(recent.target("b"), Some("/b"));
        assert_eq!(recent.target("f"), Some("/f"));
        let longest = format!("/{}", "x".repeat(super::super::return_to::LONGEST - 1));
        recent.add("long", &longest);
        assert_eq!(recent.target("long"), Some(longest.as_str()));
        assert!(recent.text().len() <= MOST_BYTES);
    }
}
