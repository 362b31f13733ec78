//! Connections to Postgres: the URL with its TLS wishes, the pool, and single connections for listening.

use std::time::Duration;

use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;

const POOL_SIZE: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often two connections are asked which session they have.
const ROUNDS: usize = 3;

/// Settings of every connection: a query that hangs must not hold a request, nor an idle transaction a lock. The index of
/// files is small enough to be in memory, and the default cost of a page, made for spinning disks, has it sorted anew
/// instead of read in order.
const SETUP: &str = "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'; SET lock_timeout = '5s'; \
     SET random_page_cost = 1.1";

/// A `postgres://` URL, understood. `sslmode` is read here, because `tokio-postgres` knows no `verify-full`.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Config,
    tls: tls::Wish,
}

/// The half of a connection that moves the bytes and yields what the server says on its own.
pub type Driver = tokio_postgres::Connection<
    Socket,
    <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream,
>;

impl PostgresUrl {
    /// Understands a `DATABASE_URL`.
    ///
    /// # Errors
    /// A sentence that completes "DATABASE_URL …" and never quotes the URL, which holds a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut mode = "prefer".to_owned();
        let mut root = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value.to_owned(),
                Some(("sslrootcert", value)) => {
                    let path = percent_encoding::percent_decode_str(value)
                        .decode_utf8()
                        .map_err(|_| "has a sslrootcert that is not a path")?;
                    root = Some(path.into_owned());
                }
                _ => rest.push(pair),
            }
        }
        let tls = tls::Wish::parse(&mode, root)?;
        let url = if rest.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", rest.join("&"))
        };
        let mut config: Config = url.parse().map_err(|_| {
            "must look like postgres://user:password@host:5432/name, with reserved characters percent-encoded"
        })?;
        if config.get_hosts().is_empty() {
            return Err("must name a host after postgres://user:password@".to_owned());
        }
        config.application_name("portcullis");
        config.connect_timeout(CONNECT_TIMEOUT);
        config.ssl_mode(match tls {
            tls::Wish::Off => SslMode::Disable,
            tls::Wish::Prefer => SslMode::Prefer,
            tls::Wish::Require | tls::Wish::Verify(_) => SslMode::Require,
        });
        Ok(Self { config, tls })
    }

    /// Whether the server is on this machine.
    pub fn is_local(&self) -> bool {
        self.config.get_hosts().iter().all(|host| match host {
            tokio_postgres::config::Host::Tcp(name) => {
                name == "localhost"
                    || name
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
            tokio_postgres::config::Host::Unix(_) => true,
        })
    }

    /// One connection of its own, not from the pool.
    ///
    /// # Errors
    /// The server's or the network's.
    pub async fn connect(&self) -> Result<(Client, Driver), String> {
        let tls = tls::connector(&self.tls)?;
        let connecting = self.config.connect(tls);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(pair)) => Ok(pair),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Err(late()),
        }
    }

    /// Whether a connection stays with one session of the server. Behind a pooler that lends sessions out by the transaction,
    /// two connections meet in one session, or one finds itself in another. The portal's prepared statements, settings and
    /// notifications would be lost there.
    ///
    /// # Errors
    /// As [`PostgresUrl::connect`].
    pub async fn keeps_sessions(&self) -> Result<bool, String> {
        let (first, driver) = self.connect().await?;
        let (second, other) = self.connect().await?;
        let drivers = [tokio::spawn(driver), tokio::spawn(other)];
        let looked = tokio::time::timeout(CONNECT_TIMEOUT, keep_apart(&first, &second)).await;
        drivers.iter().for_each(tokio::task::JoinHandle::abort);
        match looked {
            Ok(looked) => looked.map_err(|error| explain(&error)),
            Err(_) => Err(late()),
        }
    }

    /// One connection for diesel, with the session settings made.
    ///
    /// # Errors
    /// As [`PostgresUrl::connect`].
    pub async fn establish(&self) -> Result<AsyncPgConnection, String> {
        let (client, driver) = self.connect().await?;
        let mut conn = AsyncPgConnection::try_from_client_and_connection(client, driver)
            .await
            .map_err(|error| error.to_string())?;
        conn.batch_execute(SETUP)
            .await
            .map_err(|error| error.to_string())?;
        Ok(conn)
    }
}

/// Whether each has a session of its own, and keeps it. They are asked in an order in which sessions that are lent out by
/// turns do not come back to whoever had them.
async fn keep_apart(first: &Client, second: &Client) -> Result<bool, tokio_postgres::Error> {
    let (one, other) = (session(first).await?, session(second).await?);
    let mut are_kept = one != other;
    for _ in 0..ROUNDS {
        are_kept &= session(second).await? == other;
        are_kept &= session(first).await? == one;
        are_kept &= session(first).await? == one;
        are_kept &= session(second).await? == other;
    }
    Ok(are_kept)
}

fn late() -> String {
    "the database did not answer within 3 s".to_owned()
}

/// The server's number of the session that answers.
async fn session(client: &Client) -> Result<i32, tokio_postgres::Error> {
    // Nothing is prepared, which a pooler may not pass on.
    let messages = client.simple_query("SELECT pg_backend_pid()").await?;
    let number = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(number.unwrap_or_default())
}

/// The error with its causes: `tokio-postgres` says "db error" and keeps the reason one level down.
fn explain(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

pub fn pool(url: &PostgresUrl) -> Result<Pool<AsyncPgConnection>, String> {
    // Fails now, not at the first request, when the CA file cannot be read.
    tls::connector(&url.tls)?;
    let url = url.clone();
    // Connections live on the runtime that opened the pool: one made on a worker would stall with that worker.
    let runtime = Handle::current();
    let mut config = ManagerConfig::default();
    // Each is asked whether it lives before it is lent: a server that stands still is noticed within `WAIT`, and not by a
    // query that hangs for as long.
    config.recycling_method = RecyclingMethod::Verified;
    config.custom_setup = Box::new(move |_| {
        let url = url.clone();
        let task = runtime.spawn(async move { url.establish().await });
        async move {
            match task.await {
                Ok(Ok(conn)) => Ok(conn),
                Ok(Err(cause)) => Err(ConnectionError::BadConnection(cause)),
                Err(_) => Err(ConnectionError::BadConnection(
                    "the portal is shutting down".to_owned(),
                )),
            }
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", config);
    Pool::builder(manager)
        .max_size(POOL_SIZE)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_is_taken_out_of_the_url_and_understood() {
        for mode in ["disable", "prefer", "require", "verify-full"] {
            let url = format!("postgres://u:p@db.example/portal?sslmode={mode}&keepalives=1");
            assert!(PostgresUrl::parse(&url).is_ok(), "{mode}");
        }
        for wrong in [
            "postgres://u:p@db.example/portal?sslmode=maybe",
            "postgres://u:p@db.example/portal?sslmode=verify-ca",
            "postgres:///nohost",
            "postgres://u:p@host:notaport/x",
        ] {
            let Err(sentence) = PostgresUrl::parse(wrong) else {
                panic!("{wrong} was taken");
            };
            assert!(!sentence.contains("u:p"), "{sentence}");
        }
    }
}
