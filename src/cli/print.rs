//! Standard output: data, and nothing else. A reader that has seen enough (`| head`) ends the command quietly.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

/// One line of text.
pub fn line(text: &str) -> Result<(), String> {
    written(writeln!(io::stdout(), "{text}"))
}

/// A text of another program's as part of a line: with signs that would end it or steer the terminal written out.
pub fn plain(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_control) {
        true => Cow::Owned(text.escape_debug().to_string()),
        false => Cow::Borrowed(text),
    }
}

/// One JSON value on a line of its own.
pub fn json(value: &Value) -> Result<(), String> {
    line(&value.to_string())
}

/// Several bytes as they are.
pub fn raw(bytes: &[u8]) -> Result<(), String> {
    written(io::stdout().write_all(bytes))
}

fn written(result: io::Result<()>) -> Result<(), String> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| format!("standard output: {error}")),
    }
}
