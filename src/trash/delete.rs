//! Deleting: into the trash.

use actix_web::web;

use super::store::{self, Deleted, Entry};
use crate::app::{State, finish};
use crate::audit::{self, Action, Event};
use crate::auth::gate;
use crate::auth::user::{CurrentUser, Editor};
use crate::changing::item;
use crate::changing::relocate::{Eyes, carries_rules};
use crate::clock;
use crate::db::Conn;
use crate::error::AppResult;
use crate::files::moving::{self, Thing};
use crate::files::{ItemPath, random_name};
use crate::index::{self, store::Inside};
use crate::roles::Role;
use crate::step::{Step, carry_out};

/// Puts what is at `asked` into the trash.
///
/// # Errors
/// 404, 412; 409 for a folder with rules, unless an admin deletes it. Nothing has changed then.
pub async fn delete(
    state: &web::Data<State>,
    editor: &Editor,
    asked: &ItemPath,
    expected: Option<String>,
) -> AppResult<Entry> {
    let (state, editor, asked) = (state.clone(), editor.clone(), asked.clone());
    finish(async move {
        let editor = gate::check_again(&state, &editor, Role::Editor).await?;
        let eyes = Eyes::of(&state, &editor.person).await?;
        let thing = item::find(&state, &eyes.sight, &asked).await?;
        carries_rules(&eyes, &thing)?;
        thing.expect(expected.as_deref())?;
        item::index(&state, &thing).await?;
        let (path, name) = (thing.path.clone(), random_name()?);
        let place = state
            .files
            .run(move |dir| moving::place_in_trash(dir, &path, &name))
            .await?;
        let step = Step {
            from: thing.path.to_string(),
            to: place.clone(),
            inode: thing.inode,
            aside: None,
        };
        carry_out(&state, &step, async |conn: &mut Conn| {
            let eyes = Eyes::now(conn, &editor.person).await?;
            let again = item::find(&state, &eyes.sight, &asked).await?;
            carries_rules(&eyes, &again)?;
            again.expect(expected.as_deref())?;
            if again.path != thing.path {
                return Err(item::moved_meanwhile());
            }
            write_down(conn, &editor, &again, &place).await
        })
        .await
    })
    .await
}

async fn write_down(
    conn: &mut Conn,
    editor: &CurrentUser,
    thing: &Thing,
    place: &str,
) -> AppResult<Entry> {
    let inside = match thing.is_folder {
        true => index::store::inside(conn, &thing.path).await?,
        false => Inside {
            files: 1,
            bytes: thing.size,
        },
    };
    let deleted = Deleted {
        place,
        origin: &thing.path,
        is_folder: thing.is_folder && !thing.is_link,
        inside,
        inode: thing.inode,
        by: editor.email(),
        at: clock::now(),
    };
    let entry = store::put(conn, &deleted).await?;
    index::put_away(conn, &thing.path, place, deleted.at).await?;
    let event = Event::new(Action::Deleted, thing.path.as_str(), "into the trash")
        .with("files", inside.files)
        .with("trash", entry.id);
    audit::record(conn, &editor.actor(), &event).await?;
    Ok(entry)
}
