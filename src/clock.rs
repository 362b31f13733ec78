//! Time as the tables keep it (microseconds since 1970, UTC) and as people read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;

/// The present moment in microseconds since 1970, UTC.
pub fn now() -> i64 {
    micros(SystemTime::now())
}

/// A system time in microseconds since 1970, UTC; times before 1970 count as 1970.
pub fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in microseconds.
pub fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// `2026-11-24T08:15:00Z`: RFC 3339, UTC, whole seconds.
pub fn rfc3339(micros: i64) -> String {
    Timestamp::from_second(micros.div_euclid(SECOND))
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// Midnight UTC at the beginning of a day such as `2027-05-24`, in seconds since 1970.
pub fn seconds_of_date(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.trim().parse().ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_second())
}

/// `2026-11-24T08:15:00.123456Z`: as [`rfc3339`], to the microsecond.
pub fn rfc3339_micros(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .map(|time| format!("{time:.6}"))
        .unwrap_or_default()
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7), in seconds since 1970.
pub fn seconds_of_http_date(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp().as_second())
}

/// How long ago in words for a list: `just now`, `5 minutes ago`, `yesterday`, `6 Nov`, `6 Nov 2024`.
pub fn ago(micros: i64, now: i64) -> String {
    let seconds = (now - micros) / SECOND;
    let date = |moment: i64| {
        Timestamp::from_second(moment.div_euclid(SECOND))
            .unwrap_or_default()
            .to_zoned(TimeZone::UTC)
    };
    let plural = |count: i64, unit: &str| match count {
        1 => format!("1 {unit} ago"),
        _ => format!("{count} {unit}s ago"),
    };
    let (then, today) = (date(micros), date(now));
    let days = (today.date() - then.date()).get_days();
    match seconds {
        ..-60 => then.strftime("%-d %b %Y").to_string(),
        -60..60 => "just now".to_owned(),
        60..3600 => plural(seconds / 60, "minute"),
        3600..86_400 if days == 0 => plural(seconds / 3600, "hour"),
        _ if days <= 1 => "yesterday".to_owned(),
        _ if days < 7 => plural(days.into(), "day"),
        _ if then.year() == today.year() => then.strftime("%-d %b").to_string(),
        _ => then.strftime("%-d %b %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_words() {
        let now = 1_795_507_200 * SECOND; // 2026-11-24T08:00:00Z
        let before = |seconds: i64| ago(now - seconds * SECOND, now);
        assert_eq!(rfc3339(now), "2026-11-24T08:00:00Z");
        assert_eq!(before(5), "just now");
        assert_eq!(before(60), "1 minute ago");
        assert_eq!(before(7200), "2 hours ago");
        assert_eq!(before(10 * 3600), "yesterday");
        assert_eq!(before(3 * 86_400), "3 days ago");
        assert_eq!(before(18 * 86_400), "6 Nov");
        assert_eq!(before(400 * 86_400), "20 Oct 2025");
        assert_eq!(before(-86_400), "25 Nov 2026");
    }
}
