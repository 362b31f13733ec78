//! What lies on the disk below the folders that go into a zip. The disk is asked and not the index, so that nothing is
//! missing that came a moment ago, and nothing is there that went.

use cap_std::fs::Dir;

use super::MOST_FILES;
use crate::error::{AppError, AppResult};
use crate::files::look::{self, Found};
use crate::files::{Files, ItemPath, resolve};
use crate::rules::Sight;

/// Folders looked at before a zip is given up: a tree of empty ones holds nothing and takes no end.
const MOST_FOLDERS: usize = 100_000;

/// A file that goes into a zip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Under which name it is sent.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
}

/// What somebody selected: files, and folders whose content is meant.
#[derive(Debug, Default)]
pub struct Selected {
    /// The files.
    pub files: Vec<Leaf>,
    /// The folders, where they really are; `None` is the root.
    pub folders: Vec<Option<ItemPath>>,
}

/// Looks at what was selected. A file keeps the name under which it was asked for; a folder is the place where it is, as
/// in the catalogue.
///
/// # Errors
/// 404 for anything that is not there, or that this person may not see.
pub async fn look_at(files: &Files, sight: &Sight, paths: Vec<ItemPath>) -> AppResult<Selected> {
    let sight = sight.clone();
    let look = move |dir: &Dir| {
        let mut selected = Selected::default();
        for path in paths {
            let resolved = resolve(dir, &sight, &path)?;
            let found = look::real(dir, &resolved)?.ok_or(AppError::NotFound)?;
            match found.is_folder {
                true => selected.folders.push(Some(resolved)),
                false => selected.files.push(leaf(&path, &found)),
            }
        }
        Ok(selected)
    };
    files.run(look).await
}

/// Adds all files in `folder` and below to `leaves`: no hidden ones, nothing that `sight` hides, and nothing behind a
/// folder that is a link, which is listed under its own path. `seen` counts the folders that were read for this zip.
///
/// # Errors
/// 413 for too many; the disk's.
pub async fn below(
    files: &Files,
    sight: &Sight,
    folder: Option<ItemPath>,
    leaves: &mut Vec<Leaf>,
    seen: &mut usize,
) -> AppResult<()> {
    let mut waiting = vec![folder];
    while let Some(folder) = waiting.pop() {
        *seen += 1;
        if *seen > MOST_FOLDERS {
            return Err(too_many());
        }
        let sight = sight.clone();
        let read = files
            .run(move |dir| inside(dir, &sight, folder.as_ref()))
            .await?;
        leaves.extend(read.files);
        if leaves.len() > MOST_FILES {
            return Err(too_many());
        }
        waiting.extend(read.folders);
    }
    Ok(())
}

/// The sentence for a zip that would hold too much.
pub fn too_many() -> AppError {
    AppError::TooLarge(
        "A zip holds 100,000 files at most, and these are more. Download the folders in it one by one."
            .to_owned(),
    )
}

fn inside(dir: &Dir, sight: &Sight, folder: Option<&ItemPath>) -> AppResult<Selected> {
    let mut inside = Selected::default();
    let Some(names) = look::names(dir, folder, MOST_FILES + MOST_FOLDERS, false)? else {
        return Ok(inside);
    };
    if names.cut {
        return Err(too_many());
    }
    let behind = look::behind(dir, folder, &names.names)?;
    for (name, found) in names.names.iter().zip(behind) {
        let (Some(path), Some(found)) = (ItemPath::join(folder, name), found) else {
            continue;
        };
        let target = found.target.as_ref().unwrap_or(&path);
        if !sight.shows(path.as_str()) || !sight.shows(target.as_str()) {
            continue;
        }
        match (found.is_folder, &found.target) {
            (false, _) => inside.files.push(leaf(&path, &found)),
            (true, None) => inside.folders.push(Some(path)),
            (true, Some(_)) => {}
        }
    }
    Ok(inside)
}

fn leaf(path: &ItemPath, found: &Found) -> Leaf {
    Leaf {
        path: path.to_string(),
        size: u64::try_from(found.size).unwrap_or(0),
        modified_at: found.modified_at,
    }
}
