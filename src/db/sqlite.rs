//! Connections to the one SQLite file. It is attached as `dim`, so that tables have the same names as on Postgres.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use diesel::connection::{AnsiTransactionManager, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::PoolableConnection;

use super::SqliteConnection;
use super::blocking::{Blocking, LeftAlone};

/// Readers do not wait for the writer in WAL mode. The tasks in the background (seals, index, checksums, watch) hold one
/// each while they wait for the write lock, and some have to be left for requests.
const POOL_SIZE: usize = 8;

/// Makes the default folder; any other must be there.
pub fn prepare_folder(path: &Path, is_default: bool) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    if folder.is_dir() {
        return Ok(());
    }
    if !is_default {
        return Err(format!(
            "DATABASE_URL names a file in {}, which is not a folder; make it first",
            folder.display()
        ));
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))
}

/// Makes the file, for the portal's own user alone: it holds addresses and who did what. SQLite gives the files beside it
/// the same rights.
pub fn prepare_file(path: &Path) -> Result<(), String> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(format!(
            "DATABASE_URL: {} cannot be made: {error}",
            path.display()
        )),
        _ => Ok(()),
    }
}

pub fn pool(path: &Path) -> Result<Pool<Connections>, String> {
    Pool::builder(Connections(path.to_owned()))
        .max_size(POOL_SIZE)
        .build()
        .map_err(|error| error.to_string())
}

/// Makes connections to the file, and takes them back.
#[derive(Debug)]
pub struct Connections(PathBuf);

/// A connection of the pool.
pub struct Pooled {
    conn: SqliteConnection,
    left_alone: LeftAlone,
}

impl Manager for Connections {
    type Type = Pooled;
    type Error = ConnectionError;

    async fn create(&self) -> Result<Pooled, ConnectionError> {
        let path = self.0.clone();
        let conn = tokio::task::spawn_blocking(move || open(&path))
            .await
            .map_err(|error| ConnectionError::BadConnection(error.to_string()))??;
        let left_alone = LeftAlone::default();
        let blocking = Blocking::new(left_alone.clone());
        let conn = SqliteConnection::with_runtime(conn, blocking);
        Ok(Pooled { conn, left_alone })
    }

    async fn recycle(&self, pooled: &mut Pooled, _: &Metrics) -> RecycleResult<ConnectionError> {
        match pooled.left_alone.happened() {
            true => Err(RecycleError::message("left in the middle of its work")),
            false => Ok(()),
        }
    }
}

/// A connection on loan. One that is left in the middle of its work does not rest in the pool, where it would hold the
/// write lock: its file is closed, and what was not committed undone, as soon as a call that still runs has ended.
pub struct Lent {
    object: Object<Connections>,
    // Dropped after the object, which is in the pool by then.
    _end: End,
}

struct End(Pool<Connections>, LeftAlone);

/// A connection of the pool.
///
/// # Errors
/// The file cannot be opened.
pub async fn lend(pool: &Pool<Connections>) -> Result<Lent, PoolError<ConnectionError>> {
    let object = pool.get().await?;
    let _end = End(pool.clone(), object.left_alone.clone());
    Ok(Lent { object, _end })
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Pooled { conn, left_alone } = &mut *self.object;
        if !left_alone.happened() && conn.is_broken() {
            left_alone.note();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let Self(pool, left_alone) = self;
        if left_alone.happened() {
            pool.retain(|pooled, _| !pooled.left_alone.happened());
        }
    }
}

impl Deref for Lent {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.object.conn
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.object.conn
    }
}

/// Opens the file and attaches it. A commit is durable when it returns (`synchronous=FULL`):
/// a role that was withdrawn stays withdrawn after a power cut.
pub fn open(path: &Path) -> ConnectionResult<diesel::SqliteConnection> {
    let mut conn = diesel::SqliteConnection::establish(":memory:")?;
    let quoted = path.display().to_string().replace('\'', "''");
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = 5000;
         ATTACH DATABASE '{quoted}' AS dim;
         PRAGMA dim.journal_mode = WAL;
         PRAGMA dim.synchronous = FULL;"
    ))
    .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

pub async fn begin_immediate(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    conn.spawn_blocking(|conn| {
        AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use diesel::sql_query;
    use diesel_async::RunQueryDsl;

    use super::*;

    const LONG: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000)
                        SELECT count(*) FROM n";

    /// As an actix worker is: one thread, on which nobody may wait.
    #[tokio::test(flavor = "current_thread")]
    async fn a_query_that_is_left_alone_stops_nobody_and_its_connection_is_not_lent_again() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder.path().join("db.sqlite")).unwrap();
        let mut first = lend(&pool).await.unwrap();
        let conn: &mut SqliteConnection = &mut first;
        let began = Instant::now();
        let asked = sql_query(LONG).execute(conn);
        let late = tokio::time::timeout(Duration::from_millis(20), asked).await;
        assert!(late.is_err(), "the query has to be a long one");
        drop(first);
        assert_eq!(pool.status().size, 0);
        let mut second = lend(&pool).await.unwrap();
        let conn: &mut SqliteConnection = &mut second;
        sql_query("SELECT 1").execute(conn).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "nobody waits for it"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_transaction_that_is_left_open_is_undone_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pool = pool(&folder.path().join("db.sqlite")).unwrap();
        let mut first = lend(&pool).await.unwrap();
        let conn: &mut SqliteConnection = &mut first;
        sql_query("CREATE TABLE dim.t (i)")
            .execute(conn)
            .await
            .unwrap();
        begin_immediate(conn).await.unwrap();
        sql_query("INSERT INTO dim.t VALUES (1)")
            .execute(conn)
            .await
            .unwrap();
        drop(first);
        // Not by the next borrower: nobody may come for a long while.
        assert_eq!(pool.status().size, 0);
        let mut second = lend(&pool).await.unwrap();
        let conn: &mut SqliteConnection = &mut second;
        begin_immediate(conn).await.unwrap();
        let gone = sql_query("DELETE FROM dim.t").execute(conn).await.unwrap();
        assert_eq!(gone, 0);
    }
}
