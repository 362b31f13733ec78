//! The database: Postgres or SQLite behind one type, so that a store writes each query once.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, TransactionManager};

use crate::settings::DatabaseSettings;

mod blocking;
mod dialect;
pub mod examine;
mod lock;
pub mod migrate;
mod postgres;
mod rights;
pub mod schema;
mod sqlite;
mod tls;

pub use postgres::PostgresUrl;

/// How long a request waits for a connection before the answer is 503.
const WAIT: Duration = Duration::from_secs(3);

/// A connection to a Postgres server.
pub type PostgresConnection = AsyncPgConnection;

/// A connection to the embedded database; its calls run on the blocking pool.
pub type SqliteConnection = SyncConnectionWrapper<diesel::SqliteConnection, blocking::Blocking>;

/// The pool of connections. Cheap to clone.
#[derive(Clone)]
pub enum Db {
    /// A Postgres server.
    Postgres(Pool<AsyncPgConnection>, Box<PostgresUrl>),
    /// One SQLite file.
    Sqlite(
        deadpool::managed::Pool<sqlite::Connections>,
        std::path::PathBuf,
    ),
}

/// One connection, on loan from the pool.
pub enum Conn {
    /// To a Postgres server.
    Postgres(Box<Object<AsyncPgConnection>>),
    /// To the SQLite file.
    Sqlite(sqlite::Lent),
}

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It cannot be reached, or refuses to work for now: the request may be repeated later.
    #[error("the database cannot be used: {0}")]
    Away(String),
    /// It answered that the query is wrong: a mistake of ours, or of its schema.
    #[error("the database refused a query: {0}")]
    Query(DieselError),
}

/// The result of a store function.
pub type DbResult<T> = Result<T, DbError>;

/// Writes a query once for both databases: `either!(conn, |c| table.load::<Row>(c).await)`.
///
/// `conn` is a `&mut Conn`; `c` is the connection of diesel-async that the query runs on.
#[macro_export]
macro_rules! either {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::db::Conn::Postgres(object) => {
                let $c: &mut $crate::db::PostgresConnection = object;
                $crate::db::answered(async { $body }).await
            }
            $crate::db::Conn::Sqlite(object) => {
                let $c: &mut $crate::db::SqliteConnection = object;
                $body
            }
        }
    };
}
pub use either;

/// Locks that exclude their like on every instance, by what they protect.
#[derive(Debug, Clone, Copy)]
pub enum Lock {
    /// Changing the schema.
    Migrate = 0x706f_0001,
    /// Putting a file in its place.
    Publish = 0x706f_0002,
    /// Changing who may do what.
    Roles = 0x706f_0003,
    /// Sealing the audit, and removing its oldest rows.
    Seal = 0x706f_0004,
    /// Writing what was seen on the disk into the index.
    Index = 0x706f_0601,
    /// Scanning the disk; held as long as an instance does.
    Scan = 0x706f_0602,
    /// Tending the trash; held for as long as that takes.
    Trash = 0x706f_0604,
    /// Changing folder rules.
    FolderRules = 0x706f_0603,
    /// Beginning an upload, which takes of the space that is left.
    Uploads = 0x706f_0606,
}

/// How long a query is waited for. The server ends it after ten seconds, so one that says nothing for longer stands still.
const SILENCE: Duration = Duration::from_secs(12);

/// Waits for a server to answer a query; [`either!`] does.
///
/// # Errors
/// The query's; `UnableToSendCommand` when the server stands still.
#[doc(hidden)]
pub async fn answered<T>(
    query: impl Future<Output = diesel::QueryResult<T>>,
) -> diesel::QueryResult<T> {
    tokio::time::timeout(SILENCE, query)
        .await
        .unwrap_or_else(|_| {
            let silent = "no answer to a query within 12 s".to_owned();
            Err(DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand,
                Box::new(silent),
            ))
        })
}

impl Db {
    /// Opens the pool. Connections are made when first needed, so this works while the server is away.
    ///
    /// # Errors
    /// A sentence for the operator: a folder that is missing, a CA file that cannot be read.
    pub fn open(settings: &DatabaseSettings) -> Result<Self, String> {
        match settings {
            DatabaseSettings::Postgres(url) => {
                let url = PostgresUrl::parse(url.expose())
                    .map_err(|wrong| format!("DATABASE_URL {wrong}"))?;
                Ok(Self::Postgres(postgres::pool(&url)?, Box::new(url)))
            }
            DatabaseSettings::Sqlite { path, is_default } => {
                sqlite::prepare_folder(path, *is_default)?;
                sqlite::prepare_file(path)?;
                Ok(Self::Sqlite(sqlite::pool(path)?, path.clone()))
            }
        }
    }

    /// A connection, within three seconds.
    ///
    /// # Errors
    /// [`DbError::Away`].
    pub async fn conn(&self) -> DbResult<Conn> {
        let late = |_| DbError::Away("no connection within 3 s".to_owned());
        match self {
            Self::Postgres(pool, _) => Ok(Conn::Postgres(Box::new(
                tokio::time::timeout(WAIT, pool.get())
                    .await
                    .map_err(late)?
                    .map_err(|error| DbError::Away(error.to_string()))?,
            ))),
            Self::Sqlite(pool, _) => Ok(Conn::Sqlite(
                tokio::time::timeout(WAIT, sqlite::lend(pool))
                    .await
                    .map_err(late)?
                    .map_err(|error| DbError::Away(error.to_string()))?,
            )),
        }
    }

    /// Runs `work` in a transaction: all of it happens, or nothing.
    ///
    /// A request whose client hangs up is dropped at its next `await`; run changes in a spawned task
    /// (see [`crate::app::finish`]) so that they are not cut in half.
    ///
    /// # Errors
    /// What `work` or the commit returned; nothing has changed then.
    pub async fn transaction<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut conn = self.conn().await?;
        conn.begin().await?;
        match work(&mut conn).await {
            Ok(value) => {
                conn.commit().await?;
                Ok(value)
            }
            Err(error) => {
                if let Err(cause) = conn.roll_back().await {
                    log::warn!("a transaction was not rolled back: {cause}");
                }
                Err(error)
            }
        }
    }

    /// A transaction that excludes others with the same lock, on every instance.
    /// (On SQLite every transaction excludes all others that write.)
    ///
    /// # Errors
    /// As [`Db::transaction`].
    pub async fn exclusive<T, E: From<DbError>>(
        &self,
        lock: Lock,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction(async |conn: &mut Conn| {
            conn.lock(lock).await?;
            work(conn).await
        })
        .await
    }

    /// How many connections the pool holds, and how many of them are at rest.
    pub fn connections(&self) -> (usize, usize) {
        let status = match self {
            Self::Postgres(pool, _) => pool.status(),
            Self::Sqlite(pool, _) => pool.status(),
        };
        (status.size, status.available)
    }

    /// Runs `work`, which only reads, on one state of the database, however long it takes and whatever others change.
    ///
    /// # Errors
    /// As [`Db::transaction`].
    pub async fn snapshot<T, E: From<DbError>>(
        &self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut conn = self.conn().await?;
        conn.begin_reading().await?;
        let done = work(&mut conn).await;
        if let Err(cause) = conn.roll_back().await {
            log::warn!("a reading transaction was not ended: {cause}");
        }
        done
    }

    /// Takes a lock for as long as the returned connection lives; `None` while another instance has it.
    /// On SQLite there is one instance, which always gets it.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold(&self, lock: Lock) -> DbResult<Option<Held>> {
        let Self::Postgres(_, url) = self else {
            return Ok(Some(Held(None)));
        };
        let mut conn = url.establish().await.map_err(DbError::Away)?;
        let query = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS yes")
            .bind::<diesel::sql_types::BigInt, _>(lock as i64);
        let taken: Taken = answered(query.get_result(&mut conn)).await?;
        Ok(taken.yes.then_some(Held(Some(conn))))
    }

    /// Lets go of all connections.
    pub fn close(&self) {
        match self {
            Self::Postgres(pool, _) => pool.close(),
            Self::Sqlite(pool, _) => pool.close(),
        }
    }
}

/// A lock that is held on a connection of its own.
pub struct Held(Option<AsyncPgConnection>);

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    yes: bool,
}

impl Held {
    /// Whether it is still held.
    ///
    /// # Errors
    /// The connection is gone, and the lock with it.
    pub async fn check(&mut self) -> DbResult<()> {
        if let Some(conn) = &mut self.0 {
            answered(diesel::sql_query("SELECT 1").execute(conn)).await?;
        }
        Ok(())
    }
}

impl Conn {
    async fn begin(&mut self) -> DbResult<()> {
        match self {
            Self::Postgres(object) => {
                let conn: &mut AsyncPgConnection = object;
                answered(AnsiTransactionManager::begin_transaction(conn)).await
            }
            // IMMEDIATE takes the write lock at once: a read that turns into a write later could only fail.
            Self::Sqlite(object) => {
                let conn: &mut SqliteConnection = object;
                sqlite::begin_immediate(conn).await
            }
        }
        .map_err(DbError::from)
    }

    async fn begin_reading(&mut self) -> DbResult<()> {
        match self {
            Self::Postgres(object) => {
                let conn: &mut AsyncPgConnection = object;
                answered(begin(conn)).await?;
                let once = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
                answered(diesel::sql_query(once).execute(conn))
                    .await
                    .map(drop)
            }
            // The first read fixes the state; writers go on beside it (WAL).
            Self::Sqlite(object) => {
                let conn: &mut SqliteConnection = object;
                begin(conn).await
            }
        }
        .map_err(DbError::from)
    }

    async fn commit(&mut self) -> DbResult<()> {
        either!(self, |c| commit(c).await).map_err(DbError::from)
    }

    async fn roll_back(&mut self) -> DbResult<()> {
        either!(self, |c| roll_back(c).await).map_err(DbError::from)
    }

    /// SQL for a table `r` of the JSON array of objects that is bound as `$1`, by column and type.
    /// Thousands of rows travel in one statement that way, and it reads the same for both databases. No other parameter
    /// may stand before it: SQLite numbers them by where they first appear.
    pub fn records(&self, columns: &[(&str, &str)]) -> String {
        let list = |column: fn(&(&str, &str)) -> String| {
            let columns: Vec<String> = columns.iter().map(column).collect();
            columns.join(", ")
        };
        match self {
            Self::Postgres(_) => format!(
                "jsonb_to_recordset($1::jsonb) AS r({})",
                list(|(name, kind)| format!("{name} {kind}"))
            ),
            Self::Sqlite(_) => format!(
                "(SELECT {} FROM json_each($1)) AS r",
                list(|(name, _)| format!("value ->> '{name}' AS {name}"))
            ),
        }
    }

    /// SQL for the key of column `email`: ASCII lower case on both databases.
    pub fn email_key(&self, column: &str) -> String {
        match self {
            Self::Postgres(_) => format!("lower({column}::text COLLATE \"C\")"),
            Self::Sqlite(_) => format!("lower({column})"),
        }
    }
}

async fn begin<C: diesel_async::AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::begin_transaction(conn).await
}

async fn commit<C: diesel_async::AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn).await
}

async fn roll_back<C: diesel_async::AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn).await
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        let away = match &error {
            DieselError::DatabaseError(kind, information) => {
                matches!(
                    kind,
                    DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::ReadOnlyTransaction
                ) || is_passing(information.message())
            }
            DieselError::BrokenTransactionManager => true,
            _ => false,
        };
        if away {
            Self::Away(error.to_string())
        } else {
            Self::Query(error)
        }
    }
}

/// Diesel has no kinds for these; the servers' texts are stable in the default language,
/// and a text that is missed only turns a 503 into a 500.
fn is_passing(message: &str) -> bool {
    const PASSING: [&str; 11] = [
        "terminating connection",
        "statement timeout",
        "lock timeout",
        "deadlock detected",
        "connection closed",
        "shutting down",
        "starting up",
        "too many clients",
        "database is locked",
        "disk is full",
        "disk I/O error",
    ];
    PASSING.iter().any(|text| message.contains(text))
}
