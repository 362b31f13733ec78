//! `portcullis index`: for an operator who knows better than the index what happened to FILES_DIR.

use clap::Subcommand;

use super::print;
use super::roles::say;
use crate::clock;
use crate::db::{Conn, Db, DbError, Lock, migrate};
use crate::index::state;

/// What can be done with the index.
#[derive(Subcommand)]
pub enum IndexTask {
    /// Say how many files it knows, when it last read everything, and what is wrong.
    Show,
    /// The known files are gone on purpose: begin anew with what FILES_DIR holds. Titles, owners and counts come back with
    /// files that come back within 30 days.
    Reset,
}

/// Runs it.
pub async fn run(db: &Db, task: IndexTask) -> Result<(), String> {
    migrate::run(db).await.map_err(|error| error.to_string())?;
    match task {
        IndexTask::Show => show(db).await,
        IndexTask::Reset => reset(db).await,
    }
}

async fn show(db: &Db) -> Result<(), String> {
    let mut conn = db.conn().await.map_err(say)?;
    let known = state::of(&mut conn).await.map_err(say)?;
    let files = state::files(&mut conn).await.map_err(say)?;
    print::line(&format!("files\t{files}"))?;
    let scanned = known.scanned_at.map_or("never".to_owned(), clock::rfc3339);
    print::line(&format!("last read whole\t{scanned}"))?;
    match known.warning {
        Some(warning) => print::line(&format!("warning\t{}", print::plain(&warning))),
        None => Ok(()),
    }
}

async fn reset(db: &Db) -> Result<(), String> {
    db.exclusive::<_, DbError>(Lock::Index, async |conn: &mut Conn| {
        state::reset(conn).await
    })
    .await
    .map_err(say)?;
    print::line(
        "The index begins anew; the portal reads its files within RESCAN_INTERVAL, or when it is started again.",
    )
}
