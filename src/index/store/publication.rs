//! Writes down that a file was published.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Item, folder_of, title_of};
use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, either};
use crate::files::ItemPath;
use crate::index::{folders, key};

/// A file that is being published now.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Where it goes.
    pub path: ItemPath,
    /// One line that says what it is; `None` leaves a file that is replaced its own.
    pub title: Option<String>,
    /// Lower-case address of whoever publishes it.
    pub owner: String,
    /// Bytes.
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// As zip archives have it.
    pub crc32: u32,
}

/// Writes down that a file was published, in place of what was known of that path, with its audit row.
/// Its downloads start anew only with a new row: a replaced file keeps its count, and its title where no other is given.
///
/// # Errors
/// The database's.
pub async fn published(
    conn: &mut Conn,
    actor: &Actor,
    publication: &Publication,
) -> DbResult<Item> {
    let Publication {
        path,
        title,
        owner,
        size,
        modified_at,
        sha256,
        crc32,
    } = publication;
    folders::ensure(conn, path.folder().as_ref()).await?;
    let kept = match title {
        Some(_) => None,
        None => title_of(conn, path).await?,
    };
    let title = title.as_ref().or(kept.as_ref());
    let row = (
        items::path.eq(path.as_str()),
        items::folder.eq(folder_of(path)),
        items::name.eq(path.name()),
        items::sort_key.eq(key::sort_key(path.as_str())),
        items::words.eq(key::words(path.name(), title.map(String::as_str))),
        items::title.eq(title),
        items::owner.eq(owner),
        items::size.eq(size),
        items::modified_at.eq(modified_at),
        items::sha256.eq(sha256),
        items::crc32.eq(i64::from(*crc32)),
        items::published_at.eq(clock::now()),
        items::missing_since.eq(0),
        items::real_folder.eq(None::<String>),
    );
    let statement = diesel::insert_into(items::table)
        .values(row.clone())
        .on_conflict(items::path)
        .do_update()
        .set(row);
    either!(&mut *conn, |c| statement.execute(c).await)?;
    let event = Event::new(Action::Published, path.as_str(), "published")
        .bytes(u64::try_from(*size).unwrap_or(0))
        .with("sha256", sha256.as_str());
    audit::record(conn, actor, &event).await?;
    let query = items::table.filter(items::path.eq(path.as_str()));
    Ok(either!(conn, |c| query.get_result(c).await)?)
}
