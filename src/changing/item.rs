//! One file or folder: what the disk says of it, and what the index knows besides.

use super::relocate::Eyes;
use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::moving::Thing;
use crate::index::store::Inside;
use crate::index::{self, Item};
use crate::rules::Sight;

/// A file or folder, as pages and JSON show it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the disk says.
    pub thing: Thing,
    /// The row of a file, as far as it is about this content.
    pub row: Option<Item>,
    /// What a folder holds with all that is below, as far as this person may see it.
    pub inside: Inside,
}

impl Shown {
    /// SHA-256, once it is known.
    pub fn sha256(&self) -> Option<&str> {
        let same =
            |row: &&Item| row.size == self.thing.size && row.modified_at == self.thing.modified_at;
        self.row.as_ref().filter(same)?.sha256.as_deref()
    }
}

/// What is at `asked`, for somebody who sees that much.
///
/// # Errors
/// 404 for what is not there or not to be seen.
pub async fn find(state: &State, sight: &Sight, asked: &ItemPath) -> AppResult<Thing> {
    let (sight, asked) = (sight.clone(), asked.clone());
    state
        .files
        .run(move |dir| Thing::find(dir, &sight, &asked))
        .await
}

/// The same with what the index knows.
///
/// # Errors
/// As [`find`]; the database's.
pub async fn shown(state: &State, sight: &Sight, asked: &ItemPath) -> AppResult<Shown> {
    let thing = find(state, sight, asked).await?;
    let mut conn = state.db.conn().await?;
    let rows = index::store::of_paths(&mut conn, &[thing.path.as_str()]).await?;
    // How much lies in a folder would tell of what is hidden below it.
    let inside = match thing.is_folder && !thing.is_link && !sight.hides_below(thing.path.as_str())
    {
        true => index::store::inside(&mut conn, &thing.path).await?,
        false => Inside::default(),
    };
    Ok(Shown {
        row: rows.into_iter().find(|row| row.missing_since == 0),
        thing,
        inside,
    })
}

/// For somebody who asks for it by its path.
///
/// # Errors
/// As [`shown`].
pub async fn asked(state: &State, eyes: &Eyes, path: &ItemPath) -> AppResult<Shown> {
    let shown = shown(state, &eyes.sight, path).await?;
    if shown.row.is_some() || shown.thing.is_folder {
        return Ok(shown);
    }
    index(state, &shown.thing).await?;
    self::shown(state, &eyes.sight, path).await
}

/// Makes sure that the index holds what is going to be changed.
///
/// # Errors
/// The disk's and the database's.
pub async fn index(state: &State, thing: &Thing) -> AppResult<()> {
    let names = [thing.path.name().to_owned()];
    state
        .index
        .look_at(thing.path.folder().as_ref(), &names)
        .await
}

/// 409: somebody else was quicker.
pub fn moved_meanwhile() -> AppError {
    AppError::Conflict(
        "Somebody else changed it at the same moment, so nothing was done. Look at it again."
            .to_owned(),
    )
}
