//! Where a file goes that somebody brings in: the folder that they name, as far as they may see it.

use std::io::ErrorKind;

use cap_std::fs::Dir;

use super::door::{has_name, is_spelled_so};
use super::incoming::{Folder, folder_error};
use super::{ItemPath, absent_or, names};
use crate::error::{AppError, AppResult};
use crate::rules::Sight;

/// A folder to bring a file into.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it really is; it need not be there yet. `None` is the root.
    pub folder: Option<ItemPath>,
    /// The folder itself, or the nearest one above it that is there.
    pub nearest: Folder,
}

impl Target {
    /// Follows links in the name of `folder`, and applies the rules to the name and to the place.
    ///
    /// # Errors
    /// 404 for what this person may not see, 409 where a file is in the way, 422 for what lies outside or cannot be made.
    pub fn resolve(dir: &Dir, sight: &Sight, folder: Option<&ItemPath>) -> AppResult<Self> {
        // Before the disk is asked: what it says of a hidden folder would tell what is in there.
        if !sight.shows(folder.map_or("", ItemPath::as_str)) {
            return Err(AppError::NotFound);
        }
        match Self::look(dir, sight, folder) {
            // It may have been renamed between two looks; then it is a folder that is not there yet.
            Err(AppError::NotFound) => Self::look(dir, sight, folder),
            looked => looked,
        }
    }

    fn look(dir: &Dir, sight: &Sight, folder: Option<&ItemPath>) -> AppResult<Self> {
        let mut nearest = folder.cloned();
        let mut rest = Vec::new();
        let real = loop {
            let Some(path) = nearest else {
                break None;
            };
            match dir.canonicalize(&path) {
                Ok(real) => break Some(ItemPath::from_path(&real).ok_or(AppError::NotFound)?),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    rest.push(path.name().to_owned());
                    nearest = path.folder();
                }
                Err(error) => return Err(folder_error(error)),
            }
        };
        let mut target = real.clone();
        for name in rest.iter().rev() {
            target = Some(ItemPath::join(target.as_ref(), name).ok_or(AppError::NotFound)?);
        }
        let text = |path: &Option<ItemPath>| path.as_ref().map_or("", ItemPath::as_str).to_owned();
        let shown = sight.shows(&text(&target));
        let spelled = match &real {
            Some(real) => is_spelled_so(dir, sight, real)?,
            None => true,
        };
        if !shown || !spelled {
            return Err(AppError::NotFound);
        }
        // Names that are there already are taken as they are.
        for name in &rest {
            names::check(name).map_err(|wrong| wrong.of("The folder's name"))?;
        }
        if let Some(real) = &real
            && !dir.metadata(real).map_err(absent_or)?.is_dir()
        {
            return Err(folder_error(ErrorKind::NotADirectory.into()));
        }
        Ok(Self {
            folder: target,
            nearest: Folder(real),
        })
    }
}

/// A folder as somebody named it who makes a rule for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Where it really is; empty is the root.
    pub path: String,
    /// Whether it is there already.
    pub exists: bool,
}

/// The place that `text` means. Links are followed, since rules are made for places; the spelling has to be that of the
/// disk, also where the file system would take another.
///
/// # Errors
/// A sentence about the text.
pub fn named(dir: &Dir, text: &str) -> Result<Named, String> {
    let text = text.trim().trim_matches('/');
    if text.is_empty() {
        return Ok(Named {
            path: String::new(),
            exists: true,
        });
    }
    let wrong = || no_folder(text);
    let asked = ItemPath::parse(text).ok_or_else(wrong)?;
    let target = Target::resolve(dir, &Sight::everything(), Some(&asked)).map_err(|_| wrong())?;
    let (Some(folder), Folder(nearest)) = (target.folder, target.nearest) else {
        return Err(wrong());
    };
    let mut above: Option<ItemPath> = None;
    for name in nearest.iter().flat_map(|path| path.as_str().split('/')) {
        if !has_name(dir, above.as_ref(), name).unwrap_or(false) {
            return Err(format!(
                "The folder “{text}” is spelled in another way on the disk. Copy its name from the list of files."
            ));
        }
        above = ItemPath::join(above.as_ref(), name);
    }
    Ok(Named {
        exists: nearest.as_ref() == Some(&folder),
        path: folder.to_string(),
    })
}

/// As [`named`], where the files lie in object storage: there are no links, and a folder is there as soon as its name is
/// used.
///
/// # Errors
/// A sentence about the text.
pub fn named_in_storage(text: &str) -> Result<Named, String> {
    let text = text.trim().trim_matches('/');
    if !text.is_empty() && ItemPath::parse(text).is_none() {
        return Err(no_folder(text));
    }
    Ok(Named {
        path: text.to_owned(),
        exists: true,
    })
}

fn no_folder(text: &str) -> String {
    format!("“{text}” is no folder of the portal, such as Finance/2026.")
}
