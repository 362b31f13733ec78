//! The disk is looked at while a form arrives: how long it is may not have been told, and what was promised to uploads
//! meanwhile is not its to take.

use super::uploads::store;
use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::files::hidden;
use crate::files::incoming::Folder;

/// Bytes that arrive between two looks, where there is room for many times as much.
const STRIDE: u64 = 16 * 1024 * 1024;
/// No more than this part of the room is used up before the next look.
const PART: u64 = 8;

/// Room for a file that arrives.
pub struct Room<'a> {
    state: &'a State,
    beside: Option<Folder>,
    promised: u64,
    /// Bytes that may come before the next look.
    left: u64,
}

impl<'a> Room<'a> {
    /// For a file that is written beside its target, or into the hidden folder. Looks at nothing yet.
    pub fn new(state: &'a State, beside: Option<Folder>) -> Self {
        Self {
            state,
            beside,
            promised: 0,
            left: 0,
        }
    }

    /// Refuses bytes that would take what is kept free, or was promised to others.
    ///
    /// # Errors
    /// 507.
    pub async fn take(&mut self, bytes: u64) -> AppResult<()> {
        if bytes > self.left {
            self.ask().await;
            let room = self.room().await?;
            if bytes > room {
                return Err(AppError::NoSpace);
            }
            self.left = STRIDE.min(room / PART).max(bytes);
        }
        self.left -= bytes;
        Ok(())
    }

    async fn room(&mut self) -> AppResult<u64> {
        let files = &self.state.files;
        match hidden::room(files, self.beside.clone(), self.promised).await {
            // The folder was renamed meanwhile; what that means for the file is said at the end.
            Err(_) if self.beside.take().is_some() => {
                hidden::room(files, None, self.promised).await
            }
            room => room,
        }
    }

    /// What was promised. A form outlives a database that is away for a moment, so the last answer serves then.
    async fn ask(&mut self) {
        let asked = async {
            let mut conn = self.state.db.conn().await?;
            store::promised(&mut conn).await
        };
        match asked.await {
            Ok(promised) => self.promised = promised,
            Err(error) => log::debug!("what is promised to uploads is not known: {error}"),
        }
    }
}

/// Refuses bytes for which there is no room beside those that were promised to uploads.
///
/// # Errors
/// 507.
pub(super) async fn check_room(state: &State, beside: Option<Folder>, bytes: u64) -> AppResult<()> {
    let mut conn = state.db.conn().await?;
    let promised = store::promised(&mut conn).await?;
    drop(conn);
    hidden::check_room(&state.files, beside, bytes, promised).await
}
