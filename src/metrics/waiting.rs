//! Queues that lie in tables: how much waits there for somebody to take it up.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::db::{Conn, DbResult, either};

/// The rest of finished uploads is kept for a while, for clients that missed the answer. Files without a checksum have an
/// index of their own.
const QUERY: &str = "SELECT (SELECT count(*) FROM dim.webhook_messages) AS webhook,
        (SELECT count(*) FROM dim.uploads WHERE path IS NULL) AS uploads,
        (SELECT count(*) FROM dim.items WHERE crc32 IS NULL AND missing_since = 0) AS checksums";

/// Numbers of what waits.
#[derive(QueryableByName)]
pub struct Waiting {
    #[diesel(sql_type = BigInt)]
    webhook: i64,
    #[diesel(sql_type = BigInt)]
    uploads: i64,
    #[diesel(sql_type = BigInt)]
    checksums: i64,
}

impl Waiting {
    /// Counts.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(conn: &mut Conn) -> DbResult<Self> {
        Ok(either!(conn, |c| diesel::sql_query(QUERY)
            .get_result(c)
            .await)?)
    }

    /// Each with its name.
    pub fn named(&self) -> [(&'static str, i64); 3] {
        [
            ("webhook", self.webhook),
            ("uploads", self.uploads),
            ("checksums", self.checksums),
        ]
    }
}
