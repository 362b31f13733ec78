//! `/metrics` counts what happens, and every name that an alarm may be set on is explained.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::roles::Role;
use reqwest::Method;

use crate::support::app::{TestApp, account};
use crate::support::database::{self, Backend};
use crate::support::emulator::accounts::KARL;

/// METRICS_TOKEN of these tests.
pub const TOKEN: &str = "a token of some length";

/// What `/metrics` says: each number under its name with its labels.
pub async fn read(app: &TestApp) -> BTreeMap<String, f64> {
    let lines = text(app).await;
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), number.parse().unwrap())
        })
        .collect()
}

async fn text(app: &TestApp) -> String {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    app.visitor()
        .send(Method::GET, "/metrics", &headers, Vec::new())
        .await
        .expect(200)
        .text()
}

/// The sum of all numbers of that name whose labels have these parts.
fn sum(read: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let fits = |key: &str| {
        key.split('{').next() == Some(name) && labels.iter().all(|label| key.contains(label))
    };
    let numbers = read.iter().filter(|(key, _)| fits(key));
    numbers.map(|(_, number)| number).sum()
}

async fn everything_that_happens_is_counted_once(backend: Backend) {
    const SIZE: usize = 123_456;
    let app = TestApp::builder(backend)
        .with("METRICS_TOKEN", TOKEN)
        .with("APP_REG_CLIENT_SECRET_EXPIRES_ON", "2099-12-31")
        .start()
        .await;
    app.write("figures.bin", vec![7; SIZE]);
    app.indexed().await;
    app.grant(KARL, Role::Reader).await;
    let before = read(&app).await;

    app.emulator.fail_next_token("invalid_client", &[7_000_222]);
    app.sign_in(&app.visitor(), KARL, "/").await.expect(401);
    let reader = app.signed_in_as(Role::Reader).await;
    reader.get("/api/files/figures.bin").await.expect(200);
    for _ in 0..5 {
        reader.get("/api/me").await.expect(200);
    }
    reader.get("/api/files/absent.bin").await.expect(404);
    app.eventually("the download is counted", async || {
        sum(&read(&app).await, "portcullis_downloads_total", &["whole"]) > 0.0
    })
    .await;

    let after = read(&app).await;
    let grew = |name, labels: &[&str]| sum(&after, name, labels) - sum(&before, name, labels);
    let files = "route=\"/api/files/";
    assert_eq!(grew("portcullis_sign_ins_total", &["signed_in"]), 1.0);
    assert_eq!(grew("portcullis_sign_ins_total", &["secret_expired"]), 1.0);
    assert_eq!(grew("portcullis_sign_ins_total", &[]), 2.0);
    assert_eq!(grew("portcullis_downloads_total", &[]), 1.0);
    assert_eq!(grew("portcullis_download_bytes_total", &[]), SIZE as f64);
    let requests = "portcullis_requests_total";
    assert_eq!(grew(requests, &["\"GET\"", files, "\"200\""]), 1.0);
    assert_eq!(grew(requests, &["\"GET\"", files, "\"404\""]), 1.0);
    let me = "route=\"/api/me\"";
    assert_eq!(grew(requests, &[me]), 6.0, "the sign-in ends there, too");
    assert_eq!(grew("portcullis_request_seconds_count", &[files]), 2.0);
    assert_eq!(grew("portcullis_request_seconds_count", &[me]), 6.0);
    let in_all = grew("portcullis_request_seconds_bucket", &[me, "\"+Inf\""]);
    assert_eq!(in_all, 6.0);
    assert!(grew("portcullis_request_seconds_sum", &[me]) > 0.0);
    assert!(grew("portcullis_role_lookups_total", &["cache"]) >= 5.0);
    assert!(grew("portcullis_role_lookups_total", &["database"]) >= 1.0);

    assert_eq!(after["portcullis_database_up"], 1.0);
    assert!(sum(&after, "portcullis_database_connections", &[]) >= 1.0);
    assert!((0.0..60.0).contains(&after["portcullis_entra_keys_age_seconds"]));
    let secret = "portcullis_credential_days_left{credential=\"APP_REG_CLIENT_SECRET\"}";
    assert!(after[secret] > 20_000.0);
    assert_eq!(after["portcullis_index_files"], 1.0);
    assert!(after["portcullis_index_scan_seconds"] > 0.0);
    assert_eq!(after["portcullis_index_warning"], 0.0);
    app.eventually("the trash was tended", async || {
        read(&app).await["portcullis_trash_tended_timestamp_seconds"] > 1.7e9
    })
    .await;
    app.eventually("every row of the audit is sealed", async || {
        read(&app).await["portcullis_audit_waiting"] == 0.0
    })
    .await;
    queues_are_measured(&app).await;
    let told: BTreeSet<String> = families(&text(&app).await);
    assert_eq!(told, registered(), "each family was seen with a number");
}

/// Rows that wait in the tables are counted there.
async fn queues_are_measured(app: &TestApp) {
    let email = account(Some(Role::Reader));
    app.execute(
        "INSERT INTO dim.webhook_messages (body, written_at, attempts, due_at) VALUES ('{}', 1, 0, 1)",
    )
    .await;
    app.execute(&format!(
        "INSERT INTO dim.uploads (id, email, metadata, size, received, expires_at, lease, leased_until)
         VALUES ('waits', '{email}', '', 9, 0, 9000000000000000, '', 0)"
    ))
    .await;
    app.eventually("the checksum of what is there is known", async || {
        read(app).await["portcullis_waiting{what=\"checksums\"}"] == 0.0
    })
    .await;
    app.execute(
        "INSERT INTO dim.items (path, folder, name, sort_key, size, modified_at)
         VALUES ('gone.txt', '', 'gone.txt', 'gone.txt', 1, 1)",
    )
    .await;
    let read = read(app).await;
    assert_eq!(read["portcullis_waiting{what=\"webhook\"}"], 1.0);
    assert_eq!(read["portcullis_waiting{what=\"uploads\"}"], 1.0);
    let file_that_is_gone = read["portcullis_waiting{what=\"checksums\"}"];
    assert_eq!(file_that_is_gone, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_happens_is_counted_once_sqlite() {
    everything_that_happens_is_counted_once(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_happens_is_counted_once_postgres() {
    if database::postgres().is_some() {
        everything_that_happens_is_counted_once(Backend::Postgres).await;
    }
}

fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// What the code registers.
fn registered() -> BTreeSet<String> {
    let code = include_str!("../src/metrics.rs");
    let names = code.split('"').skip(1).step_by(2);
    let names = names.filter(|name| name.starts_with("portcullis_"));
    names.map(str::to_owned).collect()
}

#[test]
fn documents_name_no_metric_that_is_not_there_and_each_alarm_is_in_the_runbook() {
    /// Nobody is woken by these.
    const FOR_LOOKING_AT: [&str; 8] = [
        "portcullis_database_connections",
        "portcullis_download_bytes_total",
        "portcullis_downloads_total",
        "portcullis_index_files",
        "portcullis_index_scan_seconds",
        "portcullis_request_seconds",
        "portcullis_role_lookups_total",
        "portcullis_waiting",
    ];
    let registered = registered();
    assert!(registered.len() > 12, "{registered:?}");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    for document in crate::docs::documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for rest in text.split("portcullis_").skip(1) {
            let rest = rest
                .split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .next();
            let name = format!("portcullis_{}", rest.unwrap());
            // The database's own: a trigger.
            let is_known = registered.contains(&name) || name == "portcullis_role_change";
            assert!(is_known, "{} names {name}", document.display());
        }
    }
    let operations = read("docs/operations.md");
    let runbook = operations.split("## Runbook").nth(1).unwrap();
    for name in &registered {
        let is_explained = runbook.contains(&format!("`{name}"));
        let is_for_looking_at = FOR_LOOKING_AT.contains(&name.as_str());
        assert!(is_explained != is_for_looking_at, "{name}");
    }
}
