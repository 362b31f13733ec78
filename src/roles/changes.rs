//! Notices changes that others make, and whether the database is there: one task, one connection of its own.

use std::sync::Arc;
use std::time::Duration;

use diesel::{QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use super::cache::People;
use super::orphans;
use crate::db::{Conn, Db, DbError, DbResult, PostgresUrl, migrate};
use crate::rules::cache::{CHANGED as RULES_CHANGED, Rulebook};

const HEARTBEAT: Duration = Duration::from_secs(2);
/// SQLite has no notifications; this is how soon a change by another process is noticed.
const SQLITE_HEARTBEAT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(2);
/// What is announced when it is not known whose row changed.
const EVERYBODY: &str = "*";
/// Addresses looked after in one query.
const AT_ONCE: usize = 500;
const RETRY: Duration = Duration::from_secs(1);

/// Watches until the process ends. `migrated` says whether the schema is known to be up to date;
/// if not (the server was away at the start) it is brought there first.
pub async fn watch(db: Db, people: Arc<People>, rules: Arc<Rulebook>, mut migrated: bool) {
    loop {
        let cause = match watch_once(&db, &people, &rules, &mut migrated).await {
            Ok(()) => "the connection was closed".to_owned(),
            Err(cause) => cause.to_string(),
        };
        if people.set_available(false) || !migrated {
            log::error!("the database is away, every closed page answers 503: {cause}");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn watch_once(
    db: &Db,
    people: &People,
    rules: &Rulebook,
    migrated: &mut bool,
) -> DbResult<()> {
    if !*migrated {
        migrate::run(db).await?;
        *migrated = true;
    }
    match db {
        Db::Postgres(_, url) => watch_postgres(db, url, people, rules).await,
        Db::Sqlite(..) => watch_sqlite(db, people, rules).await,
    }
}

async fn watch_postgres(
    db: &Db,
    url: &PostgresUrl,
    people: &People,
    rules: &Rulebook,
) -> DbResult<()> {
    let (client, mut driver) = url.connect().await.map_err(DbError::Away)?;
    let (sender, mut notifications) = mpsc::unbounded_channel();
    let driving = tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |cx| driver.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message
                && sender.send(notification.payload().to_owned()).is_err()
            {
                return;
            }
        }
    });
    let _ended_with_us = AbortOnDrop(driving);

    within(client.batch_execute("LISTEN portcullis")).await?;
    // What changed while nobody listened is unknown.
    people.forget_all();
    rules.forget();
    let (changed, changes) = mpsc::unbounded_channel();
    let _ended_as_well = AbortOnDrop(tokio::spawn(release(db.clone(), changes)));
    let _ = changed.send(EVERYBODY.to_owned());
    open(people);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            payload = notifications.recv() => match payload {
                Some(payload) if payload == RULES_CHANGED => rules.forget(),
                Some(email) => {
                    match email == EVERYBODY {
                        true => people.forget_all(),
                        false => people.forget(&email),
                    }
                    let _ = changed.send(email);
                }
                None => return Ok(()),
            },
            _ = heartbeat.tick() => beat(&client).await?,
        }
    }
}

/// See [`orphans`].
async fn release(db: Db, mut changes: mpsc::UnboundedReceiver<String>) {
    let mut emails = Vec::new();
    while changes.recv_many(&mut emails, AT_ONCE).await > 0 {
        let everybody = emails.iter().any(|email| email == EVERYBODY);
        let these = (!everybody).then_some(emails.as_slice());
        let released = async { orphans::release(&mut db.conn().await?, these).await };
        tell(released.await);
        emails.clear();
    }
}

fn tell(released: DbResult<usize>) {
    match released {
        Ok(0) => {}
        Ok(count) => log::info!("{count} facts about addresses without a role were forgotten"),
        Err(error) => log::warn!("facts about addresses without a role stay for now: {error}"),
    }
}

async fn beat(client: &Client) -> DbResult<()> {
    within(client.batch_execute("SELECT 1")).await
}

async fn within(work: impl Future<Output = Result<(), tokio_postgres::Error>>) -> DbResult<()> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(DbError::Away(error.to_string())),
        Err(_) => Err(DbError::Away("no answer within 2 s".to_owned())),
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = sql_types::BigInt)]
    data_version: i64,
}

async fn watch_sqlite(db: &Db, people: &People, rules: &Rulebook) -> DbResult<()> {
    // The counter tells of changes by other connections, so it is always asked on this one.
    let mut conn = db.conn().await?;
    let mut seen = None;
    let mut heartbeat = tokio::time::interval(SQLITE_HEARTBEAT);
    loop {
        heartbeat.tick().await;
        let version = data_version(&mut conn).await?;
        if seen.replace(version) != Some(version) {
            people.forget_all();
            rules.forget();
            tell(orphans::release(&mut conn, None).await);
        }
        open(people);
    }
}

async fn data_version(conn: &mut Conn) -> DbResult<i64> {
    let query = diesel::sql_query("PRAGMA dim.data_version");
    let Conn::Sqlite(object) = conn else {
        return Ok(0);
    };
    let version: Version = query.get_result(&mut **object).await?;
    Ok(version.data_version)
}

fn open(people: &People) {
    if people.set_available(true) {
        log::info!("the database answers");
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
