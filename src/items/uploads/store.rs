//! The SQL of uploads. A lease is a random text: who wrote it last is the only one who may move the offset, whatever the
//! clocks say.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::{KEPT_FOR, PROMISED_FOR};
use crate::auth::store::Owner;
use crate::clock;
use crate::db::schema::dim::uploads;
use crate::db::{Conn, DbResult, either};

/// A file that arrives in pieces.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = uploads)]
pub struct Upload {
    /// Key, and name of the hidden file.
    pub id: String,
    email: String,
    tid: Option<String>,
    oid: Option<String>,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// Bytes of the whole file.
    pub size: i64,
    /// Bytes that are on the disk, synced; the last one counts when the file is published.
    pub received: i64,
    /// Microseconds since 1970 UTC.
    pub expires_at: i64,
    /// Who wrote last.
    pub lease: String,
    /// Until when nobody else may; 0 when they are done.
    pub leased_until: i64,
    /// Where it was published.
    pub path: Option<String>,
}

impl Upload {
    /// A new one, of which nothing has arrived.
    pub fn new(id: String, owner: &Owner, metadata: String, size: i64, expires_at: i64) -> Self {
        let account = owner.account.clone();
        let (tid, oid) = account.map(|account| (account.tid, account.oid)).unzip();
        Self {
            id,
            email: owner.email.clone(),
            tid,
            oid,
            metadata,
            size,
            received: 0,
            expires_at,
            lease: String::new(),
            leased_until: 0,
            path: None,
        }
    }

    /// Whether it is that person's.
    pub fn is_of(&self, owner: &Owner) -> bool {
        let account = owner.account.as_ref();
        let account = account.map(|account| (account.tid.as_str(), account.oid.as_str()));
        self.email == owner.email && self.tid.as_deref().zip(self.oid.as_deref()) == account
    }

    /// Whether what it lacks counts as taken from the disk.
    pub fn is_promised(&self) -> bool {
        self.expires_at > promised_after()
    }
}

/// Writes a new one down.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut Conn, upload: &Upload) -> DbResult<()> {
    let statement = diesel::insert_into(uploads::table).values(upload.clone());
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Several uploads together.
#[derive(Debug, QueryableByName)]
pub struct Sum {
    /// How many.
    #[diesel(sql_type = BigInt)]
    pub uploads: i64,
    /// Bytes.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
}

/// Those of the person who begins this one that are neither published nor over, with their whole size.
///
/// # Errors
/// The database's.
pub async fn open(conn: &mut Conn, upload: &Upload) -> DbResult<Sum> {
    let query = diesel::sql_query(
        "SELECT count(*) AS uploads, CAST(coalesce(sum(size), 0) AS BIGINT) AS bytes FROM dim.uploads
         WHERE email = $1 AND path IS NULL AND expires_at > $2",
    )
    .bind::<Text, _>(upload.email.clone())
    .bind::<BigInt, _>(clock::now());
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Bytes that all uploads to which some came lately still have to get.
///
/// # Errors
/// The database's.
pub async fn promised(conn: &mut Conn) -> DbResult<u64> {
    let query = diesel::sql_query(
        "SELECT count(*) AS uploads, CAST(coalesce(sum(size - received), 0) AS BIGINT) AS bytes FROM dim.uploads
         WHERE path IS NULL AND expires_at > $1",
    )
    .bind::<BigInt, _>(promised_after());
    let sum: Sum = either!(conn, |c| query.get_result(c).await)?;
    Ok(u64::try_from(sum.bytes).unwrap_or(0))
}

/// The upload with that id.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut Conn, id: &str) -> DbResult<Option<Upload>> {
    let query = uploads::table.find(id);
    Ok(either!(conn, |c| query.get_result(c).await.optional())?)
}

/// Takes the lease from whoever had it when `seen` was read; `false` when somebody was faster.
///
/// # Errors
/// The database's.
pub async fn take(conn: &mut Conn, seen: &Upload, lease: &str, until: i64) -> DbResult<bool> {
    let unchanged = uploads::id
        .eq(&seen.id)
        .and(uploads::lease.eq(&seen.lease))
        .and(uploads::leased_until.eq(seen.leased_until))
        .and(uploads::path.is_null());
    let statement = diesel::update(uploads::table.filter(unchanged))
        .set((uploads::lease.eq(lease), uploads::leased_until.eq(until)));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Writes down how far the holder of the lease has come, and until when they hold it; `false` when it is theirs no more.
///
/// # Errors
/// The database's.
pub async fn reached(
    conn: &mut Conn,
    id: &str,
    lease: &str,
    received: u64,
    until: i64,
    expires_at: i64,
) -> DbResult<bool> {
    let received = i64::try_from(received).unwrap_or(i64::MAX);
    let statement = diesel::update(uploads::table.filter(held(id, lease))).set((
        uploads::received.eq(received),
        uploads::leased_until.eq(until),
        uploads::expires_at.eq(expires_at),
    ));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Holds the lease for longer, unless it was let go.
///
/// # Errors
/// The database's.
pub async fn hold(conn: &mut Conn, id: &str, lease: &str, until: i64) -> DbResult<()> {
    let held = held(id, lease).and(uploads::leased_until.gt(0));
    let statement =
        diesel::update(uploads::table.filter(held)).set(uploads::leased_until.eq(until));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}

/// Gives it another `Upload-Metadata`; `false` when the lease is theirs no more.
///
/// # Errors
/// The database's.
pub async fn rename(conn: &mut Conn, id: &str, lease: &str, metadata: &str) -> DbResult<bool> {
    let statement =
        diesel::update(uploads::table.filter(held(id, lease))).set(uploads::metadata.eq(metadata));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Writes down where it was published; `false` when the lease is theirs no more.
///
/// # Errors
/// The database's.
pub async fn published(conn: &mut Conn, id: &str, lease: &str, path: &str) -> DbResult<bool> {
    let statement = diesel::update(uploads::table.filter(held(id, lease))).set((
        uploads::path.eq(path),
        uploads::received.eq(uploads::size),
        uploads::leased_until.eq(0),
        uploads::expires_at.eq(clock::now() + clock::span(KEPT_FOR)),
    ));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// Forgets it; `false` when it was not there.
///
/// # Errors
/// The database's.
pub async fn remove(conn: &mut Conn, id: &str) -> DbResult<bool> {
    let statement = diesel::delete(uploads::table.find(id));
    Ok(either!(conn, |c| statement.execute(c).await)? == 1)
}

/// The ids of those that are over and that nobody writes.
///
/// # Errors
/// The database's.
pub async fn over(conn: &mut Conn, now: i64) -> DbResult<Vec<String>> {
    let query = uploads::table
        .filter(uploads::expires_at.le(now))
        .filter(uploads::leased_until.le(now))
        .select(uploads::id);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// The ids of all.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut Conn) -> DbResult<Vec<String>> {
    let query = uploads::table.select(uploads::id);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// What is kept until later than this got a byte lately.
fn promised_after() -> i64 {
    clock::now() + clock::span(KEPT_FOR) - clock::span(PROMISED_FOR)
}

#[diesel::dsl::auto_type]
fn held<'a>(id: &'a str, lease: &'a str) -> _ {
    uploads::id
        .eq(id)
        .and(uploads::lease.eq(lease))
        .and(uploads::path.is_null())
}
