//! The log: lines for people, or one JSON object a line, both on standard error.

use std::io::Write;

use env_logger::Builder;

use crate::clock;
use crate::settings::LogSettings;

/// Starts env_logger. A second start (an embedding program's own logger) is left as it is.
pub fn start(settings: &LogSettings) {
    let mut builder = Builder::new();
    builder.parse_filters(&settings.filter);
    if settings.json {
        builder.format(|buffer, record| {
            let line = serde_json::json!({
                "time": clock::rfc3339(clock::now()),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(buffer, "{line}")
        });
    }
    let _ = builder.try_init();
}
