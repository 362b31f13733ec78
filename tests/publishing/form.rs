//! A multipart form, written by hand, so that every part of it can also be wrong.

use reqwest::Method;

use crate::bad_input::raw;
use crate::support::client::{Browser, Reply};

const BOUNDARY: &str = "portcullis-test-7d81b2";

/// A form on its way to be sent.
#[derive(Default, Clone)]
pub struct Form(Vec<u8>);

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field.
    pub fn text(self, name: &str, value: &str) -> Self {
        let disposition = format!("form-data; name=\"{name}\"");
        self.part(&disposition, value.as_bytes())
    }

    /// Adds the file.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let disposition = format!("form-data; name=\"file\"; filename=\"{name}\"");
        self.part(&disposition, content.as_ref())
    }

    /// Adds a part with that `Content-Disposition`.
    pub fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// The whole body.
    pub fn body(mut self) -> Vec<u8> {
        self.0
            .extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.0
    }

    /// The body as far as it was written, without its end.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }

    /// The body's type.
    pub fn kind() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// Publishes by the JSON API.
    pub async fn publish(self, browser: &Browser) -> Reply {
        self.post(browser, "/api/items").await
    }

    /// Publishes by the JSON API of a portal that may end meanwhile; the status, if there was an answer.
    pub async fn try_publish(self, browser: &Browser) -> Option<u16> {
        let kind = Self::kind();
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("content-type", kind.as_str()),
        ];
        let sent = browser.try_send(Method::POST, "/api/items", &headers, self.body());
        sent.await.ok().map(|reply| reply.status)
    }

    /// Sends the form as one of the portal's own pages does.
    pub async fn post(self, browser: &Browser, path: &str) -> Reply {
        browser.post(path, &Self::kind(), self.body()).await
    }

    /// Sends the form as a person's browser does who pressed the button.
    pub async fn submit(self, browser: &Browser, path: &str) -> Reply {
        let kind = Self::kind();
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
            ("accept", "text/html,*/*;q=0.8"),
            ("content-type", kind.as_str()),
        ];
        browser
            .send(Method::POST, path, &headers, self.body())
            .await
    }
}

/// A form with just a file.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> Form {
    Form::new().file(name, content)
}

/// The head of a request that publishes, with that line about its length.
pub fn head(browser: &Browser, length: &str) -> Vec<u8> {
    let (cookie, kind) = (raw::cookie(browser), Form::kind());
    format!(
        "POST /api/items HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: {kind}\r\nConnection: close\r\n{length}\r\n\r\n"
    )
    .into_bytes()
}
