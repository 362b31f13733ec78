//! Publishing in pieces, by the tus protocol: each of its rules, and everything that breaks on the way.

mod browser;
mod client;
mod killed;
mod limits;
mod protocol;
pub mod together;
mod who;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;

use crate::support::client::{Browser, Reply};

const PIECE: (&str, &str) = ("content-type", "application/offset+octet-stream");
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

/// `Upload-Metadata` of these pairs.
pub fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)))
        .collect();
    pairs.join(",")
}

/// A request of the protocol, with these headers besides.
pub async fn ask(
    browser: &Browser,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let headers = [&[TUS], headers].concat();
    browser.send(method, path, &headers, body.to_vec()).await
}

/// Begins an upload.
pub async fn create(browser: &Browser, size: usize, pairs: &[(&str, &str)]) -> Reply {
    let (size, metadata) = (size.to_string(), metadata(pairs));
    let headers = [
        ("upload-length", size.as_str()),
        ("upload-metadata", metadata.as_str()),
    ];
    ask(browser, "POST", "/api/uploads", &headers, b"").await
}

/// Begins an upload of that name, and returns its address.
pub async fn begin(browser: &Browser, name: &str, size: usize) -> String {
    let reply = create(browser, size, &[("filename", name)]).await;
    reply.expect(201).location().to_owned()
}

/// Sends bytes that begin at `offset`.
pub async fn patch(browser: &Browser, upload: &str, offset: u64, bytes: &[u8]) -> Reply {
    let offset = offset.to_string();
    let headers = [PIECE, ("upload-offset", offset.as_str())];
    ask(browser, "PATCH", upload, &headers, bytes).await
}

/// Asks how far an upload has come.
pub async fn head(browser: &Browser, upload: &str) -> Reply {
    ask(browser, "HEAD", upload, &[], b"").await
}

/// How far it has come.
pub async fn offset(browser: &Browser, upload: &str) -> u64 {
    let reply = head(browser, upload).await.expect(200);
    reply.header("upload-offset").parse().unwrap()
}
