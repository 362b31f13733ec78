//! Changes of roles that an admin asks for. A form may arrive slowly, and others may be before it: what counts is whether
//! its sender is an admin when it is its turn.

use crate::app::State;
use crate::auth::gate;
use crate::auth::user::Admin;
use crate::db::{Conn, DbError, Lock};
use crate::error::{AppError, AppResult};
use crate::roles::Role;
use crate::roles::change::ChangeError;

/// Why nothing was changed: the sender's fault, or the form's.
enum Undone {
    Sender(AppError),
    Form(ChangeError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Form(error.into())
    }
}

/// Runs `work` in a transaction that holds [`Lock::Roles`].
///
/// # Errors
/// 401 and 403 when the sender may not any more. What the inner result says is of the change; nothing was changed then.
pub async fn change<T>(
    state: &State,
    admin: &Admin,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, ChangeError>,
) -> AppResult<Result<T, ChangeError>> {
    let done = state.db.exclusive(Lock::Roles, async |conn: &mut Conn| {
        let checked = gate::check_now(conn, admin, Role::Admin).await;
        checked.map_err(Undone::Sender)?;
        work(conn).await.map_err(Undone::Form)
    });
    match done.await {
        Ok(done) => Ok(Ok(done)),
        Err(Undone::Form(error)) => Ok(Err(error)),
        Err(Undone::Sender(error)) => Err(error),
    }
}
