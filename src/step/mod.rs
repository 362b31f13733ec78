//! The one step of which every change of the disk is made: renaming, deleting, bringing back, publishing.
//!
//! What is going to be renamed is written down first, in a transaction of its own; then one transaction changes the rows,
//! crosses that note out, and renames as its last act. As long as the note stands the change was not made, and whoever
//! finds it takes the rename back ([`mender`]). Until then the rules of a folder are in force for both its names.
//!
//! A note tells a file or folder by its inode, so it must not stand any more when another change puts the same one in the
//! same place: it is only written while the file is where it was, and whoever moves that crosses the note out.
//!
//! Object storage has no rename, and is too far away for a transaction: its changes are written down in [`stored`].

mod begun;
mod disk;
pub mod mender;
pub mod stored;

use crate::app::State;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::{ItemPath, incoming, moving, random_name};

/// A rename; all paths are relative to FILES_DIR, and places in the trash are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it is.
    pub from: String,
    /// Where it shall be.
    pub to: String,
    /// Which file or folder it is.
    pub inode: u64,
    /// The second name of what it replaces, if it may replace something.
    pub aside: Option<String>,
}

/// Renames with the rows that `rows` changes. `rows` runs under [all locks](lock_all), and looks again whether
/// everything is still as it was when the step was made.
///
/// # Errors
/// As [`written_down`]; 409 for a name that is taken.
pub async fn carry_out<T>(
    state: &State,
    step: &Step,
    rows: impl AsyncFnOnce(&mut Conn) -> AppResult<T>,
) -> AppResult<T> {
    written_down(state, step, async |conn: &mut Conn| {
        lock_all(conn).await?;
        let value = rows(conn).await?;
        let step = step.clone();
        let rename = move |dir: &cap_std::fs::Dir| {
            if moving::inode(dir, &step.from)? != Some(step.inode) {
                return Err(AppError::NotFound);
            }
            moving::rename(dir, &step.from, &step.to)
                .map_err(|error| moving::refused(error, &step.to))
        };
        state.files.run(rename).await?;
        Ok(value)
    })
    .await
}

/// Makes a change, rows first and then the rename, with a note of it from before its beginning to its end. It runs under
/// [`Lock::Publish`], in the transaction that crosses the note out.
///
/// # Errors
/// What `change` returned, the disk's, the database's. Nothing has changed then; if the database does not even say whether
/// it has, the [`mender`] asks on.
pub async fn written_down<T>(
    state: &State,
    step: &Step,
    change: impl AsyncFnOnce(&mut Conn) -> AppResult<T>,
) -> AppResult<T> {
    let id = random_name()?;
    let is_noted = note(state, &id, step).await?;
    // The rules of a folder are in force for its new name from now on.
    let has_rules = ItemPath::parse(&step.from).is_some();
    if has_rules {
        state.files.rules.forget();
    }
    if !is_noted {
        return Err(lost(step));
    }
    let done = state
        .db
        .exclusive(Lock::Publish, async |conn: &mut Conn| {
            let is_open = match step.aside {
                Some(_) => begun::mark_done(conn, &id).await?,
                None => begun::end(conn, &id).await?,
            };
            if !is_open {
                return Err(overtaken());
            }
            let mut others = begun::all(conn).await?;
            others.retain(|note| note.id != id);
            mender::make_way(conn, &state.files, step, &others).await?;
            mender::overtake(conn, step, &others).await?;
            change(conn).await
        })
        .await;
    match (&done, &step.aside) {
        (Ok(_), None) => {}
        (Ok(_), Some(aside)) => mender::tidy_up(state, &id, aside).await,
        (Err(_), _) => mender::mend_soon(state, &id).await,
    }
    if has_rules {
        state.files.rules.forget();
    }
    done
}

/// Writes the step down, and returns whether it was: not when what shall be renamed is not there any more.
async fn note(state: &State, id: &str, step: &Step) -> AppResult<bool> {
    let work = async |conn: &mut Conn| {
        let others = begun::all(conn).await?;
        mender::make_way(conn, &state.files, step, &others).await?;
        let from = step.from.clone();
        let found = state.files.run(move |dir| Ok(moving::inode(dir, &from)?));
        if found.await? != Some(step.inode) {
            return Ok(false);
        }
        begun::note(conn, id, step).await?;
        Ok(true)
    };
    state.db.exclusive(Lock::Publish, work).await
}

/// Takes what must not change meanwhile, beside [`Lock::Publish`]: the index and the rules of folders. Always in this order.
///
/// # Errors
/// The database's.
pub async fn lock_all(conn: &mut Conn) -> AppResult<()> {
    conn.lock(Lock::Index).await?;
    conn.lock(Lock::FolderRules).await?;
    Ok(())
}

/// What was to be renamed is gone. A file that came with a form can only have gone along with its folder.
fn lost(step: &Step) -> AppError {
    match incoming::is_unfinished(&step.from) {
        true => overtaken(),
        false => AppError::NotFound,
    }
}

fn overtaken() -> AppError {
    AppError::Conflict(
        "Something else was changed there at the same moment, and this was not done. Look at the list of files, and try again if it is still needed."
            .to_owned(),
    )
}
