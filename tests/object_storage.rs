//! FILES_URL: a whole portal whose files lie in Azurite or in an S3 server, which other programs write into as well.

mod away;
mod doctor;
mod downloads;
mod first;
mod hangs;
mod identity;
mod index;
mod keys;
mod publishing;
mod redirect;
mod unfinished;

use portcullis::roles::Role;

use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::{self, Backend};
use crate::support::object_storage::{Bucket, Kind, Server};

/// A portal over a container of its own.
pub struct Stored {
    pub app: TestApp,
    pub bucket: Bucket,
}

impl Stored {
    /// Azurite goes with SQLite, S3 with Postgres; `None` when one of them is not installed.
    pub async fn start(kind: Kind, more: &[(&str, &str)]) -> Option<Self> {
        let server = Server::shared(kind)?;
        Self::over(server, more).await
    }

    /// As [`Stored::start`], over that server.
    pub async fn over(server: &Server, more: &[(&str, &str)]) -> Option<Self> {
        let bucket = server.bucket().await;
        let app = portal(&bucket, more).await?;
        Some(Self { app, bucket })
    }

    pub async fn signed_in_as(&self, role: Role) -> Browser {
        self.app.signed_in_as(role).await
    }
}

/// A portal over that bucket.
pub async fn portal(bucket: &Bucket, more: &[(&str, &str)]) -> Option<TestApp> {
    let backend = match bucket.kind {
        Kind::Azure => Backend::Sqlite,
        Kind::S3 => Backend::Postgres,
    };
    if backend == Backend::Postgres {
        database::postgres()?;
    }
    let mut builder = TestApp::builder(backend);
    for (name, value) in bucket.variables() {
        builder = builder.with(name, &value);
    }
    for (name, value) in more {
        builder = builder.with(name, value);
    }
    Some(builder.start().await)
}

/// Runs a test over Azurite with SQLite and over S3 with Postgres.
macro_rules! on_both_storages {
    ($(async fn $name:ident($stored:ident: Stored $(, $variable:literal = $value:literal)*) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "what a suite imports serves all its tests")]
            use super::*;
            use $crate::object_storage::Stored;
            use $crate::support::object_storage::Kind;

            async fn run($stored: Stored) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn azure() {
                if let Some(stored) = Stored::start(Kind::Azure, &[$(($variable, $value)),*]).await {
                    run(stored).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn s3() {
                if let Some(stored) = Stored::start(Kind::S3, &[$(($variable, $value)),*]).await {
                    run(stored).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both_storages;
