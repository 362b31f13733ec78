//! What comes before the first request: the database is opened and brought up to date, whoever starts us.

use crate::audit::Actor;
use crate::db::migrate::{self, MigrateError};
use crate::db::{Conn, Db};
use crate::roles::change::{self, ChangeError};
use crate::roles::{Role, store};
use crate::settings::{DEV_USER, DatabaseSettings, Mode, Settings};

/// Beside the fake user, so that the fake user can become somebody lesser: the last admin could not.
const SECOND_ADMIN: &str = "second.admin@example.com";

/// Opens and migrates the database. The second value says whether the schema is up to date: a server that is away at the
/// start may come back later, and everything closed answers 503 until then.
///
/// # Errors
/// A sentence for the operator.
pub async fn database(settings: &Settings) -> Result<(Db, bool), String> {
    let is_new = is_new(&settings.database);
    let db = Db::open(&settings.database)?;
    let migrated = match migrate::run(&db).await {
        Ok(_) => true,
        Err(MigrateError::Away(cause)) if matches!(db, Db::Postgres(..)) => {
            log::error!("the database is away, every closed page answers 503: {cause}");
            false
        }
        Err(error) => return Err(format!("DATABASE_URL: {error}")),
    };
    if settings.mode == Mode::Entra && migrated {
        warn_of_fake_user(&db).await;
    }
    if settings.mode == Mode::Dev && is_new {
        make_admins(&db).await.map_err(|error| error.to_string())?;
    }
    Ok((db, migrated))
}

/// The row that development mode made waits for whoever gets Entra to say that address.
async fn warn_of_fake_user(db: &Db) {
    let rows = async { store::rows_of(&mut db.conn().await?, DEV_USER).await };
    if rows.await.is_ok_and(|rows: Vec<_>| !rows.is_empty()) {
        log::warn!(
            "the database was used in DEV_MODE: {DEV_USER} has a role in it; take it away with `portcullis roles revoke {DEV_USER}`"
        );
    }
}

/// Makes the fake user an admin in a database that was just made, and somebody besides.
async fn make_admins(db: &Db) -> Result<(), ChangeError> {
    let actor = Actor::portal();
    db.transaction(async |conn: &mut Conn| {
        change::grant(conn, &actor, DEV_USER, Role::Admin).await?;
        change::grant(conn, &actor, SECOND_ADMIN, Role::Admin).await
    })
    .await
}

fn is_new(settings: &DatabaseSettings) -> bool {
    match settings {
        DatabaseSettings::Sqlite { path, .. } => !path.exists(),
        DatabaseSettings::Postgres(_) => false,
    }
}
