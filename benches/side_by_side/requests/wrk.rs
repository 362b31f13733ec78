//! The load: wrk on a core of its own, with one thread.

use std::process::Command;
use std::time::Duration;

use super::servers::{Kind, Server};

/// What wrk counted.
#[derive(Debug)]
pub struct Answers {
    pub per_second: f64,
    pub p99_ms: f64,
    /// Errors of sockets, and answers that are neither 2xx nor 3xx.
    pub failed: u64,
}

impl Answers {
    /// A rate is worth nothing when it counts refusals.
    pub fn assert_all_good(&self, kind: Kind) {
        assert_eq!(self.failed, 0, "{}: {self:?}", kind.name());
    }
}

/// What a program accepts, such as curl or a page's `fetch`.
pub const PROGRAM: &str = "*/*";
/// What a browser says that opens a page: only then is it led to the sign-in.
pub const BROWSER: &str = "text/html, */*";

/// Who asks for what.
pub struct Asked<'a> {
    pub path: &'a str,
    pub accept: &'a str,
    pub signed_in: bool,
}

/// The status and the body of one answer.
pub fn once(server: &Server, asked: &Asked) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--write-out", "\n%{http_code}"]);
    let output = said(command, server, asked).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// Asks over so many kept-alive connections.
pub fn run(server: &Server, asked: &Asked, connections: usize, span: Duration) -> Answers {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "wrk", "-t1", "--latency", "--timeout", "10s"]);
    command.arg(format!("-c{connections}"));
    command.arg(format!("-d{}s", span.as_secs()));
    let output = said(command, server, asked).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).unwrap_or_else(|| panic!("wrk said: {text}"))
}

/// With the headers and the address that curl and wrk take alike.
fn said(mut command: Command, server: &Server, asked: &Asked) -> Command {
    if asked.signed_in
        && let Some(cookie) = &server.cookie
    {
        command.args(["-H", &format!("Cookie: {cookie}")]);
    }
    command.args(["-H", &format!("Accept: {}", asked.accept)]);
    command.arg(format!("http://localhost:{}{}", server.port, asked.path));
    command
}

fn read(text: &str) -> Option<Answers> {
    let after = |label: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(label))?;
        line.trim().strip_prefix(label)?.split_whitespace().next()
    };
    let sockets = text.lines().find(|line| line.contains("Socket errors"));
    let numbers = sockets.map_or(0, |line| {
        line.split([' ', ','])
            .filter_map(|word| word.parse::<u64>().ok())
            .sum()
    });
    let refused = after("Non-2xx or 3xx responses:").map_or(Some(0), |text| text.parse().ok())?;
    Some(Answers {
        per_second: after("Requests/sec:")?.parse().ok()?,
        p99_ms: milliseconds(after("99%")?)?,
        failed: numbers + refused,
    })
}

/// `1.20ms`, `730.00us` or `1.05s`.
fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}
