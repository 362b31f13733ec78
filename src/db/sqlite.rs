//! Connections to the one SQLite file. It is attached as `dim`, so that tables have the same names as on Postgres.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use diesel::connection::{AnsiTransactionManager, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use futures_util::FutureExt;

use super::SqliteConnection;

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

pub fn pool(path: &Path) -> Result<Pool<SqliteConnection>, String> {
    let path = path.to_owned();
    let mut config = ManagerConfig::default();
    // Each is asked whether it lives before it is lent: one that was made on a worker dies with that worker, and the audit is
    // still written after the workers have ended.
    config.recycling_method = RecyclingMethod::Verified;
    config.custom_setup = Box::new(move |_| {
        let path = path.clone();
        async move {
            tokio::task::spawn_blocking(move || open(&path))
                .await
                .map_err(|error| ConnectionError::BadConnection(error.to_string()))?
                .map(SqliteConnection::new)
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", config);
    Pool::builder(manager)
        .max_size(POOL_SIZE)
        .build()
        .map_err(|error| error.to_string())
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
