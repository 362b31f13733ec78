//! `portcullis doctor` names each planted fault and its cure, and `/admin/diagnostics` says the same.

use std::path::Path;

use portcullis::roles::Role;
use serde_json::Value;

use crate::sign_in::credentials::certificate;
use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::database::{self, Backend};
use crate::support::emulator::{Emulator, Endpoint, Fault};
use crate::support::pgbouncer::PgBouncer;
use crate::support::process::run;

const CALLBACK: &str = "http://localhost:8123/callback";

/// A machine where all is well, to plant one fault in.
struct Patient {
    emulator: Emulator,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Patient {
    async fn new() -> Self {
        let (emulator, folder) = (
            Emulator::start(0).await.unwrap(),
            tempfile::tempdir().unwrap(),
        );
        emulator.register_redirect_uri(CALLBACK);
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let settings = [
            ("AZURE_AUTHORITY_HOST", emulator.url()),
            ("AZURE_TENANT_ID", emulator.tenant().to_owned()),
            ("APP_REG_CLIENT_ID", emulator.client_id().to_owned()),
            ("APP_REG_CLIENT_SECRET", emulator.client_secret()),
            ("APP_REG_CLIENT_SECRET_EXPIRES_ON", "2099-12-31".to_owned()),
            ("APP_REG_REDIRECT_URI", CALLBACK.to_owned()),
            ("API_COOKIE_SECRET", COOKIE_SECRET[..64].to_owned()),
            ("DATABASE_URL", format!("sqlite://{}", path("portal.db"))),
            ("FILES_DIR", path("files")),
            ("UPLOAD_LIMIT", "1MB".to_owned()),
        ];
        let patient = Self {
            emulator,
            settings: settings
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            folder,
        };
        assert_eq!(patient.run(&["migrate"]).0, 0);
        patient
    }

    fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        run(self.folder.path(), &settings, arguments)
    }

    /// What the doctor says, as JSON, and whether the exit code fits it.
    fn examine(&self) -> Vec<Value> {
        let (code, text) = self.run(&["doctor", "--json"]);
        let end = text.rfind(']').unwrap_or_else(|| panic!("{text}"));
        let findings: Vec<Value> = serde_json::from_str(&text[..=end]).unwrap();
        let failed = findings.iter().any(|finding| finding["level"] == "fail");
        assert_eq!(code, i32::from(failed), "{text}");
        findings
    }

    /// Panics unless a finding of that level says the one and advises the other.
    #[track_caller]
    fn is_told(&self, level: &str, says: &str, cure: &str) {
        let findings = self.examine();
        let found = findings.iter().any(|finding| {
            finding["level"] == level
                && finding["says"].as_str().unwrap().contains(says)
                && finding["cure"].as_str().unwrap_or("").contains(cure)
        });
        assert!(
            found,
            "no {level} with {says:?} and {cure:?} in {findings:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_nothing_fails() {
    let patient = Patient::new().await;
    let findings = patient.examine();
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| finding["level"] != "ok" && finding["check"] != "redirect URI")
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(findings.len() >= 12, "{findings:#?}");
    let (code, text) = patient.run(&["doctor"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Entra takes APP_REG_CLIENT_SECRET"), "{text}");
    let kept = patient.emulator.client_secret();
    assert!(
        !text.contains(&kept) && !text.contains(&COOKIE_SECRET[..64]),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_in_the_settings_are_named_all_at_once() {
    let mut patient = Patient::new().await;
    patient.set("AZURE_TENANT_ID", "common");
    patient.set("PORT", "many");
    patient.set("APP_REG_CLIENT_CERT", "also");
    patient.set("FILES_DIR", "/absent");
    for (says, cure) in [
        (
            "AZURE_TENANT_ID must name one tenant",
            "correct AZURE_TENANT_ID",
        ),
        ("PORT", "correct PORT"),
        (
            "APP_REG_CLIENT_SECRET and APP_REG_CLIENT_CERT are both set",
            "correct",
        ),
        ("FILES_DIR names /absent", "correct FILES_DIR"),
    ] {
        patient.is_told("fail", says, cure);
    }
    let findings = patient.examine();
    assert!(
        findings.iter().any(|f| f["check"] == "schema"),
        "the rest is looked at"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_way_to_entra_are_told_apart() {
    let patient = Patient::new().await;
    let emulator = &patient.emulator;
    for (fault, says) in [
        (Fault::answer(500, "text/plain", "down"), "answers 500"),
        (
            Fault::answer(200, "text/html", "<h1>Proxy</h1>"),
            "not the JSON",
        ),
        (
            Fault::Redirect("http://localhost:1/".to_owned()),
            "answers 302",
        ),
    ] {
        emulator.disturb(Endpoint::Discovery, fault);
        patient.is_told("fail", says, "AZURE_AUTHORITY_HOST");
    }
    emulator.reset();
    let elsewhere = "http://localhost:1/11111111-2222-4333-8444-555555555555/v2.0";
    emulator.set_metadata("issuer", elsewhere);
    patient.is_told("fail", "names the issuer", "AZURE_TENANT_ID");
    emulator.reset();
    for (seconds, level) in [(0, "ok"), (100, "warn"), (-900, "fail")] {
        emulator.set_clock_ahead(seconds);
        let cure = if level == "ok" { "" } else { "NTP" };
        patient.is_told(level, "this machine's clock is", cure);
    }

    let mut nowhere = Patient::new().await;
    nowhere.set("AZURE_AUTHORITY_HOST", "http://localhost:1");
    nowhere.is_told("fail", "cannot be had", "AZURE_AUTHORITY_HOST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_app_registration_are_told_apart() {
    let mut patient = Patient::new().await;
    patient.set("APP_REG_REDIRECT_URI", "http://localhost:8124/callback");
    patient.is_told("fail", "AADSTS50011", "Redirect URIs");
    patient.set("APP_REG_REDIRECT_URI", CALLBACK);
    patient.set("APP_REG_CLIENT_ID", "99999999-9999-4999-8999-999999999999");
    patient.is_told("fail", "AADSTS700016", "APP_REG_CLIENT_ID");
    patient.set("APP_REG_CLIENT_ID", "");
    patient.is_told("fail", "nobody can sign in", "APP_REG_CLIENT_ID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_credential_are_told_apart() {
    let mut patient = Patient::new().await;
    patient.set("APP_REG_CLIENT_SECRET", "wrong");
    patient.is_told("fail", "not its Secret ID", "Certificates & secrets");
    patient.set("APP_REG_CLIENT_SECRET", &patient.emulator.client_secret());
    patient
        .emulator
        .fail_next_token("invalid_client", &[7_000_222]);
    patient.is_told("fail", "has expired", "Certificates & secrets");
    patient.set("APP_REG_CLIENT_SECRET_EXPIRES_ON", "2026-01-31");
    patient.is_told(
        "fail",
        "expired on 2026-01-31",
        "APP_REG_CLIENT_SECRET_NEXT",
    );
    patient.set("APP_REG_CLIENT_SECRET_EXPIRES_ON", "");
    patient.is_told(
        "warn",
        "nobody knows when",
        "APP_REG_CLIENT_SECRET_EXPIRES_ON",
    );
    patient.set("APP_REG_CLIENT_SECRET_NEXT", "not there yet");
    patient.is_told(
        "fail",
        "Entra refuses APP_REG_CLIENT_SECRET_NEXT",
        "Certificates & secrets",
    );

    patient.set("APP_REG_CLIENT_SECRET", "");
    patient.set("APP_REG_CLIENT_SECRET_NEXT", "");
    patient.set("APP_REG_CLIENT_CERT", &certificate().0);
    patient.is_told(
        "fail",
        "the certificate is not registered",
        "Certificates & secrets",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weak_or_forgotten_cookie_secrets_are_told() {
    let mut patient = Patient::new().await;
    patient.set("API_COOKIE_SECRET", &"00".repeat(32));
    patient.is_told("fail", "is not random", "openssl rand -hex 32");
    let one = &COOKIE_SECRET[..64];
    patient.set("API_COOKIE_SECRET", &format!("{one},{one}"));
    patient.is_told("warn", "twice", "old,new");
    patient.set(
        "API_COOKIE_SECRET",
        &format!("{one},{}a1", &COOKIE_SECRET[..62]),
    );
    patient.is_told("warn", "rotation is under way", "SESSION_TTL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_nobody_believes_is_told() {
    let mut patient = Patient::new().await;
    patient.set(
        "APP_REG_REDIRECT_URI",
        "https://files.contoso.example/callback",
    );
    patient.is_told("warn", "TRUSTED_PROXIES is empty", "SIGN_IN_RATE");
    // Where the portal ends TLS itself, nothing is in front.
    let (certificate, key) = crate::life::tls::certificate(patient.folder.path());
    patient.set("TLS_CERT_PATH", &certificate);
    patient.set("TLS_KEY_PATH", &key);
    patient.is_told("ok", "no proxy is expected", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_there_is_told_and_not_made() {
    let mut patient = Patient::new().await;
    let absent = patient.folder.path().join("absent.db");
    patient.set("DATABASE_URL", &format!("sqlite://{}", absent.display()));
    patient.is_told("warn", "is not there yet", "portcullis migrate");
    assert!(!absent.exists());
    patient.set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    patient.is_told("fail", "it cannot be used", "DATABASE_URL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_a_postgres_database_are_told_apart() {
    let Some(server) = database::postgres() else {
        return;
    };
    let mut patient = Patient::new().await;
    let url = server.empty_database().await;
    let name = url
        .rsplit('/')
        .next()
        .unwrap()
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    patient.set("DATABASE_URL", &url);
    patient.is_told("warn", "migrations have not run", "portcullis migrate");

    let role = format!("doctor_{name}");
    let rights = format!(
        "CREATE SCHEMA dim; CREATE TABLE dim.user_roles (email TEXT PRIMARY KEY, role TEXT NOT NULL);
         CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA dim TO {role}"
    );
    server.execute(&name, &rights).await;
    patient.set(
        "DATABASE_URL",
        &url.replace("portcullis@", &format!("{role}@")),
    );
    patient.is_told("fail", "roles cannot be read", "GRANT SELECT");
    patient.is_told(
        "warn",
        "not changed by the portal",
        "GRANT INSERT, UPDATE, DELETE",
    );
    patient.is_told("warn", "within ROLE_CACHE_TTL", "GRANT TRIGGER");
    server
        .execute(
            &name,
            &format!("ALTER ROLE {role} SET default_transaction_read_only = on"),
        )
        .await;
    patient.is_told("fail", "read-only", "primary server");

    let Some(pooler) = PgBouncer::start(server, "transaction") else {
        return;
    };
    patient.set("DATABASE_URL", &pooler.url(&name));
    patient.is_told("fail", "by the transaction", "pool_mode = session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_full_or_read_only_is_told() {
    let mut patient = Patient::new().await;
    patient.set("UPLOAD_LIMIT", "900TB");
    patient.is_told("warn", "less than the largest file", "UPLOAD_LIMIT");
    patient.set("UPLOAD_LIMIT", "1MB");
    let files = patient.folder.path().join("files");
    if mount(&files, "ro").is_none() {
        return crate::support::left_out("mounts", "a tmpfs cannot be mounted here");
    }
    patient.is_told(
        "fail",
        "nothing can be written",
        "let the portal's user write",
    );
    umount(&files);
}

fn mount(folder: &Path, options: &str) -> Option<()> {
    let mut mount = std::process::Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", options, "none"])
        .arg(folder);
    mount.status().ok()?.success().then_some(())
}

fn umount(folder: &Path) {
    let mut umount = std::process::Command::new("umount");
    assert!(umount.arg(folder).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_shows_the_same_to_admins() {
    let app = TestApp::start(Backend::Sqlite).await;
    let admin = app.signed_in_as(Role::Admin).await;
    let page = admin.get("/admin/diagnostics").await.expect(200).text();
    for part in [
        "Entra takes APP_REG_CLIENT_SECRET",
        "SQLite",
        "renamed in one step",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    app.emulator.set_client_secret("another");
    let page = admin.get("/admin/diagnostics").await.expect(200).text();
    assert!(
        page.contains("not its Secret ID") && page.contains("failed"),
        "{page}"
    );
    assert!(!page.contains(crate::support::emulator::CLIENT_SECRET));
    let headers = [("x-forwarded-for", "203.0.113.7")];
    let page = admin
        .send(
            reqwest::Method::GET,
            "/admin/diagnostics",
            &headers,
            Vec::new(),
        )
        .await
        .text();
    assert!(page.contains("add 127.0.0.1 to TRUSTED_PROXIES"), "{page}");
}
