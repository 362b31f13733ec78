//! Where a file shall go and under which title, checked before its bytes travel and again when they are there.

use cap_std::fs::Dir;

use super::form::Typed;
use crate::app::State;
use crate::auth::user::Editor;
use crate::error::{AppError, AppResult};
use crate::files::moving::Thing;
use crate::files::names::{self, Wrong};
use crate::files::{ItemPath, Target, incoming};
use crate::rules::Sight;

const LONGEST_TITLE: usize = 200;

/// Where a file shall go and under which title, checked.
pub struct Place {
    /// The file's path.
    pub path: ItemPath,
    pub(super) folder: String,
    pub(super) target: Target,
    pub(super) title: Option<String>,
    pub(super) overwrite: bool,
    /// Entity tag of the only file that may be replaced.
    pub(super) expected: Option<String>,
}

/// Checks name, folder and title, and whether `editor` may publish there.
///
/// # Errors
/// 404 for a folder that they may not see, 422 for a name, folder or title that cannot be.
pub async fn place(state: &State, editor: &Editor, name: &str, typed: &Typed) -> AppResult<Place> {
    let title = title(&typed.title)?;
    let name = checked_name(name)?;
    names::check_kind(&state.settings.files.upload_kinds, name)?;
    let target = target(state, editor, &typed.folder).await?;
    let path = ItemPath::join(target.folder.as_ref(), name)
        .ok_or_else(|| Wrong::TooLong.of("The file's name"))?;
    names::check_length(&path).map_err(|wrong| wrong.of("The file's name"))?;
    // A rule may stand for this very name.
    let sight = state.files.rules.sight(&editor.person).await?;
    if !sight.shows(path.as_str()) {
        return Err(AppError::NotFound);
    }
    Ok(Place {
        path,
        folder: typed.folder.clone(),
        target,
        title,
        overwrite: typed.overwrite,
        expected: typed.expected(),
    })
}

impl Place {
    /// Refuses a name that is taken, before the bytes travel; whether it still is free counts at the end.
    ///
    /// # Errors
    /// 409; 412 when it is not the one that was to be replaced.
    pub async fn check_free(&self, state: &State) -> AppResult<()> {
        let (path, overwrite) = (self.path.clone(), self.overwrite);
        let expected = self.expected.clone();
        let look = move |dir: &Dir| match dir.symlink_metadata(&path) {
            Ok(found) if found.is_dir() => Err(incoming::is_folder(&path)),
            Ok(_) if !overwrite => Err(incoming::taken(&path)),
            _ => check_meant(dir, &path, expected.as_deref()),
        };
        state.files.run(look).await
    }
}

/// Refuses to replace another file than the one that was meant. Whoever asks may see it.
///
/// # Errors
/// 412, also where there is none any more.
pub(super) fn check_meant(dir: &Dir, path: &ItemPath, expected: Option<&str>) -> AppResult<()> {
    if expected.is_none() {
        return Ok(());
    }
    match Thing::find(dir, &Sight::everything(), path) {
        Err(AppError::NotFound) => Err(AppError::Changed),
        found => found?.expect(expected),
    }
}

/// Where the file shall go.
///
/// # Errors
/// 422 for a name that no folder can have; see [`Target::resolve`].
pub(super) async fn target(state: &State, editor: &Editor, folder: &str) -> AppResult<Target> {
    let folder = names::folder(folder)?;
    let sight = state.files.rules.sight(&editor.person).await?;
    state
        .files
        .run(move |dir| Target::resolve(dir, &sight, folder.as_ref()))
        .await
}

pub(super) fn checked_name(name: &str) -> AppResult<&str> {
    names::check(name).map_err(|wrong| wrong.of("The file's name"))?;
    Ok(name)
}

/// The title that was typed, trimmed; nothing for an empty one.
///
/// # Errors
/// 422 for more than one line, or too long a one.
pub fn title(title: &str) -> AppResult<Option<String>> {
    let title = title.trim();
    if title.chars().count() > LONGEST_TITLE || title.chars().any(names::is_unseen) {
        return Err(AppError::Unprocessable(format!(
            "The title has to be one line of at most {LONGEST_TITLE} characters."
        )));
    }
    Ok((!title.is_empty()).then(|| title.to_owned()))
}

/// What arrived lies beside its target, and goes along when that folder is renamed.
pub(super) fn went_along(error: AppError) -> AppError {
    match error {
        AppError::NotFound => renamed_meanwhile(),
        error => error,
    }
}

pub(super) fn renamed_meanwhile() -> AppError {
    AppError::Conflict(
        "The folder was renamed, moved or removed while the file arrived. Look for it in the list of files, and publish there."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::fields::last_name;

    #[test]
    fn targets_stay_inside_and_visible() {
        let folder = |text| names::folder(text).map(|folder| folder.map(|path| path.to_string()));
        assert_eq!(folder("").unwrap(), None);
        assert_eq!(
            folder(" /Finance/2026/ ").unwrap().as_deref(),
            Some("Finance/2026")
        );
        for wrong in [
            "..",
            "a/../..",
            ".portcullis",
            "a//b",
            "a\0b",
            &"a/".repeat(600),
        ] {
            assert!(folder(wrong).is_err(), "{wrong:?}");
        }
        assert!(checked_name("a.txt").is_ok());
        for wrong in ["", "..", ".htaccess", "a\nb", "a/b", "CON", "a:b"] {
            assert!(checked_name(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(last_name("C:\\fakepath\\x.pdf"), "x.pdf");
        assert_eq!(last_name("../../etc/passwd"), "passwd");
    }
}
