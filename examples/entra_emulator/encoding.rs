//! Small encodings that every other part needs: base64url, identifiers, the clock as Entra prints it,
//! HTML escaping. Apart so that the emulator asks for no crate that the portal does not use already.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::cookie::time::OffsetDateTime;
use aws_lc_rs::rand;

use super::state::Form;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 in the URL alphabet, without padding.
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[word >> (18 - 6 * place) & 63]));
        }
    }
    text
}

/// Reads base64 in either alphabet, padded or not; `None` for anything else.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let letter = match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        word = (word << 6 | u32::try_from(value).ok()?) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing sensible can follow.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    assert!(rand::fill(&mut bytes).is_ok(), "no randomness to be had");
    bytes
}

/// A fresh random GUID.
pub fn guid() -> String {
    let mut bytes = random::<16>();
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let digits = hex(&bytes);
    let groups = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    groups.join("-")
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}

/// The present moment as Entra writes it into errors: `2026-01-31 09:05:00Z`.
pub fn timestamp() -> String {
    let (date, time) = (
        OffsetDateTime::now_utc().date(),
        OffsetDateTime::now_utc().time(),
    );
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = time.as_hms();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Text made safe for element content and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The fields of a query string or of a form's body; of fields given twice the last one counts.
pub fn fields(encoded: &[u8]) -> Form {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}
