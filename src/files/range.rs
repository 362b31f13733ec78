//! Which part of a file a request wants: the `Range` header (RFC 9110 section 14).

use actix_files::HttpRange;
use actix_web::http::header::HeaderValue;

use crate::error::AppError;

/// More ranges than this at once are refused; a hundred small ones are an attack (RFC 9110 section 17.15).
const MOST: usize = 16;
const NONE: &str = "The file is shorter than the part that was asked for, or the part is malformed: \
                    a Range header such as bytes=0-499 asks for the first 500 bytes. Download it from the beginning.";
const TOO_MANY: &str = "More than 16 parts of the file were asked for at once. Ask for one part at a time, \
                        or download it from the beginning.";

/// Consecutive bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Position of the first byte, counted from 0.
    pub first: u64,
    /// How many bytes, at least 1.
    pub length: u64,
}

impl Part {
    /// The value of `Content-Range` in a file of `size` bytes.
    pub fn content_range(&self, size: u64) -> String {
        let last = self.first + self.length - 1;
        format!("bytes {}-{last}/{size}", self.first)
    }
}

/// The part of a file of `size` bytes that the lines of the `Range` header ask for; `None` for all of it. Unknown units are ignored, and several
/// ranges that exist are answered with the whole file, both as RFC 9110 section 14.2 allows.
///
/// # Errors
/// [`AppError::Range`] for what is malformed, not there, or too much at once.
pub fn wanted(lines: &[HeaderValue], size: u64) -> Result<Option<Part>, AppError> {
    let [line, more @ ..] = lines else {
        return Ok(None);
    };
    let text = line.to_str().unwrap_or("bytes");
    let (unit, list) = text.split_once('=').unwrap_or((text, ""));
    if !unit.eq_ignore_ascii_case("bytes") {
        return Ok(None);
    }
    if list.split(',').count() > MOST {
        return Err(AppError::Range(size, TOO_MANY));
    }
    let ranges = HttpRange::parse(text, size).unwrap_or_default();
    match ranges[..] {
        [] => Err(AppError::Range(size, NONE)),
        _ if !more.is_empty() => Err(AppError::Range(size, NONE)),
        // The last so many bytes of an empty file are all that there is, but no part that has a first byte.
        [HttpRange { length: 0, .. }] => Ok(None),
        [HttpRange { start, length }] => Ok(Some(Part {
            first: start,
            length,
        })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn asked(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
        let part = wanted(&[HeaderValue::from_str(range).unwrap()], size).ok()?;
        Some(part.map(|part| (part.first, part.length)))
    }

    #[test]
    fn one_range_that_exists_is_a_part() {
        for (range, part) in [
            ("bytes=0-4", (0, 5)),
            ("bytes=9-", (9, 1)),
            ("bytes=0-", (0, 10)),
            ("bytes=-3", (7, 3)),
            ("bytes=-10", (0, 10)),
            ("bytes=-99", (0, 10)),
            ("bytes=8-18446744073709551615", (8, 2)),
            ("Bytes=0-1", (0, 2)),
            ("bytes=0-1,20-", (0, 2)),
        ] {
            assert_eq!(asked(range, 10), Some(Some(part)), "{range}");
        }
    }

    #[test]
    fn several_ranges_and_unknown_units_are_the_whole_file() {
        for range in ["bytes=0-1,4-5", "bytes=-1, 0-0", "items=0-1", "none"] {
            assert_eq!(asked(range, 10), Some(None), "{range}");
        }
        assert_eq!(asked("bytes=-5", 0), Some(None));
    }

    #[test]
    fn what_does_not_exist_or_makes_no_sense_is_refused() {
        let hundred = format!("bytes={}1-1", "0-0,".repeat(99));
        for range in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=9-3",
            "bytes=0-1,9-3",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
            "bytes=0-99999999999999999999",
            "bytes=-99999999999999999999",
            &hundred,
        ] {
            assert_eq!(asked(range, 10), None, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), None);
    }
}
