//! Locks that exclude their like on every instance, for the rest of a transaction.

use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Conn, DbResult, Lock, answered};

impl Conn {
    /// Waits until nobody else holds `lock`, and holds it to the end of this transaction.
    /// (On SQLite a transaction excludes all others that write anyhow.)
    ///
    /// # Errors
    /// The database's; five seconds are waited at most.
    pub async fn lock(&mut self, lock: Lock) -> DbResult<()> {
        if let Self::Postgres(object) = self {
            let conn: &mut AsyncPgConnection = object;
            let statement = diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                .bind::<BigInt, _>(lock as i64);
            answered(statement.execute(conn)).await?;
        }
        Ok(())
    }

    /// As [`Conn::lock`], without waiting: `false` when somebody else holds it.
    ///
    /// # Errors
    /// The database's.
    pub async fn try_lock(&mut self, lock: Lock) -> DbResult<bool> {
        let Self::Postgres(object) = self else {
            return Ok(true);
        };
        let conn: &mut AsyncPgConnection = object;
        let query = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS yes")
            .bind::<BigInt, _>(lock as i64);
        let got: Flag = answered(query.get_result(conn)).await?;
        Ok(got.yes)
    }
}

#[derive(diesel::QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    yes: bool,
}
