//! What the audit holds, and who is told of requests for access.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{AuditSettings, WebhookSettings, parse};
use super::is_loopback;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn audit(variables: &Variables, problems: &mut Problems) -> AuditSettings {
    AuditSettings {
        retention: retention(variables, problems),
        addresses: match variables.get("AUDIT_ADDRESSES").map(parse::switch) {
            None | Some(Ok(true)) => true,
            Some(Ok(false)) => false,
            Some(Err(wrong)) => {
                problems.add("AUDIT_ADDRESSES", wrong);
                true
            }
        },
    }
}

fn retention(variables: &Variables, problems: &mut Problems) -> Option<Duration> {
    const NAME: &str = "AUDIT_RETENTION";
    match variables.get(NAME) {
        None | Some("off") => None,
        Some(text) => match parse::duration(text) {
            Ok(value) if (DAY..=36_500 * DAY).contains(&value) => Some(value),
            _ => {
                problems.add(NAME, "must be off, or from 1d to 36500d, such as 365d");
                None
            }
        },
    }
}

pub(super) fn webhook(variables: &Variables, problems: &mut Problems) -> Option<WebhookSettings> {
    const NAME: &str = "ACCESS_REQUEST_WEBHOOK";
    const KEY: &str = "ACCESS_REQUEST_WEBHOOK_SECRET";
    let (url, key) = match (variables.get(NAME), variables.get(KEY)) {
        (None, None) => return None,
        (Some(url), Some(key)) => (url, key),
        (Some(_), None) => {
            problems.add(
                KEY,
                "is required beside ACCESS_REQUEST_WEBHOOK: `echo whsec_$(openssl rand -base64 32)` prints one",
            );
            return None;
        }
        (None, Some(_)) => {
            problems.add(NAME, "is required beside ACCESS_REQUEST_WEBHOOK_SECRET");
            return None;
        }
    };
    let url = match Url::parse(url) {
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => {
            Some(url)
        }
        _ => {
            problems.add(
                NAME,
                "must be a full https:// URL (http:// only for a loopback host)",
            );
            None
        }
    };
    let key = signing_key(key);
    if key.is_none() {
        problems.add(
            KEY,
            "must be whsec_ and 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` prints it",
        );
    }
    Some(WebhookSettings {
        url: Secret::new(url?),
        key: Secret::new(key?),
    })
}

/// Secrets are written as Standard Webhooks asks, so that its libraries can check the signature.
fn signing_key(text: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}
