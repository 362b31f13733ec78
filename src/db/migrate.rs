//! Brings the schema up to date: at start and by `portcullis migrate`, once even when several instances start together.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{QueryableByName, sql_types};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Db, DbError, Lock, PostgresUrl, sqlite};

pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Diesel keeps its list of migrations in an unqualified table. On SQLite a view of that name leads it
/// into the attached file, where a restart finds it again.
const SQLITE_BOOKKEEPING: &str = "
    CREATE TABLE IF NOT EXISTS dim.__diesel_schema_migrations (
        version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
    CREATE TEMP VIEW IF NOT EXISTS __diesel_schema_migrations AS SELECT * FROM dim.__diesel_schema_migrations;
    CREATE TEMP TRIGGER IF NOT EXISTS bookkeeping_insert INSTEAD OF INSERT ON __diesel_schema_migrations BEGIN
        INSERT INTO dim.__diesel_schema_migrations (version) VALUES (NEW.version); END;
    CREATE TEMP TRIGGER IF NOT EXISTS bookkeeping_delete INSTEAD OF DELETE ON __diesel_schema_migrations BEGIN
        DELETE FROM dim.__diesel_schema_migrations WHERE version = OLD.version; END;";

/// Said when a pooler gives each transaction another session of the server.
const LENT_OUT: &str = "leads to a pooler that lends connections out by the transaction (PgBouncer's pool_mode = transaction), \
     where the news of changed roles would be lost; use pool_mode = session, or name the server itself";

/// Runs what is pending; returns the names of what was run.
///
/// # Errors
/// [`DbError::Away`] when the database cannot be reached; otherwise a sentence naming the missing right.
pub async fn run(db: &Db) -> Result<Vec<String>, MigrateError> {
    match db {
        Db::Postgres(_, url) => {
            let url = url.clone();
            tokio::task::spawn_blocking(move || runtime()?.block_on(run_postgres(&url)))
                .await
                .map_err(|error| MigrateError::Failed(error.to_string()))?
        }
        Db::Sqlite(_, path) => {
            let path = path.clone();
            tokio::task::spawn_blocking(move || run_sqlite(&path))
                .await
                .map_err(|error| MigrateError::Failed(error.to_string()))?
        }
    }
}

/// Undoes the newest migration, for tests and for `portcullis migrate --undo`.
///
/// # Errors
/// As [`run`].
pub async fn undo(db: &Db) -> Result<String, MigrateError> {
    match db {
        Db::Postgres(_, url) => {
            let mut harness = AsyncMigrationHarness::new(locked(url).await?);
            let version = harness.revert_last_migration(POSTGRES).map_err(failed)?;
            Ok(version.to_string())
        }
        Db::Sqlite(_, path) => {
            let mut conn = sqlite::open(path).map_err(away)?;
            conn.batch_execute(SQLITE_BOOKKEEPING).map_err(failed)?;
            let version = conn.revert_last_migration(SQLITE).map_err(failed)?;
            Ok(version.to_string())
        }
    }
}

/// Why the schema is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached for now.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// It was reached, and refused. The sentence says what to grant.
    #[error("{0}")]
    Failed(String),
}

fn away(error: impl ToString) -> MigrateError {
    MigrateError::Away(error.to_string())
}

fn failed(error: impl ToString) -> MigrateError {
    MigrateError::Failed(format!("the migration failed: {}", error.to_string()))
}

/// The harness blocks its thread (`block_in_place`), which the single-threaded runtime of an embedding program does not have.
fn runtime() -> Result<tokio::runtime::Runtime, MigrateError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(failed)
}

fn run_sqlite(path: &Path) -> Result<Vec<String>, MigrateError> {
    let mut conn = sqlite::open(path).map_err(away)?;
    // The write lock is held from the first look to the last change, so a second process waits and finds all done.
    conn.immediate_transaction(|conn| {
        conn.batch_execute(SQLITE_BOOKKEEPING)?;
        let done = conn.run_pending_migrations(SQLITE)?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
            done.iter().map(ToString::to_string).collect(),
        )
    })
    .map_err(failed)
}

async fn run_postgres(url: &PostgresUrl) -> Result<Vec<String>, MigrateError> {
    if !url.keeps_sessions().await.map_err(MigrateError::Away)? {
        return Err(MigrateError::Failed(LENT_OUT.to_owned()));
    }
    let mut conn = locked(url).await?;
    make_schema(&mut conn).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let done: Vec<String> = harness
        .run_pending_migrations(POSTGRES)
        .map_err(explain_rights)?
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut conn = harness.into_inner();
    check_rights(&mut conn).await?;
    Ok(done)
}

/// A connection that holds the advisory lock until it is closed.
async fn locked(url: &PostgresUrl) -> Result<AsyncPgConnection, MigrateError> {
    let mut conn = url.establish().await.map_err(MigrateError::Away)?;
    // Building an index on somebody's large table, or waiting for another instance, may take its time.
    conn.batch_execute(&format!(
        "SET statement_timeout = '10min'; SET lock_timeout = '1min'; SET search_path = dim;
         SELECT pg_advisory_lock({})",
        Lock::Migrate as i64
    ))
    .await
    .map_err(failed)?;
    Ok(conn)
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = sql_types::Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Sentence {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

/// `CREATE SCHEMA IF NOT EXISTS` asks for the right to create even when there is nothing to do.
async fn make_schema(conn: &mut AsyncPgConnection) -> Result<(), MigrateError> {
    let present: Flag = diesel_async::RunQueryDsl::get_result(
        diesel::sql_query("SELECT to_regnamespace('dim') IS NOT NULL AS yes"),
        conn,
    )
    .await
    .map_err(failed)?;
    if present.yes {
        return Ok(());
    }
    conn.batch_execute("CREATE SCHEMA dim").await.map_err(|error| {
        MigrateError::Failed(format!(
            "the schema dim cannot be made ({error}); as an administrator run: CREATE SCHEMA dim AUTHORIZATION <the portal's role>"
        ))
    })
}

fn explain_rights(error: impl ToString) -> MigrateError {
    let error = error.to_string();
    // Without USAGE the schema is left out of the search path, and nothing can be made "in no schema".
    let refusals = [
        "permission denied for schema dim",
        "no schema has been selected",
    ];
    if refusals.iter().any(|refusal| error.contains(refusal)) {
        return MigrateError::Failed(format!(
            "{error}; as the schema's owner run: GRANT USAGE, CREATE ON SCHEMA dim TO <the portal's role>"
        ));
    }
    failed(error)
}

/// Without SELECT nobody could be let in, so that ends the start; whatever else is missing is said and done without.
async fn check_rights(conn: &mut AsyncPgConnection) -> Result<(), MigrateError> {
    let readable: Flag = diesel_async::RunQueryDsl::get_result(
        diesel::sql_query("SELECT has_table_privilege('dim.user_roles', 'SELECT') AS yes"),
        conn,
    )
    .await
    .map_err(failed)?;
    if !readable.yes {
        return Err(MigrateError::Failed(
            "the role table cannot be read; as its owner run: GRANT SELECT ON dim.user_roles TO <the portal's role>"
                .to_owned(),
        ));
    }
    let writable: Flag = diesel_async::RunQueryDsl::get_result(
        diesel::sql_query(
            "SELECT has_table_privilege('dim.user_roles', 'INSERT') AND has_table_privilege('dim.user_roles', 'UPDATE')
                AND has_table_privilege('dim.user_roles', 'DELETE') AS yes",
        ),
        conn,
    )
    .await
    .map_err(failed)?;
    if !writable.yes {
        log::warn!(
            "roles can be read but not changed by the portal; as the table's owner: \
             GRANT INSERT, UPDATE, DELETE ON dim.user_roles TO <the portal's role>"
        );
    }
    let missing: Sentence = diesel_async::RunQueryDsl::get_result(
        diesel::sql_query("SELECT dim.attach_user_roles() AS text"),
        conn,
    )
    .await
    .map_err(failed)?;
    for line in missing.text.lines() {
        log::warn!("{line}");
    }
    Ok(())
}

impl From<MigrateError> for DbError {
    fn from(error: MigrateError) -> Self {
        Self::Away(error.to_string())
    }
}
