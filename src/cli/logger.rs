//! The log: lines for people, or one JSON object a line, both on standard error.

use std::fmt;
use std::io::{IsTerminal, Write};

use env_logger::{Builder, Target, WriteStyle};
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

use crate::clock;
use crate::settings::LogSettings;

/// Starts env_logger. A second start (an embedding program's own logger) is left as it is.
pub fn start(settings: &LogSettings) {
    let mut builder = Builder::new();
    builder.parse_filters(&settings.filter);
    if settings.json {
        builder.format(|buffer, record| writeln!(buffer, "{}", json(record)));
    } else if !std::io::stderr().is_terminal() {
        builder.format(|buffer, record| writeln!(buffer, "{}", Plain(record)));
    }
    if !std::io::stderr().is_terminal() {
        // Without these every line is searched for colours, which there are none of, and the system is asked for each line
        // whether a terminal shows it.
        builder.write_style(WriteStyle::Always);
        builder.target(Target::Pipe(Box::new(std::io::stderr())));
    }
    let _ = builder.try_init();
}

/// A line as env_logger writes it, without colours.
struct Plain<'a>(&'a log::Record<'a>);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, record) = (clock::rfc3339(clock::now()), self.0);
        let (level, target) = (record.level(), record.target());
        write!(f, "[{time} {level:5} {target}] {}", record.args())
    }
}

/// One line: what every record has, and beside it the facts that this one carries.
fn json(record: &log::Record<'_>) -> serde_json::Value {
    let mut line = Map::new();
    let mut add = |name: &str, text: String| line.insert(name.to_owned(), text.into());
    add("time", clock::rfc3339_exact(clock::now()));
    add("level", record.level().as_str().to_owned());
    add("target", record.target().to_owned());
    add("message", record.args().to_string());
    let mut facts = Facts(line);
    // A fact that cannot be shown is left out; the message has been written by then.
    let _ = record.key_values().visit(&mut facts);
    facts.0.into()
}

struct Facts(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Facts {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let shown = match (value.to_u64(), value.to_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => value.to_string().into(),
        };
        self.0.insert(key.to_string(), shown);
        Ok(())
    }
}
