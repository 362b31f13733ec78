//! `portcullis doctor` names each planted fault and its cure, and `/admin/diagnostics` says the same.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use portcullis::roles::Role;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::sign_in::credentials::{certificate, certificate_from};
use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::database::{self, Backend};
use crate::support::emulator::{Emulator, Endpoint, Fault};
use crate::support::pgbouncer::PgBouncer;
use crate::support::process::{portcullis, run};
use crate::support::slow_disk::SlowDisk;

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

    fn command(&self, arguments: &[&str]) -> Command {
        let settings = self.settings.iter();
        let settings: Vec<(&str, &str)> = settings
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        portcullis(self.folder.path(), &settings, arguments)
    }

    /// What the doctor says, as JSON alone on its standard output, and whether the exit code fits it.
    fn examine(&self) -> Vec<Value> {
        read(&self.command(&["doctor", "--json"]).output().unwrap())
    }

    /// Panics unless a finding of that level says the one and advises the other.
    #[track_caller]
    fn is_told(&self, level: &str, says: &str, cure: &str) {
        assert_told(&self.examine(), level, says, cure);
    }
}

fn read(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let findings: Vec<Value> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let failed = findings.iter().any(|finding| finding["level"] == "fail");
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{text}");
    findings
}

#[track_caller]
fn assert_told(findings: &[Value], level: &str, says: &str, cure: &str) {
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
async fn a_wrong_setting_keeps_no_other_fault_from_being_told() {
    let mut patient = Patient::new().await;
    patient.set("PORT", "many");
    patient.set("APP_REG_CLIENT_SECRET", "wrong");
    let findings = patient.examine();
    assert_told(&findings, "fail", "PORT", "correct PORT");
    assert_told(
        &findings,
        "fail",
        "not its Secret ID",
        "Certificates & secrets",
    );
    assert_told(&findings, "ok", "renamed in one step", "");
    // A wrong authority has no default that the secret could be shown to.
    patient.set("AZURE_AUTHORITY_HOST", "nonsense");
    let findings = patient.examine();
    assert!(
        findings.iter().all(|f| f["check"] != "credential"),
        "{findings:#?}"
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
    let near = crate::life::tls::near_its_end();
    patient.set("APP_REG_CLIENT_CERT", &certificate_from(&near).0);
    patient.is_told(
        "warn",
        "APP_REG_CLIENT_CERT expires in 5 days",
        "APP_REG_CLIENT_CERT_NEXT_PATH",
    );

    patient.set("APP_REG_CLIENT_CERT", "");
    let token = patient.folder.path().join("token");
    std::fs::write(&token, "of.another.platform").unwrap();
    patient.set("AZURE_FEDERATED_TOKEN_FILE", token.to_str().unwrap());
    patient.is_told(
        "fail",
        "Entra refuses AZURE_FEDERATED_TOKEN_FILE",
        "Certificates & secrets",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_nobody_listed_is_one_and_no_answer_is_no_consent() {
    let patient = Patient::new().await;
    for code in [700_021, 700_023, 700_025, 50_027] {
        patient.emulator.fail_next_token("invalid_client", &[code]);
        let says = format!(
            "Entra refuses APP_REG_CLIENT_SECRET: Entra answered invalid_client: AADSTS{code}"
        );
        patient.is_told("fail", &says, "Certificates & secrets");
    }
    let not_asked = "Entra could not be asked about APP_REG_CLIENT_SECRET";
    for error in ["server_error", "temporarily_unavailable"] {
        patient.emulator.fail_next_token(error, &[90_033]);
        patient.is_told("fail", not_asked, "AZURE_AUTHORITY_HOST");
    }
    let proxy = Fault::answer(502, "application/json", "{\"message\": \"bad gateway\"}");
    patient.emulator.disturb_next_token(proxy);
    patient.is_told("fail", not_asked, "AZURE_AUTHORITY_HOST");
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
    patient.is_told("ok", "TLS_CERT_PATH is good for", "");
    crate::life::tls::certificate_near_its_end(patient.folder.path());
    patient.is_told("warn", "TLS_CERT_PATH expires in 5 days", "TLS_KEY_PATH");
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
async fn a_sqlite_file_that_is_newer_or_cannot_be_written_is_told() {
    let patient = Patient::new().await;
    let file = patient.folder.path().join("portal.db");
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')";
    let written = Command::new("sqlite3").arg(&file).arg(newer).status();
    match written {
        Ok(status) => assert!(status.success()),
        Err(error) => return crate::support::left_out("sqlite3", &error.to_string()),
    }
    patient.is_told("warn", "does not know: 20990101000000", "migrate --undo");

    // Readable for everybody, writable for its owner, who is somebody else.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::set_permissions(patient.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    if let Err(error) = chown(patient.folder.path(), Some(65532), Some(65532)) {
        return crate::support::left_out("chroot", &error.to_string());
    }
    let output = patient
        .command(&["doctor", "--json"])
        .uid(65532)
        .gid(65532)
        .output()
        .unwrap();
    let findings = read(&output);
    assert_told(
        &findings,
        "fail",
        "nothing can be written into the database",
        "DATABASE_URL",
    );
    assert!(!String::from_utf8_lossy(&output.stdout).contains("may do what it has to"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_on_any_table_are_told() {
    let Some(server) = database::postgres() else {
        return;
    };
    let mut patient = Patient::new().await;
    let url = server.empty_database().await;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    patient.set("DATABASE_URL", &url);
    assert_eq!(patient.run(&["migrate"]).0, 0);
    let role = format!("narrow_{name}");
    let rights = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA dim TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dim TO {role};
         REVOKE UPDATE ON dim.audit, dim.audit_seals FROM {role}"
    );
    server.execute(name, &rights).await;
    patient.set(
        "DATABASE_URL",
        &url.replace("portcullis@", &format!("{role}@")),
    );
    // Nothing has to be made, and no row of the audit is ever changed.
    patient.is_told("ok", "may do what it has to", "");
    server
        .execute(
            name,
            &format!("REVOKE INSERT, UPDATE ON dim.sessions FROM {role}"),
        )
        .await;
    patient.is_told(
        "fail",
        "INSERT, UPDATE on dim.sessions is missing",
        &format!("ON dim.sessions TO {role}"),
    );
    let newer = "INSERT INTO dim.__diesel_schema_migrations (version) VALUES ('20990101000000')";
    server.execute(name, newer).await;
    patient.is_told("warn", "does not know: 20990101000000", "migrate --undo");
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
    patient.is_told(
        "fail",
        "cannot be brought up to date",
        "GRANT USAGE, CREATE ON SCHEMA dim",
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_look_at_the_same_moment_do_not_meet() {
    // All of one process, as those are whose containers number their processes from one.
    let app = TestApp::start(Backend::Sqlite).await;
    let mut looks = JoinSet::new();
    for _ in 0..64 {
        let settings = app.state.settings.clone();
        looks.spawn(async move { portcullis::doctor::files(&settings).await });
    }
    for findings in looks.join_all().await {
        let bad: Vec<_> = findings.iter().filter(|f| f.cure.is_some()).collect();
        assert!(
            bad.iter().all(|finding| finding.check == "space"),
            "{bad:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_hangs_is_told_and_does_not_keep_the_command_from_ending() {
    let patient = Patient::new().await;
    let disk = match SlowDisk::mount(&patient.folder.path().join("files"), 1) {
        Ok(disk) => disk,
        Err(why) => return crate::support::left_out("fuse", &why),
    };
    let said = patient.folder.path().join("said");
    let mut command = patient.command(&["doctor", "--json"]);
    command.stdout(std::fs::File::create(&said).unwrap());
    let mut doctor = command.spawn().unwrap();
    let ended = async {
        while !has_ended(doctor.id()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    let was_held = disk.held();
    disk.go_on();
    let output = Output {
        status: doctor.wait().unwrap(),
        stdout: std::fs::read(&said).unwrap(),
        stderr: Vec::new(),
    };
    assert!(ended.is_ok(), "it goes on");
    let findings = read(&output);
    assert_told(
        &findings,
        "fail",
        "does not answer within 5 s",
        "network share",
    );
    assert!(was_held > 0, "nothing hung");
}

/// Whether the process has come to its end. The kernel keeps what is left of it until this kind of file system answers.
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, state) = stat.rsplit_once(") ").unwrap();
    state.starts_with('Z')
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
