//! Ends of life that an operator hears of in time: secrets and certificates, 30, 7 and 1 days before Entra refuses them.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::entra::Entra;
use crate::clock;
use crate::settings::{Credential, Proof};

const DAY: i64 = 86_400;
/// Days before the end at which it is first spoken of.
const EARLY: i64 = 30;
/// Days before the end from which on it is an error.
const LATE: i64 = 1;
const SPEAK_EVERY: Duration = Duration::from_secs(86_400);

/// A credential near its end, or past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happens, when, and what to do.
    pub sentence: String,
    /// Whether that is tomorrow, or was.
    pub is_late: bool,
}

/// Whole days until the end of a credential's life, negative after it; `None` where the end is not known.
pub fn days_left(credential: &Credential, now: i64) -> Option<i64> {
    let left = credential.expires_at? - now / clock::SECOND;
    Some(left.div_euclid(DAY))
}

/// What there is to say of these at `now` (microseconds since 1970, UTC).
pub fn notices(credentials: &[Credential], now: i64) -> Vec<Notice> {
    credentials
        .iter()
        .filter_map(|credential| notice(credential, now))
        .collect()
}

/// Writes them into the log at once and then once a day. Runs until the process ends.
pub async fn watch(entra: Arc<Entra>) {
    let mut daily = tokio::time::interval(SPEAK_EVERY);
    loop {
        daily.tick().await;
        for notice in notices(&entra.keychain().all(), clock::now()) {
            match notice.is_late {
                true => log::error!("{}", notice.sentence),
                false => log::warn!("{}", notice.sentence),
            }
        }
    }
}

fn notice(credential: &Credential, now: i64) -> Option<Notice> {
    let days = days_left(credential, now)?;
    if days > EARLY {
        return None;
    }
    let variable = credential.variable;
    let date = clock::rfc3339(credential.expires_at?.saturating_mul(clock::SECOND));
    let date = date.get(..10).unwrap_or(&date);
    let when = match days {
        ..0 => format!("expired on {date}, and Entra refuses it"),
        0 => format!("expires within a day, on {date}"),
        1 => format!("expires tomorrow, on {date}"),
        _ => format!("expires in {days} days, on {date}"),
    };
    let what_to_do = match credential.proof {
        Proof::Certificate(..) => {
            "upload a new certificate under Certificates & secrets of the app registration, and name its file in APP_REG_CLIENT_CERT_NEXT_PATH"
        }
        Proof::Secret(_) | Proof::TokenFile(_) => {
            "make a new secret under Certificates & secrets of the app registration, and put its Value into APP_REG_CLIENT_SECRET_NEXT"
        }
    };
    Some(Notice {
        sentence: format!("{variable} {when}: {what_to_do}."),
        is_late: days <= LATE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Credentials;

    fn secret(expires_at: Option<i64>) -> Credential {
        Credential {
            expires_at,
            ..Credentials::of_secret("s").first
        }
    }

    #[test]
    fn an_end_is_spoken_of_from_thirty_days_before_it() {
        let now = 1_795_507_200 * clock::SECOND; // 2026-11-24T08:00:00Z
        let in_days = |days: i64| secret(Some(now / clock::SECOND + days * DAY));
        let said = |days| notices(&[in_days(days)], now).pop();
        assert_eq!(said(31), None);
        assert_eq!(notices(&[secret(None)], now), []);
        let first = said(30).unwrap();
        assert!(first.sentence.contains("in 30 days, on 2026-12-24") && !first.is_late);
        assert!(first.sentence.contains("APP_REG_CLIENT_SECRET_NEXT"));
        assert!(said(7).unwrap().sentence.contains("in 7 days"));
        assert!(said(1).unwrap().is_late);
        let gone = said(-2).unwrap();
        assert!(gone.sentence.contains("expired on 2026-11-22") && gone.is_late);
    }
}
