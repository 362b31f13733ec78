//! Ends of life that an operator hears of in time: secrets and certificates, before Entra or browsers refuse them.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::entra::Entra;
use crate::clock;
use crate::settings::{Credential, Proof};
use crate::tls::Certificate;

const DAY: i64 = 86_400;
/// Days before the end at which it is first spoken of: somebody has to go to the Azure portal.
const EARLY: i64 = 30;
/// As well, for the certificate of our own TLS, which programs renew by themselves, often with thirty days to go.
const EARLY_FOR_TLS: i64 = 14;
/// Days before the end from which on it is an error.
const LATE: i64 = 1;
const SPEAK_EVERY: Duration = Duration::from_secs(86_400);

/// Something that ends one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The setting that holds it.
    pub variable: &'static str,
    /// When that is, in seconds since 1970, UTC; `None` where it is not known.
    pub ends_at: Option<i64>,
    early: i64,
    /// Who refuses it then.
    refused_by: &'static str,
    what_to_do: &'static str,
}

impl From<&Credential> for Ending {
    fn from(credential: &Credential) -> Self {
        let what_to_do = match credential.proof {
            Proof::Certificate(..) => {
                "upload a new certificate under Certificates & secrets of the app registration, and name its file in APP_REG_CLIENT_CERT_NEXT_PATH"
            }
            Proof::Secret(_) | Proof::TokenFile(_) | Proof::ManagedIdentity(_) => {
                "make a new secret under Certificates & secrets of the app registration, and put its Value into APP_REG_CLIENT_SECRET_NEXT"
            }
        };
        Self {
            variable: credential.variable,
            ends_at: credential.expires_at,
            early: EARLY,
            refused_by: "Entra refuses it",
            what_to_do,
        }
    }
}

impl From<&Certificate> for Ending {
    fn from(certificate: &Certificate) -> Self {
        Self {
            variable: "TLS_CERT_PATH",
            ends_at: certificate.ends_at(),
            early: EARLY_FOR_TLS,
            refused_by: "browsers refuse it",
            what_to_do: "renew the certificate and write it to the files of TLS_CERT_PATH and TLS_KEY_PATH, which are read again by themselves",
        }
    }
}

/// An end that is near, or past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happens, when, and what to do.
    pub sentence: String,
    /// Whether that is tomorrow, or was.
    pub is_late: bool,
}

/// All that ends one day.
pub fn endings(entra: Option<&Entra>, certificate: Option<&Certificate>) -> Vec<Ending> {
    let credentials = entra.map_or_else(Vec::new, |entra| entra.keychain().all());
    let credentials = credentials.iter().map(Ending::from);
    credentials.chain(certificate.map(Ending::from)).collect()
}

/// What there is to say of these at `now` (microseconds since 1970, UTC).
pub fn notices(endings: &[Ending], now: i64) -> Vec<Notice> {
    endings
        .iter()
        .filter_map(|ending| ending.notice(now))
        .collect()
}

/// Writes them into the log at once and then once a day. Runs until the process ends.
pub async fn watch(entra: Option<Arc<Entra>>, certificate: Option<Arc<Certificate>>) {
    let mut daily = tokio::time::interval(SPEAK_EVERY);
    loop {
        daily.tick().await;
        let endings = endings(entra.as_deref(), certificate.as_deref());
        for notice in notices(&endings, clock::now()) {
            match notice.is_late {
                true => log::error!("{}", notice.sentence),
                false => log::warn!("{}", notice.sentence),
            }
        }
    }
}

impl Ending {
    /// Whole days until then, negative after it.
    pub fn days_left(&self, now: i64) -> Option<i64> {
        let left = self.ends_at? - now / clock::SECOND;
        Some(left.div_euclid(DAY))
    }

    /// What there is to say of it, when it is near.
    pub fn notice(&self, now: i64) -> Option<Notice> {
        let days = self.days_left(now)?;
        if days > self.early {
            return None;
        }
        let date = clock::rfc3339(self.ends_at?.saturating_mul(clock::SECOND));
        let date = date.get(..10).unwrap_or(&date);
        let when = match days {
            ..0 => format!("expired on {date}, and {}", self.refused_by),
            0 => format!("expires within a day, on {date}"),
            1 => format!("expires tomorrow, on {date}"),
            _ => format!("expires in {days} days, on {date}"),
        };
        Some(Notice {
            sentence: format!("{} {when}: {}.", self.variable, self.what_to_do),
            is_late: days <= LATE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Credentials;

    fn secret(ends_at: Option<i64>) -> Ending {
        Ending {
            ends_at,
            ..Ending::from(&Credentials::of_secret("s").first)
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
