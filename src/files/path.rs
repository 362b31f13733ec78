//! The path of a file as links and tables hold it: relative to the root, `/` between names, nothing hidden.

use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const LONGEST: usize = 4_000;
const LONGEST_NAME: usize = 255;

/// Unreserved characters of RFC 3986 stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ENCODED_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// A path such as `Finance/2026/report.pdf`: at least one name; no empty name, `.`, `..`, NUL or leading dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemPath(String);

impl ItemPath {
    /// From text with `/` between the names. `None` for what is no such path.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= LONGEST && text.split('/').all(is_name);
        fits.then(|| Self(text.to_owned()))
    }

    /// From the still encoded part of a URL. Each name is decoded once and by itself, so an encoded `/` joins nothing.
    pub fn from_url(encoded: &str) -> Option<Self> {
        let mut names = Vec::new();
        for part in encoded.split('/') {
            let name = percent_decode_str(part).decode_utf8().ok()?;
            if name.contains('/') {
                return None;
            }
            names.push(name.into_owned());
        }
        Self::parse(&names.join("/"))
    }

    /// From a path that the file system resolved.
    pub fn from_path(path: &Path) -> Option<Self> {
        Self::parse(path.to_str()?)
    }

    /// A name inside a folder; `None` for the folder means the root.
    pub fn join(folder: Option<&Self>, name: &str) -> Option<Self> {
        if name.contains('/') {
            return None;
        }
        match folder {
            Some(folder) => Self::parse(&format!("{folder}/{name}")),
            None => Self::parse(name),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The folder that it lies in; `None` for the root.
    pub fn folder(&self) -> Option<Self> {
        let (folder, _) = self.0.rsplit_once('/')?;
        Some(Self(folder.to_owned()))
    }

    /// Address of the download.
    pub fn download_url(&self) -> String {
        format!("/api/files/{}", self.encoded())
    }

    /// The names percent-encoded, for the path of a URL.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, ENCODED_PATH).to_string()
    }
}

/// Percent-encodes for a path segment or a query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.starts_with('.') && !name.contains('\0')
}

impl fmt::Display for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for ItemPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ItemPath;

    #[test]
    fn ordinary_names_pass_and_come_back_from_their_url() {
        for text in [
            "report.pdf",
            "Finance/2026/report 1.pdf",
            "Übersicht „Q3“.xlsx",
            "100%.txt",
            "a+b&c=d?e#f;g'h\"i.txt",
            "日本語/📎.zip",
            "back\\slash",
        ] {
            let path = ItemPath::parse(text).unwrap();
            let url = path.download_url();
            let encoded = url.strip_prefix("/api/files/").unwrap();
            assert!(encoded.is_ascii(), "{encoded}");
            assert_eq!(ItemPath::from_url(encoded), Some(path));
        }
    }

    #[test]
    fn nothing_leads_out_or_to_what_is_hidden() {
        for encoded in [
            "",
            "/",
            "..",
            ".",
            "a/..",
            "a/../b",
            "%2e%2e/etc/passwd",
            "..%2f..%2fetc",
            "a%2Fb",
            "/etc/passwd",
            "%2Fetc/passwd",
            "a//b",
            "a/",
            ".hidden",
            "a/.git/config",
            "%2Ehidden",
            "a%00b",
            "a%FFb",
            "%C3%28",
        ] {
            assert_eq!(ItemPath::from_url(encoded), None, "{encoded}");
        }
        assert_eq!(ItemPath::parse(&"a".repeat(256)), None);
        assert_eq!(ItemPath::join(None, "a/b"), None);
    }
}
