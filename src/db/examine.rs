//! A look at the database from outside, for the doctor: what it is, what has not been migrated, which rights are missing.
//! What it writes it takes back.

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::rights;
pub use super::rights::Missing;
use super::{Conn, Db, DbError, DbResult, PostgresUrl, SqliteConnection, migrate};

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Name and version.
    pub server: String,
    /// Migrations that have not run.
    pub pending: Vec<String>,
    /// Migrations that have run and that this binary does not know.
    pub newer: Vec<String>,
    /// Rights that the portal lacks.
    pub missing: Vec<Missing>,
    /// Whether nothing can be written.
    pub is_read_only: bool,
    /// Why nothing can be written, where that was tried.
    pub refuses_writes: Option<String>,
    /// Whether a pooler lends the server's sessions out by the transaction.
    pub is_lent_out: bool,
    /// Whether the connection is encrypted; `None` where there is no connection to speak of.
    pub is_encrypted: Option<bool>,
    /// Whether the server is on this machine.
    pub is_local: bool,
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Nullable<Bool>)]
    ssl: Option<bool>,
    #[diesel(sql_type = Bool)]
    migrated: bool,
    #[diesel(sql_type = Bool)]
    has_roles: bool,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Looks at it.
///
/// # Errors
/// The database's.
pub async fn examine(db: &Db) -> DbResult<Examined> {
    match (db.conn().await?, db) {
        (Conn::Postgres(mut conn), Db::Postgres(_, url)) => postgres(&mut conn, url).await,
        (Conn::Sqlite(mut conn), _) => sqlite(&mut conn).await,
        (Conn::Postgres(_), Db::Sqlite(..)) => Ok(Examined::default()),
    }
}

async fn postgres(conn: &mut AsyncPgConnection, url: &PostgresUrl) -> DbResult<Examined> {
    let keeps_sessions = url.keeps_sessions().await.map_err(DbError::Away)?;
    if !keeps_sessions {
        // Anything further would be asked of another session than it was prepared in.
        return Ok(Examined {
            is_lent_out: true,
            ..Examined::default()
        });
    }
    let server: Server = diesel::sql_query(
        "SELECT 'PostgreSQL ' || current_setting('server_version') AS version,
                pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
                (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS ssl,
                to_regclass('dim.__diesel_schema_migrations') IS NOT NULL AS migrated,
                to_regclass('dim.user_roles') IS NOT NULL AS has_roles",
    )
    .get_result(conn)
    .await?;
    let done = match server.migrated {
        true => {
            diesel::sql_query("SELECT version::text FROM dim.__diesel_schema_migrations")
                .load(conn)
                .await?
        }
        false => Vec::new(),
    };
    let pending = pending::<diesel::pg::Pg>(&migrate::POSTGRES, &done);
    let missing = rights::missing(conn, server.has_roles, !pending.is_empty()).await?;
    Ok(Examined {
        server: server.version,
        newer: newer::<diesel::pg::Pg>(&migrate::POSTGRES, &done),
        pending,
        missing,
        is_read_only: server.read_only,
        refuses_writes: None,
        is_lent_out: false,
        is_encrypted: Some(server.ssl.unwrap_or(false)),
        is_local: url.is_local(),
    })
}

async fn sqlite(conn: &mut SqliteConnection) -> DbResult<Examined> {
    let version: Version = diesel::sql_query("SELECT 'SQLite ' || sqlite_version() AS version")
        .get_result(conn)
        .await?;
    let tables: Vec<Version> = diesel::sql_query(
        "SELECT name AS version FROM dim.sqlite_master WHERE name = '__diesel_schema_migrations'",
    )
    .load(conn)
    .await?;
    let done = match tables.is_empty() {
        true => Vec::new(),
        false => {
            diesel::sql_query("SELECT version FROM dim.__diesel_schema_migrations")
                .load(conn)
                .await?
        }
    };
    Ok(Examined {
        server: version.version,
        pending: pending::<diesel::sqlite::Sqlite>(&migrate::SQLITE, &done),
        newer: newer::<diesel::sqlite::Sqlite>(&migrate::SQLITE, &done),
        refuses_writes: refuses_writes(conn).await,
        is_local: true,
        ..Examined::default()
    })
}

/// Begins a table and takes it back: a file that can be read need not be one that can be written.
async fn refuses_writes(conn: &mut SqliteConnection) -> Option<String> {
    const PROBE: &str = "BEGIN IMMEDIATE; CREATE TABLE dim.doctor (probe TEXT); ROLLBACK";
    let error = conn.batch_execute(PROBE).await.err()?;
    // Where nothing was begun there is nothing to take back, and nobody to tell.
    let _ = conn.batch_execute("ROLLBACK").await;
    Some(error.to_string())
}

fn newer<B: diesel::backend::Backend>(
    embedded: &impl MigrationSource<B>,
    done: &[Version],
) -> Vec<String> {
    let all = embedded.migrations().unwrap_or_default();
    let known: Vec<String> = all
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let done = done.iter().map(|done| &done.version);
    done.filter(|version| !known.contains(version))
        .cloned()
        .collect()
}

fn pending<B: diesel::backend::Backend>(
    embedded: &impl MigrationSource<B>,
    done: &[Version],
) -> Vec<String> {
    let all = embedded.migrations().unwrap_or_default();
    all.iter()
        .filter(|migration| {
            let version = migration.name().version().to_string();
            !done.iter().any(|done| done.version == version)
        })
        .map(|migration| migration.name().to_string())
        .collect()
}
