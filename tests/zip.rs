//! Several files as one zip: what is in it, what independent programs say of it, what the audit is told, and how it ends
//! when it must.

mod broken;
mod contents;
mod large;
mod rules;
mod told;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bad_input::raw::{self, Wire};
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::left_out;

/// Names, sizes, flags and times of all entries as Python reads them, after it has read every content to its end.
const PYTHON: &str = "
import json, struct, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    print(json.dumps([{'name': i.filename, 'size': i.file_size, 'flags': i.flag_bits, 'crc': i.CRC,
        'offset': i.header_offset, 'method': i.compress_type} for i in archive.infolist()]))
";

/// An entry of a zip, as Python's `zipfile` reads it.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub size: u64,
    pub flags: u64,
}

/// Whether three programs that others wrote take the file for a sound zip, and what one of them finds in it.
pub fn read(file: &Path) -> Vec<Entry> {
    program("unzip", &["-tqq"], file);
    program("7z", &["t", "-bso0", "-bsp0"], file);
    let Some(listed) = program("python3", &["-c", PYTHON], file) else {
        return Vec::new();
    };
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let entry = |entry: &Value| {
        assert_eq!(entry["method"], 0, "{entry}");
        Entry {
            name: entry["name"].as_str().unwrap().to_owned(),
            size: entry["size"].as_u64().unwrap(),
            flags: entry["flags"].as_u64().unwrap(),
        }
    };
    listed.as_array().unwrap().iter().map(entry).collect()
}

/// What the program prints about the file; nothing, and said loudly, without the program.
pub fn program(name: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(name)
        .args(arguments)
        .arg(file)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output();
    let Ok(output) = output else {
        left_out(name, "it is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}\n{wrong}");
    Some(said)
}

/// Keeps the zip, whose length has to be the one that was announced.
pub fn keep(app: &TestApp, reply: &Reply) -> PathBuf {
    assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    assert_eq!(reply.header("content-type"), "application/zip");
    let file = app.folder().join("received.zip");
    std::fs::write(&file, &reply.body).unwrap();
    file
}

/// Names in the zip of that address, in their order.
pub async fn names(app: &TestApp, browser: &Browser, address: &str) -> Vec<String> {
    let reply = browser.get(address).await.expect(200);
    let entries = read(&keep(app, &reply));
    entries.into_iter().map(|entry| entry.name).collect()
}

/// The form of a selection.
pub fn form<P: AsRef<str>>(paths: &[P]) -> String {
    let pairs = paths.iter().map(|path| ("path", path.as_ref()));
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// Posts it as a page of ours does.
pub async fn select<P: AsRef<str>>(browser: &Browser, paths: &[P]) -> Reply {
    let kind = "application/x-www-form-urlencoded";
    browser.post("/api/zip", kind, form(paths)).await
}

/// A zip that is under way: its client has the head of the answer, and the announced length.
pub async fn begin(app: &TestApp, browser: &Browser, address: &str) -> (Wire, u64) {
    let mut wire = Wire::open(app).await;
    let request = raw::request("GET", address, &[("Cookie", &raw::cookie(browser))]);
    assert!(wire.send(&request).await);
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head.split_once("content-length: ").unwrap().1;
    let length = length.split_once("\r\n").unwrap().0.parse().unwrap();
    (wire, length)
}
