//! The cookie secrets and the age of sessions.

use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{Mode, SessionSettings, parse};
use super::duration;

pub(super) fn session(
    variables: &Variables,
    mode: Mode,
    problems: &mut Problems,
) -> SessionSettings {
    const NAME: &str = "API_COOKIE_SECRET";
    let mut secrets = Vec::new();
    match variables.get(NAME) {
        Some(text) => {
            for part in text.split(',') {
                match parse::cookie_secret(part) {
                    Ok(secret) => secrets.push(Secret::new(secret)),
                    Err(wrong) => problems.add(NAME, wrong),
                }
            }
        }
        None if mode == Mode::Entra => problems.add(
            NAME,
            "is missing: it encrypts the session cookies; make one with `openssl rand -hex 32`",
        ),
        None => secrets.push(Secret::new(random_secret(problems))),
    }
    let ttl = duration(variables, "SESSION_TTL", 86_400, 1, 31_536_000, problems);
    let idle = match variables.get("SESSION_IDLE") {
        None | Some("off") => None,
        Some(_) => Some(duration(
            variables,
            "SESSION_IDLE",
            0,
            1,
            31_536_000,
            problems,
        )),
    };
    SessionSettings { secrets, ttl, idle }
}

fn random_secret(problems: &mut Problems) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        problems.add(
            "API_COOKIE_SECRET",
            "cannot be made: the system gives no random bytes",
        );
    }
    bytes
}
