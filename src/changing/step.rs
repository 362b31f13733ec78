//! The one step of which every change is made: a note, then rows and rename in one transaction.

use super::{begun, mender};
use crate::app::State;
use crate::db::{Conn, DbError, Lock};
use crate::error::{AppError, AppResult};
use crate::files::{moving, random_name};

/// A rename; both paths are relative to FILES_DIR, and places in the trash are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it is.
    pub from: String,
    /// Where it shall be.
    pub to: String,
    /// Which file or folder it is.
    pub inode: u64,
}

/// Carries it out with the rows that `rows` changes. `rows` runs under [all locks](lock_all), and looks again whether
/// everything is still as it was when the step was made.
///
/// # Errors
/// What `rows` returned, 409 for a name that is taken, the disk's, the database's. Nothing has changed then; if the
/// database does not even say whether it has, the [`mender`] asks on.
pub async fn carry_out<T>(
    state: &State,
    step: &Step,
    rows: impl AsyncFnOnce(&mut Conn) -> AppResult<T>,
) -> AppResult<T> {
    let id = random_name()?;
    state
        .db
        .transaction::<_, DbError>(async |conn: &mut Conn| begun::note(conn, &id, step).await)
        .await?;
    let done = state
        .db
        .exclusive(Lock::Publish, async |conn: &mut Conn| {
            lock_all(conn).await?;
            if !begun::cross_out(conn, &id).await? {
                return Err(late());
            }
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
        .await;
    if done.is_err() {
        mender::mend_soon(state, &id).await;
    }
    done
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

fn late() -> AppError {
    AppError::Conflict(
        "The portal was too busy for this change, and nothing was done. Try again.".to_owned(),
    )
}
