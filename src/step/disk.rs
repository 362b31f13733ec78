//! What is taken back on the disk. Each of these may end at any point and be done again.

use std::io;

use cap_std::fs::Dir;

use super::begun::Begun;
use crate::error::{AppError, AppResult};
use crate::files::{incoming, moving};
use crate::rules::BROUGHT_BACK;

fn is_it(dir: &Dir, path: &str, note: &Begun) -> io::Result<bool> {
    let found = moving::inode(dir, path)?;
    if found.is_none_or(|found| found.to_string() != note.inode) {
        return Ok(false);
    }
    // Numbers come round again: what was made after the change was given up is somebody else's.
    let (Some(given_up_at), Some(made_at)) = (note.given_up_at(), moving::made_at(dir, path))
    else {
        return Ok(true);
    };
    Ok(made_at <= given_up_at)
}

/// Where what was renamed goes back to; `None` when it was not renamed.
///
/// # Errors
/// The system's.
pub fn way_back(dir: &Dir, note: &Begun) -> AppResult<Option<String>> {
    let beside = format!("{}{BROUGHT_BACK}", note.source);
    if !is_it(dir, &note.target, note)? {
        // It was brought back already when the transaction that gave it its rules there did not happen.
        return Ok(is_it(dir, &beside, note)?.then_some(beside));
    }
    // Somebody else may have taken the old name past the portal; theirs stays.
    Ok(Some(match moving::inode(dir, &note.source)? {
        Some(_) => beside,
        None => note.source.clone(),
    }))
}

/// Brings it there.
///
/// # Errors
/// The system's, and 409 for a name that is taken.
pub fn bring_back(dir: &Dir, note: &Begun, back: &str) -> AppResult<()> {
    if is_it(dir, back, note)? {
        return Ok(());
    }
    moving::rename(dir, &note.target, back).map_err(|error| moving::refused(error, back))?;
    log::info!(
        "{back} was brought back from {}, since its change was not finished",
        note.target
    );
    Ok(())
}

/// Whether it is a file on its way in.
pub fn is_publication(note: &Begun) -> bool {
    note.aside.is_some() || incoming::is_unfinished(&note.source)
}

/// Takes a publication back: what it replaced is there again, or nothing is, and an upload has its bytes for another try.
/// Returns whether there was something to take back.
///
/// # Errors
/// The system's.
pub fn unpublish(dir: &Dir, note: &Begun) -> AppResult<bool> {
    let is_there = is_it(dir, &note.target, note)?;
    let old = match &note.aside {
        Some(aside) if moving::inode(dir, aside)?.is_some() => Some(aside),
        _ => None,
    };
    if is_there {
        give_bytes_back(dir, note)?;
    }
    match old {
        // Whatever lies there now is the old file itself, or somebody else's.
        Some(aside) if !is_there && moving::inode(dir, &note.target)?.is_some() => {
            dir.remove_file(aside)?;
        }
        Some(aside) => dir.rename(aside, dir, &note.target)?,
        None if is_it(dir, &note.target, note)? => dir.remove_file(&note.target)?,
        None => {}
    }
    let found = is_there || old.is_some();
    if found {
        moving::sync_folder_of(dir, &note.target);
    }
    if is_there {
        log::info!(
            "{} was taken back, since its publication was not finished",
            note.target
        );
    }
    Ok(found)
}

/// A file that came with a form is not wanted any more; one that was uploaded in pieces stays for another try.
fn give_bytes_back(dir: &Dir, note: &Begun) -> AppResult<()> {
    if incoming::is_unfinished(&note.source) || moving::inode(dir, &note.source)?.is_some() {
        return Ok(());
    }
    if let Err(error) = dir.hard_link(&note.target, dir, &note.source) {
        log::debug!("{} cannot have a second name: {error}", note.target);
        moving::rename(dir, &note.target, &note.source).map_err(AppError::from)?;
    }
    Ok(())
}

/// Removes what a publication replaced.
///
/// # Errors
/// The system's.
pub fn tidy(dir: &Dir, aside: &str) -> AppResult<()> {
    match dir.remove_file(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
