//! The beginning of a file as text.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// So many bytes of it are shown.
pub const MOST: usize = 256 * 1024;

/// The beginning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// As characters.
    pub text: String,
    /// Bytes that were read.
    pub bytes: usize,
    /// Whether there is more.
    pub is_cut: bool,
}

/// Reads it; `None` for what is no text.
///
/// # Errors
/// The system's.
pub fn read(file: &File) -> std::io::Result<Option<Beginning>> {
    let mut bytes = vec![0; MOST + 1];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    let is_cut = length > MOST;
    bytes.truncate(length.min(MOST));
    Ok(decode(&bytes, is_cut).map(|text| Beginning {
        text,
        bytes: bytes.len(),
        is_cut,
    }))
}

/// UTF-8, or else Latin-1, in which every byte is a character. No text holds a NUL.
fn decode(bytes: &[u8], is_cut: bool) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        // The cut went through a character.
        Err(error) if is_cut && error.error_len().is_none() => {
            Some(String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned())
        }
        Err(_) => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_utf8_or_else_latin_1() {
        let decoded = |bytes: &[u8], is_cut| decode(bytes, is_cut);
        assert_eq!(decoded("Größe".as_bytes(), false).as_deref(), Some("Größe"));
        assert_eq!(decoded(b"Gr\xf6\xdfe", false).as_deref(), Some("Größe"));
        assert_eq!(decoded(b"\xef\xbb\xbfa", false).as_deref(), Some("a"));
        assert_eq!(decoded(b"a\xc3", true).as_deref(), Some("a"));
        assert_eq!(decoded(b"a\xc3", false).as_deref(), Some("aÃ"));
        assert_eq!(decoded(b"PK\x03\x04\x00", false), None);
        assert_eq!(decoded(b"", false).as_deref(), Some(""));
    }
}
