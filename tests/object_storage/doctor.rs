//! `portcullis doctor` looks at the storage, and names each planted fault with its cure.

use serde_json::Value;

use crate::support::app::COOKIE_SECRET;
use crate::support::object_storage::{Bucket, Kind, Server};
use crate::support::process::run;

/// What the doctor says of a portal with these settings, by check.
fn examine(bucket: &Bucket, changes: &[(&str, &str)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("portal.db").display());
    let mut settings: Vec<(String, String)> = bucket
        .variables()
        .into_iter()
        .chain([
            ("TEST_MODE", "true".to_owned()),
            ("API_COOKIE_SECRET", COOKIE_SECRET[..64].to_owned()),
            ("DATABASE_URL", database),
        ])
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (name, value) in changes {
        settings.retain(|(known, _)| known != name);
        settings.push(((*name).to_owned(), (*value).to_owned()));
    }
    let path = std::env::var("PATH").unwrap();
    settings.push(("PATH".to_owned(), path));
    let pairs: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (_, text) = run(folder.path(), &pairs, &["doctor", "--json"]);
    let end = text.rfind(']').unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(&text[..=end]).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn says(findings: &[Value], check: &str, level: &str, words: &str) {
    let found = findings.iter().any(|finding| {
        let text = format!("{} {}", finding["says"], finding["cure"]);
        finding["check"] == check && finding["level"] == level && text.contains(words)
    });
    assert!(
        found,
        "no {level} for {check} with {words:?}: {findings:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_azure_well_and_names_each_fault() {
    let Some(server) = Server::shared(Kind::Azure) else {
        return;
    };
    let bucket = server.bucket().await;
    let well = examine(&bucket, &[]);
    for check in [
        "storage",
        "storage clock",
        "storage access",
        "container",
        "publishing",
    ] {
        says(&well, check, "ok", "");
    }
    assert_eq!(bucket.keys().await, Vec::<String>::new(), "nothing is left");
    let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    says(
        &examine(&bucket, &[("AZURE_STORAGE_ACCOUNT_KEY", wrong)]),
        "storage access",
        "fail",
        "AZURE_STORAGE_ACCOUNT_KEY",
    );
    says(
        &examine(&bucket, &[("FILES_URL", "az://devstoreaccount1/nowhere")]),
        "container",
        "fail",
        "nowhere",
    );
    let gone = format!(
        "http://127.0.0.1:{}/devstoreaccount1",
        crate::support::database::free_port()
    );
    says(
        &examine(&bucket, &[("AZURE_STORAGE_ENDPOINT", &gone)]),
        "storage",
        "fail",
        "cannot be reached",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_s3_well_and_names_each_fault() {
    let Some(server) = Server::shared(Kind::S3) else {
        return;
    };
    let bucket = server.bucket().await;
    let well = examine(&bucket, &[]);
    for check in [
        "storage",
        "storage clock",
        "storage access",
        "container",
        "publishing",
    ] {
        says(&well, check, "ok", "");
    }
    assert_eq!(bucket.keys().await, Vec::<String>::new(), "nothing is left");
    says(
        &examine(&bucket, &[("AWS_SECRET_ACCESS_KEY", "another")]),
        "storage access",
        "fail",
        "AWS_SECRET_ACCESS_KEY",
    );
    says(
        &examine(&bucket, &[("AWS_ACCESS_KEY_ID", "another")]),
        "storage access",
        "fail",
        "AWS_ACCESS_KEY_ID",
    );
    says(
        &examine(&bucket, &[("FILES_URL", "s3://nowhere")]),
        "container",
        "fail",
        "nowhere",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_from_the_storages_is_named() {
    for (kind, seconds, level) in [
        (Kind::S3, 300, "warn"),
        (Kind::S3, 1_800, "fail"),
        (Kind::Azure, 1_800, "fail"),
    ] {
        let Some(server) = Server::ahead(kind, seconds) else {
            return;
        };
        let bucket = Bucket {
            kind,
            port: server.port,
            name: "any".to_owned(),
        };
        says(
            &examine(&bucket, &[]),
            "storage clock",
            level,
            "s behind the storage's",
        );
    }
}
