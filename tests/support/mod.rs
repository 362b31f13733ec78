//! What the suites stand on: a real portal on a real socket, a real database, an OpenID provider, a browser.

pub mod app;
pub mod chromium;
pub mod client;
pub mod database;
pub mod disk;
#[path = "../../examples/entra_emulator/emulator.rs"]
pub mod emulator;
pub mod gateway;
pub mod line;
pub mod nginx;
pub mod object_storage;
pub mod pgbouncer;
pub mod process;
pub mod reckoning;
#[path = "../../examples/seed/seed.rs"]
pub mod seed;
pub mod slow_disk;

use std::io::Write;

/// Says that something was left out, past the test runner's capture; fails where it was required.
pub fn left_out(what: &str, why: &str) {
    let required = std::env::var("PORTCULLIS_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name.trim() == what),
        "PORTCULLIS_REQUIRE names {what}, but: {why}"
    );
    let _ = writeln!(std::io::stderr(), "LEFT OUT ({what}): {why}");
}

/// Runs a test on SQLite and on Postgres: `on_both! { async fn name(app: TestApp) { … } }`.
macro_rules! on_both {
    ($(async fn $name:ident($app:ident: TestApp) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "what a suite imports serves all its tests")]
            use super::*;
            use $crate::support::app::TestApp;
            use $crate::support::database::Backend;

            async fn run($app: TestApp) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run(TestApp::start(Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::support::database::postgres().is_some() {
                    run(TestApp::start(Backend::Postgres).await).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both;
