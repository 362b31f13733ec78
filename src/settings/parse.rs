//! Turns the text of one value into a typed one: durations, sizes, rates, switches. No variable names here.

use std::num::NonZeroU32;
use std::time::Duration;

/// `true`, `1`, `t`, `yes`, `on` and their opposites, in any case.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "on" => Ok(true),
        "false" | "0" | "f" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A whole number with a unit: `90s`, `15m`, `24h`, `7d`. A bare number means seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a duration such as 300s, 15m, 24h or 7d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(unit)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// A size in bytes: `10GiB`, `500MB`, `1048576`.
pub fn size(text: &str) -> Result<u64, String> {
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        _ => Err("must be a size such as 500MB or 10GiB".to_owned()),
    }
}

/// So many events per span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many events are let through in one span.
    pub events: NonZeroU32,
    /// The span.
    pub per: Duration,
}

/// A rate: `600/min`, `10/s`, `1000/h`.
pub fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || "must be a rate such as 10/s, 600/min or 5000/h".to_owned();
    let (events, unit) = text.split_once('/').ok_or_else(wrong)?;
    let events = events.trim().parse().map_err(|_| wrong())?;
    let per = match unit.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Rate {
        events,
        per: Duration::from_secs(per),
    })
}

/// Hexadecimal digits to bytes; at least 64 digits, as `openssl rand -hex 32` prints them.
pub fn cookie_secret(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim().as_bytes();
    if digits.len() < 64
        || !digits.len().is_multiple_of(2)
        || !digits.iter().all(u8::is_ascii_hexdigit)
    {
        return Err(
            "must be at least 64 hexadecimal digits; make one with `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        other => other.to_ascii_lowercase() - b'a' + 10,
    };
    Ok(digits
        .chunks_exact(2)
        .map(|pair| nibble(pair[0]) << 4 | nibble(pair[1]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(duration("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("300"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "h", "1w", "-5s", "1.5h", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_rates_are_read_with_their_unit() {
        assert_eq!(size("10GiB"), Ok(10 << 30));
        assert_eq!(size("1000"), Ok(1000));
        assert!(size("0").is_err() && size("much").is_err());
        assert_eq!(rate("600/min").map(|rate| rate.per.as_secs()), Ok(60));
        for wrong in ["600", "0/s", "a/s", "5/week", "/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cookie_secret_is_long_and_hexadecimal() {
        assert_eq!(
            cookie_secret(&"0aF1".repeat(16)).map(|key| key.len()),
            Ok(32)
        );
        for wrong in [
            "",
            "ab",
            "change-me-in-production",
            &"g".repeat(64),
            &"a".repeat(65),
        ] {
            assert!(cookie_secret(wrong).is_err(), "{wrong}");
        }
    }
}
