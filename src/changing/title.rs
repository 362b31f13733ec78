//! The line that says what a file is.

use actix_web::web;

use super::relocate::Eyes;
use super::{Shown, item};
use crate::app::{State, finish};
use crate::audit::{self, Action, Actor, Event};
use crate::auth::gate;
use crate::auth::user::Editor;
use crate::db::{Conn, Lock};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::index;
use crate::roles::Role;
use crate::step::lock_all;

/// What the file was when its new title was thought of; what is not said is not compared.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// `If-Match`.
    pub etag: Option<String>,
    /// The title that it had.
    pub title: Option<Option<String>>,
}

/// Gives a file another title, or none.
///
/// # Errors
/// 404; 412 when it is not as it was `seen`; 422 for a folder, which has no title.
pub async fn retitle(
    state: &web::Data<State>,
    editor: &Editor,
    asked: &ItemPath,
    title: Option<String>,
    seen: Seen,
) -> AppResult<Shown> {
    let (state, editor, asked) = (state.clone(), editor.clone(), asked.clone());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let eyes = Eyes::of(&state, &editor.person).await?;
        let thing = item::find(&state, &eyes.sight, &asked).await?;
        item::index(&state, &thing).await?;
        let changed = state
            .db
            .exclusive(Lock::Publish, async |conn: &mut Conn| {
                lock_all(conn).await?;
                let eyes = Eyes::now(conn, &editor.person).await?;
                let thing = item::find(&state, &eyes.sight, &asked).await?;
                thing.expect(seen.etag.as_deref())?;
                if thing.is_folder {
                    return Err(AppError::Unprocessable(
                        "A folder has a name and no title. Rename it instead.".to_owned(),
                    ));
                }
                if let Some(seen) = seen.title
                    && seen != index::store::title_of(conn, &thing.path).await?
                {
                    return Err(AppError::Changed);
                }
                write_down(conn, &editor.actor(), &thing.path, title).await?;
                Ok(thing.path)
            })
            .await?;
        item::shown(&state, &eyes.sight, &changed).await
    })
    .await
}

/// Writes a title down, with its audit row.
///
/// # Errors
/// 404 for a file that the index does not hold; the database's.
pub async fn write_down(
    conn: &mut Conn,
    actor: &Actor,
    path: &ItemPath,
    title: Option<String>,
) -> AppResult<()> {
    let before = index::store::titled(conn, path, title.as_deref()).await?;
    let before = before.ok_or(AppError::NotFound)?;
    let event = Event::new(Action::TitleChanged, path.as_str(), "changed")
        .with("before", before)
        .with("after", title);
    Ok(audit::record(conn, actor, &event).await?)
}
