//! Publishing and deleting in object storage. It has no transaction in common with the database, and no transaction waits for
//! it, since it may hang. So what shall be done is written down first; then it is done; then one transaction writes row and
//! audit and crosses the note out. A note that stands without anybody at work on it is settled by a look at what lies there
//! ([`settle`]): what was published gets its row, and what was deleted its line in the audit, however it ended.

use serde::{Deserialize, Serialize};

use crate::audit::{self, Action, Actor, Event};
use crate::clock;
use crate::db::{Conn, Db, DbError, DbResult, Lock};
use crate::error::{AppError, AppResult};
use crate::files::storage::{Object, Placed, Storage};
use crate::files::{ItemPath, random_name};
use crate::index::{self, Item, Publication, bucket, store};

mod notes;
pub mod settle;

/// Nobody else looks after a note for so long. All that is waited for between two notes ends sooner.
const BUSY: i64 = 600 * clock::SECOND;
/// How often row and storage are compared when both keep changing.
const ROUNDS: usize = 3;

/// A change that was written down.
#[derive(Debug, Clone)]
pub struct Note {
    id: String,
    path: ItemPath,
    by: By,
    change: Change,
    begun_at: i64,
}

/// What is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Change {
    /// A file is put there.
    Publish {
        /// One line that says what it is.
        title: Option<String>,
        /// Bytes.
        size: u64,
        /// Lower-case hexadecimal.
        sha256: String,
        /// As zip archives have it.
        crc32: u32,
        /// Whether it may replace something.
        overwrite: bool,
    },
    /// It is deleted.
    Delete {
        /// Bytes.
        size: u64,
    },
}

/// Who changes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct By {
    name: String,
    address: Option<String>,
    reference: Option<String>,
}

impl By {
    fn actor(&self) -> Actor {
        Actor::person(&self.name, self.address.clone(), self.reference.clone())
    }
}

/// What a note's `change` holds.
#[derive(Serialize, Deserialize)]
struct Written {
    by: By,
    change: Change,
}

/// Writes down what is about to be done at `path`. A deletion there whose end is not known is settled before, as long as it
/// can be told from what lies there.
///
/// # Errors
/// The database's; 503 when the storage does not answer.
pub async fn begin(
    db: &Db,
    storage: &Storage,
    actor: &Actor,
    path: &ItemPath,
    change: Change,
) -> AppResult<Note> {
    settle::deletions_at(db, storage, path).await?;
    let note = Note {
        id: random_name()?,
        path: path.clone(),
        by: By {
            name: actor.name().to_owned(),
            address: actor.address().map(str::to_owned),
            reference: actor.reference().map(str::to_owned),
        },
        change,
        begun_at: clock::now(),
    };
    let until = note.begun_at + BUSY;
    db.transaction::<_, DbError>(async |conn: &mut Conn| notes::write(conn, &note, until).await)
        .await?;
    Ok(note)
}

impl Note {
    /// Writes row and audit of what was put there, as long as it still is there.
    ///
    /// # Errors
    /// 409 when somebody else was quicker; the database's; 503 when the storage does not answer.
    pub async fn published(&self, db: &Db, placed: &Placed) -> AppResult<Item> {
        let publication = self.publication(&placed.object)?;
        for _ in 0..ROUNDS {
            // Of two who replace one file at once, the row has to tell of the one that stayed: whoever finds the other's row
            // looks again.
            let before = row(db, &self.path).await?;
            if !placed.is_still_there().await? {
                return Err(crate::files::incoming::taken(&self.path));
            }
            let written = db.exclusive(Lock::Publish, async |conn: &mut Conn| {
                if !are_alike(row_of(conn, &self.path).await?.as_ref(), before.as_ref()) {
                    return Ok(None);
                }
                self.cross_out_once(conn).await?;
                let item = index::published(conn, &self.by.actor(), &publication).await?;
                bucket::touched(conn, &self.path).await?;
                Ok::<_, AppError>(Some(item))
            });
            if let Some(item) = written.await? {
                return Ok(item);
            }
        }
        Err(late())
    }

    /// Writes down that it is gone. `before` is the row of what was deleted; one that came since then stays.
    ///
    /// # Errors
    /// The database's; 409 when somebody else settled it.
    pub async fn deleted(&self, db: &Db, before: &Option<Item>) -> AppResult<()> {
        let Change::Delete { size } = &self.change else {
            return Err(another());
        };
        let event = Event::new(Action::Deleted, self.path.as_str(), "for good").bytes(*size);
        db.exclusive(Lock::Publish, async |conn: &mut Conn| {
            self.cross_out_once(conn).await?;
            // An earlier one whose end was not known did not happen, or it would not have been there.
            notes::cross_out_at(conn, &self.path).await?;
            audit::record(conn, &self.by.actor(), &event).await?;
            if are_alike(row_of(conn, &self.path).await?.as_ref(), before.as_ref()) {
                bucket::removed(conn, &self.path).await?;
            }
            Ok(())
        })
        .await
    }

    /// What was begun did not happen.
    pub async fn forget(&self, db: &Db) {
        self.tell(notes::cross_out(db, &self.id).await.map(drop));
    }

    /// Whether it happened is not known. Whoever settles notes may look.
    pub async fn leave(&self, db: &Db) {
        self.tell(notes::leave(db, &self.id).await);
    }

    /// Whether it stands: without it, what was begun is settled.
    ///
    /// # Errors
    /// The database's.
    pub async fn stands(&self, db: &Db) -> DbResult<bool> {
        notes::stands(db, &self.id).await
    }

    /// The note is left to its time then.
    fn tell(&self, done: DbResult<()>) {
        if let Err(error) = done {
            log::warn!("what became of {} is looked at later: {error}", self.path);
        }
    }

    async fn cross_out_once(&self, conn: &mut Conn) -> AppResult<()> {
        match notes::cross_out_in(conn, &self.id).await? {
            true => Ok(()),
            false => Err(late()),
        }
    }

    fn publication(&self, object: &Object) -> AppResult<Publication> {
        let Change::Publish {
            title,
            sha256,
            crc32,
            ..
        } = &self.change
        else {
            return Err(another());
        };
        Ok(Publication {
            path: self.path.clone(),
            title: title.clone(),
            owner: self.by.name.clone(),
            size: i64::try_from(object.size).unwrap_or(i64::MAX),
            modified_at: object.modified_at,
            sha256: sha256.clone(),
            crc32: *crc32,
        })
    }
}

/// The row of `path`, if there is one.
///
/// # Errors
/// The database's.
pub async fn row(db: &Db, path: &ItemPath) -> DbResult<Option<Item>> {
    let mut conn = db.conn().await?;
    row_of(&mut conn, path).await
}

async fn row_of(conn: &mut Conn, path: &ItemPath) -> DbResult<Option<Item>> {
    Ok(store::of_paths(conn, &[path.as_str()]).await?.pop())
}

/// Whether two readings of a row are of the same state. Downloads are counted meanwhile.
fn are_alike(one: Option<&Item>, other: Option<&Item>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.id == other.id
                && one.modified_at == other.modified_at
                && one.missing_since == other.missing_since
                && one.published_at == other.published_at
                && one.sha256 == other.sha256
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn late() -> AppError {
    AppError::Conflict(
        "Somebody else changed this file at the same moment. Look at the list of files, then try again."
            .to_owned(),
    )
}

fn another() -> AppError {
    AppError::Internal("a note is of another change".to_owned())
}
