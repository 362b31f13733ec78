//! Time as the tables keep it (microseconds since 1970, UTC) and as people read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

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
    start_of_day(text.trim()).map(|micros| micros / SECOND)
}

/// `2026-11-24T08:15:00.123456Z`: RFC 3339, UTC, to the microsecond.
pub fn rfc3339_exact(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .map(|time| format!("{time:.6}"))
        .unwrap_or_default()
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7), in seconds since 1970.
pub fn seconds_of_http_date(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp().as_second())
}

/// `2026-11-24T08:15:00.000Z` in seconds since 1970.
pub fn seconds_of_rfc3339(text: &str) -> Option<i64> {
    Some(text.parse::<Timestamp>().ok()?.as_second())
}

/// The end of the day `2026-11-24` (UTC), which is the first moment of the next, in microseconds since 1970.
pub fn end_of_day(date: &str) -> Option<i64> {
    day_after(date, 1)
}

/// The first moment of the day `2026-11-24` (UTC) in microseconds since 1970.
pub fn start_of_day(date: &str) -> Option<i64> {
    day_after(date, 0)
}

fn day_after(date: &str, days: i64) -> Option<i64> {
    let is_plain = date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = date.parse().ok().filter(|_| is_plain)?;
    let moment = date
        .checked_add(days.days())
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()?;
    Some(moment.timestamp().as_microsecond())
}

/// The last day that lies wholly before `end`, as `2026-11-24` (UTC): the other way round than [`end_of_day`].
pub fn last_day(end: i64) -> String {
    utc(end - 1).date().to_string()
}

/// Days since 1970 (UTC).
pub fn day(micros: i64) -> i64 {
    micros.div_euclid(SECOND * 86_400)
}

/// A day (counted since 1970, UTC) as people write it in a list: `24 Nov 2026`.
pub fn day_in_words(day: i64) -> String {
    utc(day * 86_400 * SECOND).strftime("%-d %b %Y").to_string()
}

/// The moment as calendar and clock of UTC have it.
pub(crate) fn utc(micros: i64) -> Zoned {
    Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_zoned(TimeZone::UTC)
}

/// How long ago in words for a list: `just now`, `5 minutes ago`, `yesterday`, `6 Nov`, `6 Nov 2024`.
pub fn ago(micros: i64, now: i64) -> String {
    let seconds = (now - micros) / SECOND;
    let plural = |count: i64, unit: &str| match count {
        1 => format!("1 {unit} ago"),
        _ => format!("{count} {unit}s ago"),
    };
    // Days need no calendar, and most of a list is younger than a week.
    let days = day(now) - day(micros);
    let written = |format| utc(micros).strftime(format).to_string();
    match seconds {
        ..-60 => written("%-d %b %Y"),
        -60..60 => "just now".to_owned(),
        60..3600 => plural(seconds / 60, "minute"),
        3600..86_400 if days == 0 => plural(seconds / 3600, "hour"),
        _ if days <= 1 => "yesterday".to_owned(),
        _ if days < 7 => plural(days, "day"),
        _ if utc(micros).year() == utc(now).year() => written("%-d %b"),
        _ => written("%-d %b %Y"),
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

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let end = end_of_day("2026-11-24").unwrap();
        assert_eq!(rfc3339(end), "2026-11-25T00:00:00Z");
        assert_eq!(start_of_day("2026-11-25"), Some(end));
        assert_eq!(last_day(end), "2026-11-24");
        assert_eq!(last_day(end + 1), "2026-11-25");
        assert_eq!(
            (day(end - 1) + 1, day_in_words(day(end))),
            (day(end), "25 Nov 2026".to_owned())
        );
        assert_eq!(rfc3339_exact(end + 12), "2026-11-25T00:00:00.000012Z");
        for wrong in [
            "",
            "tomorrow",
            "2026-02-30",
            "24.11.2026",
            "2026-11-24T10:00",
            "+02026-1-01",
            "9999-12-31",
        ] {
            assert_eq!(end_of_day(wrong), None, "{wrong}");
        }
    }
}
