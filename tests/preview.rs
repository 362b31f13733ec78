//! Looking at a file before it is downloaded: what is shown, what is told of it, and that nothing in a file ever runs.

mod bytes;
mod chromium;
mod page;

use portcullis::audit::store::Entry;

use crate::support::app::TestApp;

/// Rows of what was looked at, oldest first, once there are so many.
async fn looks(app: &TestApp, expected: usize) -> Vec<Entry> {
    let mut rows = Vec::new();
    app.eventually("the rows of what was looked at", async || {
        rows = app.audit().await;
        rows.retain(|row| row.action == "previewed");
        rows.len() >= expected
    })
    .await;
    rows.reverse();
    rows
}

/// The address of a page or of bytes: everything but letters and digits is encoded.
fn url(prefix: &str, path: &str) -> String {
    let download = crate::downloads::url_of(path);
    format!("{prefix}{}", download.strip_prefix("/api/files/").unwrap())
}
