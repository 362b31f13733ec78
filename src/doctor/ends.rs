//! Ends of life: of what proves the portal to Entra, and of its own TLS.

use super::Finding;
use crate::clock;
use crate::radar::Ending;

pub fn end_of_life(ending: &Ending) -> Finding {
    const CHECK: &str = "end of life";
    let variable = ending.variable;
    let now = clock::now();
    if let Some(notice) = ending.notice(now) {
        let (says, cure) = notice
            .sentence
            .split_once(": ")
            .unwrap_or((&notice.sentence, ""));
        return match notice.is_late {
            true => Finding::fail(CHECK, says, cure),
            false => Finding::warn(CHECK, says, cure),
        };
    }
    match ending.days_left(now) {
        Some(days) => Finding::ok(CHECK, format!("{variable} is good for {days} days")),
        None if variable == "APP_REG_CLIENT_SECRET" => Finding::warn(
            CHECK,
            "nobody knows when the client secret expires",
            "set APP_REG_CLIENT_SECRET_EXPIRES_ON to the day that Certificates & secrets shows, and you are warned in time",
        ),
        None => Finding::ok(CHECK, format!("{variable} names no end")),
    }
}
