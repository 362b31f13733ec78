//! A look at the database from outside, for the doctor: what it is, what has not been migrated, which rights are missing.
//! Changes nothing.

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Conn, Db, DbError, DbResult, PostgresUrl, SqliteConnection, migrate};

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Name and version.
    pub server: String,
    /// Migrations that have not run.
    pub pending: Vec<String>,
    /// Rights that the portal lacks.
    pub missing: Vec<Missing>,
    /// Whether nothing can be written.
    pub is_read_only: bool,
    /// Whether a pooler lends the server's sessions out by the transaction.
    pub is_lent_out: bool,
    /// Whether the connection is encrypted; `None` where there is no connection to speak of.
    pub is_encrypted: Option<bool>,
    /// Whether the server is on this machine.
    pub is_local: bool,
}

/// A right that the portal lacks.
#[derive(Debug, Clone)]
pub struct Missing {
    /// What does not work.
    pub says: String,
    /// The statement that mends it.
    pub cure: String,
    /// Whether nobody can be let in.
    pub is_fatal: bool,
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
struct Rights {
    #[diesel(sql_type = Bool)]
    reads: bool,
    #[diesel(sql_type = Bool)]
    writes: bool,
    #[diesel(sql_type = Bool)]
    announces: bool,
    #[diesel(sql_type = Text)]
    me: String,
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
    let missing = match server.has_roles {
        true => missing(conn).await?,
        false => Vec::new(),
    };
    Ok(Examined {
        server: server.version,
        pending: pending::<diesel::pg::Pg>(&migrate::POSTGRES, &done),
        missing,
        is_read_only: server.read_only,
        is_lent_out: false,
        is_encrypted: Some(server.ssl.unwrap_or(false)),
        is_local: url.is_local(),
    })
}

async fn missing(conn: &mut AsyncPgConnection) -> DbResult<Vec<Missing>> {
    let rights: Rights = diesel::sql_query(
        "SELECT has_table_privilege('dim.user_roles', 'SELECT') AS reads,
                has_table_privilege('dim.user_roles', 'INSERT') AND has_table_privilege('dim.user_roles', 'UPDATE')
                  AND has_table_privilege('dim.user_roles', 'DELETE') AS writes,
                EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'dim.user_roles'::regclass
                        AND tgname = 'portcullis_role_change')
                  OR has_table_privilege('dim.user_roles', 'TRIGGER') AS announces,
                quote_ident(current_user) AS me",
    )
    .get_result(conn)
    .await?;
    let me = rights.me;
    let all = [
        (
            rights.reads,
            "nobody can be let in, because roles cannot be read",
            format!("as the table's owner: GRANT SELECT ON dim.user_roles TO {me}"),
            true,
        ),
        (
            rights.writes,
            "roles can be read but not changed by the portal",
            format!("as the table's owner: GRANT INSERT, UPDATE, DELETE ON dim.user_roles TO {me}"),
            false,
        ),
        (
            rights.announces,
            "role changes by other programs take effect only within ROLE_CACHE_TTL",
            format!(
                "as the table's owner: GRANT TRIGGER ON dim.user_roles TO {me}, then start the portal again"
            ),
            false,
        ),
    ];
    let missing = all.into_iter().filter(|(granted, ..)| !granted);
    Ok(missing
        .map(|(_, says, cure, is_fatal)| Missing {
            says: says.to_owned(),
            cure,
            is_fatal,
        })
        .collect())
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
        is_local: true,
        ..Examined::default()
    })
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
