//! Names that come in: by publishing, by renaming, for a new folder. What another system cannot hold is refused with the
//! reason, since whoever mounts the folder or unpacks it elsewhere would lose the file. What is on the disk already under
//! such a name stays served, and can be renamed away.

use std::fmt;

use cap_std::fs::Dir;
use unicode_normalization::UnicodeNormalization;

use super::{ItemPath, absent_or};
use crate::error::{AppError, AppResult};
use crate::rules::Sight;

/// Longer paths, in bytes, are served but not listed: they would not fit into an index of Postgres.
pub const LONGEST_PATH: usize = 1_024;
/// In bytes, as ext4, XFS and APFS have it.
const LONGEST_NAME: usize = 255;
/// Windows takes none of these; `/` parts names everywhere.
const FORBIDDEN: [char; 9] = ['<', '>', ':', '"', '|', '?', '*', '\\', '/'];
/// Windows keeps these for devices, in any case and with any ending.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is empty.
    Empty,
    /// It begins with a dot: hidden names are never served.
    Hidden,
    /// It is longer than 255 bytes.
    TooLong,
    /// With its folders it is longer than an index can hold.
    TooDeep,
    /// It holds a character that is not seen, or turns the direction of writing, which makes `fdp.exe` look like `exe.pdf`.
    Unseen,
    /// It holds a character that Windows does not take.
    Forbidden(char),
    /// It begins or ends with a space, or ends with a dot; Windows drops those.
    Edge,
    /// Windows keeps it for a device.
    Device,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Hidden => f.write_str("it begins with a dot, which hides it"),
            Self::TooLong => f.write_str("it is longer than 255 bytes"),
            Self::TooDeep => f.write_str("with all its folders it is longer than 1,024 bytes"),
            Self::Unseen => f.write_str("it holds a character that cannot be seen"),
            Self::Forbidden(c) => write!(f, "it holds “{c}”, which Windows does not take"),
            Self::Edge => f.write_str("it begins or ends with a space, or ends with a dot"),
            Self::Device => f.write_str("Windows keeps it for a device"),
        }
    }
}

impl Wrong {
    /// 422 about `what`, such as “The file's name”.
    pub fn of(self, what: &str) -> AppError {
        AppError::Unprocessable(format!("{what} cannot be used: {self}. Choose another."))
    }
}

/// Whether a name that comes in can be used on every system.
///
/// # Errors
/// The first reason why not.
pub fn check(name: &str) -> Result<(), Wrong> {
    if name.is_empty() {
        return Err(Wrong::Empty);
    }
    if name.starts_with('.') {
        return Err(Wrong::Hidden);
    }
    if name.len() > LONGEST_NAME {
        return Err(Wrong::TooLong);
    }
    if name.chars().any(is_unseen) {
        return Err(Wrong::Unseen);
    }
    if let Some(c) = name.chars().find(|c| FORBIDDEN.contains(c)) {
        return Err(Wrong::Forbidden(c));
    }
    if name.trim() != name || name.ends_with('.') {
        return Err(Wrong::Edge);
    }
    match is_device(name) {
        true => Err(Wrong::Device),
        false => Ok(()),
    }
}

/// The folder that was typed; `None` for the root. Whether its names can be used is looked at where it is found out
/// which of them are there already.
///
/// # Errors
/// 422 for what is no folder's path.
pub fn folder(text: &str) -> AppResult<Option<ItemPath>> {
    let text = text.trim().trim_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |wrong: Wrong| wrong.of("The folder's name");
    let Some(folder) = ItemPath::parse(text) else {
        let first = text.split('/').find_map(|name| check(name).err());
        return Err(wrong(first.unwrap_or(Wrong::TooDeep)));
    };
    check_length(&folder).map_err(wrong)?;
    Ok(Some(folder))
}

/// Whether a whole path fits into the index.
///
/// # Errors
/// [`Wrong::TooDeep`].
pub fn check_length(path: &ItemPath) -> Result<(), Wrong> {
    match path.as_str().len() > LONGEST_PATH {
        true => Err(Wrong::TooDeep),
        false => Ok(()),
    }
}

/// Refuses names whose ending is none of `kinds`, those of `UPLOAD_KINDS`; none at all stands for every ending.
///
/// # Errors
/// 422 with those that are taken.
pub fn check_kind(kinds: &[String], name: &str) -> AppResult<()> {
    let name = name.to_lowercase();
    let has = |kind: &String| {
        let stem = name.strip_suffix(kind.as_str());
        stem.is_some_and(|stem| stem.len() > 1 && stem.ends_with('.'))
    };
    if kinds.is_empty() || kinds.iter().any(has) {
        return Ok(());
    }
    Err(AppError::Unprocessable(format!(
        "The file’s kind is not taken here. Its name has to end in .{}.",
        kinds.join(", .")
    )))
}

/// Control characters, separators of lines, marks of direction (Unicode UAX 9, section 2) and the byte order mark. Those
/// that join letters or emoji stay.
pub fn is_unseen(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Only what stands before the first dot counts: `nul.txt` and `COM1 .tar.gz` are devices as well.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_uppercase();
    let is_port = |port: &str| {
        let mut rest = port.chars();
        matches!(rest.next(), Some('0'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
    };
    let port = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    DEVICES.contains(&stem.as_str()) || port.is_some_and(is_port)
}

/// Names that some system cannot tell apart fold to the same text: case and the composition of letters mean nothing.
pub fn fold(name: &str) -> String {
    // Letter by letter, so that `Maße` stays another word than `Masse`.
    let simple = |c: char| {
        let mut upper = c.to_uppercase();
        let upper = match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => c,
        };
        let mut lower = upper.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(one), None) => one,
            _ => upper,
        }
    };
    name.nfd().map(simple).nfc().collect()
}

/// Refuses a path that would make a name beside another which differs only in case or composition. What is there already
/// under exactly this name is no obstacle here. The caller holds the lock that excludes other changes.
///
/// # Errors
/// 409, which tells the other name if this person may see it.
pub fn check_beside(dir: &Dir, sight: &Sight, path: &ItemPath) -> AppResult<()> {
    check_beside_but(dir, sight, path, None)
}

/// As [`check_beside`], where the name `but` is on its way out of that folder: it may take another spelling of itself.
///
/// # Errors
/// As [`check_beside`].
pub fn check_beside_but(
    dir: &Dir,
    sight: &Sight,
    path: &ItemPath,
    but: Option<&ItemPath>,
) -> AppResult<()> {
    let mut folder: Option<ItemPath> = None;
    for name in path.as_str().split('/') {
        let next = ItemPath::join(folder.as_ref(), name).ok_or(AppError::NotFound)?;
        if dir.symlink_metadata(&next).is_err() {
            // The first name that is not there yet; those after it lie in a folder that is still to be made.
            return match alike(dir, folder.as_ref(), name, but)? {
                Some(other) => Err(clash(sight, folder.as_ref(), name, &other)),
                None => Ok(()),
            };
        }
        folder = Some(next);
    }
    Ok(())
}

/// Another name in `folder` that folds to the same text.
fn alike(
    dir: &Dir,
    folder: Option<&ItemPath>,
    name: &str,
    but: Option<&ItemPath>,
) -> AppResult<Option<String>> {
    let opened = match folder {
        Some(folder) => dir.open_dir(folder).map_err(absent_or)?,
        None => dir.try_clone()?,
    };
    let folded = fold(name);
    let leaves = but
        .filter(|but| but.folder().as_ref() == folder)
        .map(ItemPath::name);
    for entry in opened.entries().map_err(absent_or)? {
        let Ok(other) = entry.map_err(absent_or)?.file_name().into_string() else {
            continue;
        };
        let same = match other.is_ascii() && name.is_ascii() {
            true => other.eq_ignore_ascii_case(name),
            false => fold(&other) == folded,
        };
        if same && other != name && Some(other.as_str()) != leaves {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

fn clash(sight: &Sight, folder: Option<&ItemPath>, name: &str, other: &str) -> AppError {
    let path = ItemPath::join(folder, other);
    let seen = path.is_some_and(|path| sight.shows(path.as_str()));
    AppError::Conflict(match seen {
        true => format!(
            "There is “{other}” already, which some systems cannot tell from “{name}”. Use that name as it stands, or \
             choose another."
        ),
        false => format!("The name “{name}” cannot be used here. Choose another."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in [
            "report.pdf",
            "Übersicht „Q3“.xlsx",
            "mu\u{308}ller.txt",
            "中文报告.pdf",
            "👩\u{200d}👩.zip",
            "می\u{200c}خواهم.txt",
            "100%.txt",
            "a+b&c=d#e;'.txt",
            "-rf",
            "~",
            "console.log",
            "COM10",
            "com",
            "nulls",
            "a.con",
            &"ü".repeat(127),
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_another_system_cannot_hold_are_refused_with_the_reason() {
        for (name, wrong) in [
            ("", Wrong::Empty),
            (".", Wrong::Hidden),
            ("..", Wrong::Hidden),
            (".portcullis", Wrong::Hidden),
            (&"ü".repeat(128), Wrong::TooLong),
            ("tab\t.txt", Wrong::Unseen),
            ("\u{85}", Wrong::Unseen),
            ("a\u{202e}fdp.exe", Wrong::Unseen),
            ("a\u{200f}b", Wrong::Unseen),
            ("a\u{2066}b", Wrong::Unseen),
            ("a\u{feff}b", Wrong::Unseen),
            ("a:b", Wrong::Forbidden(':')),
            ("a/b", Wrong::Forbidden('/')),
            ("a\\b", Wrong::Forbidden('\\')),
            ("what?", Wrong::Forbidden('?')),
            ("<b>", Wrong::Forbidden('<')),
            ("x.", Wrong::Edge),
            ("x..", Wrong::Edge),
            ("x ", Wrong::Edge),
            (" x", Wrong::Edge),
            ("x\u{a0}", Wrong::Edge),
            ("CON", Wrong::Device),
            ("nul.txt", Wrong::Device),
            ("Com1.tar.gz", Wrong::Device),
            ("lpt9 .x", Wrong::Device),
            ("COM¹", Wrong::Device),
            ("conin$", Wrong::Device),
        ] {
            assert_eq!(check(name), Err(wrong), "{name:?}");
        }
    }

    #[test]
    fn names_that_some_system_cannot_tell_apart_fold_alike() {
        for (one, other) in [
            ("Report.PDF", "report.pdf"),
            ("Müller", "mu\u{308}LLER"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("한국", "한국"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        for (one, other) in [("Maße", "Masse"), ("Muller", "Müller"), ("a b", "a  b")] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }
}
