//! `Upload-Metadata`: which file it is and where it shall go. Pairs of a name and a Base64 value, with commas between.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{AppError, AppResult};
use crate::items::fields::{last_name, switch};
use crate::items::form::Typed;

/// Longest, in bytes, that is kept.
const LONGEST: usize = 8_192;

/// What it says, as far as the portal has a use for it.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// `filename`.
    pub name: String,
    /// `folder`, `title`, `overwrite` and `etag`.
    pub typed: Typed,
}

/// Reads the header; names that the portal does not know are passed over.
///
/// # Errors
/// 400 for what is no such header.
pub fn read(header: &str) -> AppResult<Metadata> {
    if header.len() > LONGEST {
        return Err(wrong());
    }
    let mut metadata = Metadata::default();
    let mut seen = Vec::new();
    for pair in header.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if seen.contains(&key) {
            return Err(wrong());
        }
        seen.push(key);
        let value = BASE64_STANDARD.decode(value.trim()).map_err(|_| wrong())?;
        let Ok(value) = String::from_utf8(value) else {
            match key {
                "filename" | "folder" | "title" | "overwrite" | "etag" => return Err(wrong()),
                _ => continue,
            }
        };
        match key {
            "filename" => metadata.name = last_name(&value),
            "folder" => metadata.typed.folder = value,
            "title" => metadata.typed.title = value,
            "overwrite" => metadata.typed.overwrite = switch(&value)?,
            "etag" => metadata.typed.etag = value,
            _ => {}
        }
    }
    Ok(metadata)
}

fn wrong() -> AppError {
    AppError::Unusable(
        "Upload-Metadata has to be pairs of a name and a Base64 value of UTF-8 text, with commas between and no name twice: \
         filename, and where wanted folder, title, overwrite and etag."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_what_is_no_pair_is_refused() {
        // printf 'Über.txt' | base64; printf 'a/b' | base64; printf true | base64
        let read_one =
            read("filename w5xiZXIudHh0,folder YS9i, overwrite dHJ1ZQ==,empty,other /w==").unwrap();
        assert_eq!(read_one.name, "Über.txt");
        assert_eq!(
            (read_one.typed.folder.as_str(), read_one.typed.overwrite),
            ("a/b", true)
        );
        assert_eq!(read("").unwrap().name, "");
        for wrong in [
            "filename not base64",
            "filename YQ==,filename Yg==",
            "filename /w==",
            "folder YQ",
            &"x".repeat(9_000),
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
