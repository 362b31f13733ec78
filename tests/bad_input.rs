//! What is wrong with a request gets a clear status and sentence, and the portal goes on serving everybody else.

mod crowd;
mod faces;
mod headers;
mod heads;
mod methods;
mod nonsense;
mod permissions;
pub mod raw;
mod spoofed;
mod vanished;
mod waiting;

use crate::support::app::TestApp;
use crate::support::client::Browser;

/// Panics unless visitors and people who are signed in are served as ever, and soon.
pub async fn assert_serves(app: &TestApp, person: &Browser, what: &str) {
    let visitor = app.visitor();
    let both = async {
        (
            visitor.get("/health/live").await,
            person.get("/api/me").await,
        )
    };
    let both = tokio::time::timeout(std::time::Duration::from_secs(5), both).await;
    let (live, me) = both.unwrap_or_else(|_| panic!("nobody is served after {what}"));
    assert_eq!((live.status, me.status), (200, 200), "after {what}");
}

/// The reference number of a page or of problem+json, or nothing.
pub fn reference(text: &str) -> Option<String> {
    let after = text
        .split_once("reference <code>")
        .or_else(|| text.split_once("\"reference\":\""));
    let reference: String = after?.1.chars().take(9).collect();
    let fits = |(place, c): (usize, char)| match place {
        4 => c == '-',
        _ => c.is_ascii_digit() || c.is_ascii_uppercase(),
    };
    assert!(
        reference.len() == 9 && reference.chars().enumerate().all(fits),
        "{reference:?}"
    );
    Some(reference)
}
