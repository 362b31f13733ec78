//! Standard output: data, and nothing else. A reader that has seen enough (`| head`) ends the command quietly.

use std::io::{self, Write};

use serde_json::Value;

/// One line of text.
pub fn line(text: &str) -> Result<(), String> {
    written(writeln!(io::stdout(), "{text}"))
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
