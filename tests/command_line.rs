//! The binary itself, as a developer and an operator start it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::process::{Running, portcullis, run};

#[test]
fn the_bare_binary_lists_what_is_missing_and_never_lets_a_fake_user_in() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(folder.path(), &[], &[]);
    assert_eq!(code, 1);
    for name in [
        "AZURE_TENANT_ID",
        "APP_REG_CLIENT_ID",
        "APP_REG_CLIENT_SECRET",
        "API_COOKIE_SECRET",
        "DEV_MODE=true",
    ] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_run_starts_with_a_fake_admin_and_files_to_click_on() {
    let folder = tempfile::tempdir().unwrap();
    // What cargo sets for the program that it runs.
    let cargo = [("CARGO", "cargo"), ("CARGO_PKG_NAME", "portcullis")];
    let portal = Running::start(folder.path(), &cargo).await;
    let me = portal.browser.get("/api/me").await.expect(200).json();
    assert_eq!(
        (me["email"].as_str(), me["role"].as_str()),
        (Some("dev.user@example.com"), Some("admin"))
    );
    let page = portal.browser.navigate("/").await.expect(200).text();
    assert!(page.contains("Development mode"), "a banner on every page");
    let items = portal.browser.get("/api/items").await.expect(200).json();
    let first = items[0]["download_url"].as_str().unwrap().to_owned();
    portal.browser.get(&first).await.expect(200);

    for (headers, status) in [
        (&[("host", "evil.example")][..], 421),
        (&[("host", "localhost:1")][..], 200),
        (&[("x-forwarded-for", "1.2.3.4")][..], 421),
        (&[("x-forwarded-host", "localhost")][..], 421),
        (&[("forwarded", "for=1.2.3.4")][..], 421),
        (&[("via", "1.1 proxy")][..], 421),
        (&[("x-real-ip", "1.2.3.4")][..], 421),
        (&[("cf-connecting-ip", "1.2.3.4")][..], 421),
    ] {
        let reply = portal
            .browser
            .send(reqwest::Method::GET, "/", headers, Vec::new())
            .await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dev_users_role_is_changed_without_sql_while_the_portal_runs() {
    let folder = tempfile::tempdir().unwrap();
    let dev = [("DEV_MODE", "true")];
    let portal = Running::start(folder.path(), &dev).await;
    let role = async || portal.browser.get("/api/me").await.json()["role"].clone();
    assert_eq!(role().await, "admin");
    let (code, text) = run(
        folder.path(),
        &dev,
        &["roles", "grant", "Dev.User@example.com", "reader"],
    );
    assert_eq!(code, 0, "{text}");
    let began = Instant::now();
    while role().await != "reader" {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the change is not noticed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, list) = run(folder.path(), &dev, &["roles", "list"]);
    assert!(list.contains("dev.user@example.com\treader"), "{list}");
    assert_eq!(
        run(
            folder.path(),
            &dev,
            &["roles", "revoke", "dev.user@example.com"]
        )
        .0,
        0
    );
    assert_eq!(
        run(
            folder.path(),
            &dev,
            &["roles", "revoke", "dev.user@example.com"]
        )
        .0,
        1
    );
    assert_ne!(
        run(folder.path(), &dev, &["roles", "grant", "x@y", "owner"]).0,
        0
    );
    assert_ne!(
        run(
            folder.path(),
            &dev,
            &["roles", "grant", "no address", "admin"]
        )
        .0,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_the_portals_own_and_a_later_start_warns_of_the_fake_user() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dev = Running::start(folder.path(), &[("DEV_MODE", "true")]).await;
    let file = folder.path().join("data/portcullis.db");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(dev);
    let real = [
        ("AZURE_TENANT_ID", "11111111-2222-4333-8444-555555555555"),
        ("AZURE_AUTHORITY_HOST", "http://localhost:1"),
        ("APP_REG_CLIENT_ID", "22222222-3333-4444-8555-666666666666"),
        ("APP_REG_CLIENT_SECRET", "secret"),
        ("API_COOKIE_SECRET", &"ab".repeat(32)),
    ];
    let portal = Running::start(folder.path(), &real).await;
    let log = portal.log();
    assert!(
        log.contains("portcullis roles revoke dev.user@example.com"),
        "{log}"
    );
}

#[test]
fn a_dotenv_file_further_up_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("app");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(folder.path().join(".env"), "PORT=nonsense\nDEV_MODE=true\n").unwrap();
    let (code, text) = run(&below, &[], &[]);
    assert_eq!(code, 1);
    assert!(
        text.contains("AZURE_TENANT_ID") && !text.contains("PORT"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn development_mode_writes_no_admin_into_a_database_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("portal.db").display());
    let dev = [("DEV_MODE", "true"), ("DATABASE_URL", database.as_str())];
    assert_eq!(run(folder.path(), &dev, &["migrate"]).0, 0);
    let portal = Running::start(folder.path(), &dev).await;
    assert!(portal.browser.get("/api/me").await.expect(200).json()["role"].is_null());
    let page = portal.browser.navigate("/").await.expect(403).text();
    assert!(page.contains("dev.user@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_mode_believes_the_header_and_no_other_mode_does() {
    let folder = tempfile::tempdir().unwrap();
    let test = [("TEST_MODE", "true")];
    let portal = Running::start(folder.path(), &test).await;
    let email = async |headers: &[(&str, &str)]| {
        let reply = portal
            .browser
            .send(reqwest::Method::GET, "/api/me", headers, Vec::new())
            .await;
        reply.expect(200).json()["email"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(email(&[]).await, "test.user@example.com");
    assert_eq!(
        email(&[("x-test-user", "Grace@X.example")]).await,
        "grace@x.example"
    );
    drop(portal);
    let dev = Running::start(folder.path(), &[("DEV_MODE", "true")]).await;
    let headers = [("x-test-user", "grace@x.example")];
    let me = dev
        .browser
        .send(reqwest::Method::GET, "/api/me", &headers, Vec::new())
        .await
        .json();
    assert_eq!(me["email"], "dev.user@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_just_ended_is_in_the_audit_after_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let dev = [("DEV_MODE", "true")];
    let mut portal = Running::start(folder.path(), &dev).await;
    portal
        .browser
        .get("/api/files/Welcome.txt")
        .await
        .expect(200);
    portal.signal("TERM");
    let status = portal.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let db = portcullis::db::Db::open(&portcullis::settings::DatabaseSettings::Sqlite {
        path: folder.path().join("data/portcullis.db"),
        is_default: false,
    })
    .unwrap();
    let mut conn = db.conn().await.unwrap();
    let newest = portcullis::audit::store::newest(&mut conn, 1)
        .await
        .unwrap();
    assert_eq!(
        (newest[0].action.as_str(), newest[0].subject.as_str()),
        ("downloaded", "Welcome.txt")
    );
}

#[test]
fn a_settings_file_serves_and_a_typo_in_it_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, "DATABASE_URL = \"sqlite://from-file.db\"\n").unwrap();
    let named = [("PORTCULLIS_CONFIG", file.to_str().unwrap())];
    assert_eq!(run(folder.path(), &named, &["migrate"]).0, 0);
    assert!(folder.path().join("from-file.db").exists());

    let both = [named[0], ("DATABASE_URL", "sqlite://from-environment.db")];
    assert_eq!(run(folder.path(), &both, &["migrate"]).0, 0);
    assert!(
        folder.path().join("from-environment.db").exists(),
        "the environment wins"
    );

    std::fs::write(&file, "DATABASE_URI = \"sqlite://x.db\"\nPORT = 8000\n").unwrap();
    let (code, text) = run(folder.path(), &named, &["migrate"]);
    assert_eq!(code, 1);
    assert!(text.contains("DATABASE_URI"), "{text}");
    std::fs::write(&file, "DATABASE_URL = \n").unwrap();
    assert!(
        run(folder.path(), &named, &["migrate"])
            .1
            .contains("PORTCULLIS_CONFIG")
    );

    std::fs::write(
        folder.path().join(".env"),
        "DATABASE_URL=sqlite://from-dotenv.db\nPORT=\n",
    )
    .unwrap();
    assert_eq!(run(folder.path(), &[], &["migrate"]).0, 0);
    assert!(folder.path().join("from-dotenv.db").exists());
}

#[test]
fn a_command_checks_only_the_settings_it_uses() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(
        folder.path(),
        &[("PORT", "nonsense"), ("DEV_MODE", "perhaps")],
        &["roles", "list"],
    );
    assert_eq!(code, 0, "{text}");
    let (code, secret) = run(folder.path(), &[], &["secret"]);
    assert_eq!((code, secret.trim().len()), (0, 64));
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut child = portcullis(folder.path(), &[("DEV_MODE", "true"), ("PORT", &port)], &[])
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(text.contains("PORT"), "{text}");
}

/// Standard output of a command that succeeds.
fn output(folder: &Path, arguments: &[&str]) -> String {
    let output = portcullis(folder, &[("DATABASE_URL", "sqlite://portal.db")], arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard output and standard error of a command that fails.
fn failure(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = portcullis(folder, &[("DATABASE_URL", "sqlite://portal.db")], arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Each line as JSON: data alone stands on standard output.
fn objects(folder: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let all = [arguments, &["--json"]].concat();
    let text = output(folder, &all);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

#[test]
fn roles_and_people_are_managed_with_data_alone_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(output(folder, &["roles", "list"]).is_empty());
    let granted = objects(
        folder,
        &[
            "roles",
            "grant",
            "Ada@x.example",
            "admin",
            "--note",
            "the first",
        ],
    );
    assert_eq!(granted[0]["email"], "ada@x.example");
    output(
        folder,
        &[
            "roles",
            "grant",
            "karl@x.example",
            "reader",
            "--until",
            "2999-12-31",
        ],
    );
    let listed = objects(folder, &["roles", "list"]);
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["note"], &listed[1]["until"]),
        (&"the first".into(), &"2999-12-31".into())
    );
    for (arguments, sentence) in [
        (
            &["roles", "revoke", "ada@x.example"][..],
            "Nobody would be left",
        ),
        (
            &["roles", "grant", "ada@x.example", "reader"],
            "Nobody would be left",
        ),
        (
            &[
                "roles",
                "grant",
                "ada@x.example",
                "admin",
                "--until",
                "2999-01-01",
            ],
            "Nobody would be left",
        ),
        (
            &[
                "roles",
                "grant",
                "karl@x.example",
                "reader",
                "--until",
                "2001-01-01",
            ],
            "has passed",
        ),
        (&["roles", "revoke", "nobody@x.example"], "has no role"),
        (&["requests", "approve", "7", "reader"], "no open request"),
    ] {
        let (out, error) = failure(folder, arguments);
        assert!(
            out.is_empty() && error.contains(sentence),
            "{arguments:?}: {out} {error}"
        );
    }
    let shown = &objects(folder, &["people", "show", "KARL@x.example"])[0];
    assert_eq!(
        (&shown["role"], &shown["until"], &shown["sessions"]),
        (&"reader".into(), &"2999-12-31".into(), &0.into())
    );
    assert_eq!(
        objects(folder, &["people", "why", "karl@x.example"])[0]["may"],
        true
    );
    assert_eq!(
        objects(folder, &["people", "why", "nobody@x.example"])[0]["may"],
        false
    );
    assert_eq!(
        objects(folder, &["people", "sign-out", "karl@x.example"])[0]["sessions_ended"],
        0
    );
    assert_eq!(
        objects(folder, &["people", "rebind", "karl@x.example"])[0]["was_bound"],
        false
    );
    assert!(objects(folder, &["requests", "list"]).is_empty());
}

#[test]
fn a_list_goes_out_and_comes_back_and_is_only_applied_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    output(folder, &["roles", "grant", "ada@x.example", "admin"]);
    output(folder, &["roles", "grant", "old@x.example", "reader"]);
    let exported = output(folder, &["roles", "export"]);
    assert!(
        exported.starts_with("email,role,until,note\r\nada@x.example,admin,,"),
        "{exported}"
    );
    let list = folder.join("list.csv");
    std::fs::write(&list, exported.replace("old@", "new@")).unwrap();
    let import = ["roles", "import", "list.csv", "--complete"];
    let shown = output(folder, &import);
    assert_eq!(
        shown,
        "added\tnew@x.example\tno role\treader\nremoved\told@x.example\treader\tno role\n"
    );
    assert!(output(folder, &["roles", "list"]).contains("old@x.example"));
    let applied = objects(folder, &[&import[..], &["--apply"]].concat());
    assert_eq!((applied.len(), &applied[1]["kind"]), (2, &"removed".into()));
    assert!(output(folder, &["roles", "list"]).contains("new@x.example"));
    assert!(output(folder, &import).is_empty());
    std::fs::write(&list, "nobody,reader\n").unwrap();
    assert!(failure(folder, &import).0.contains("line 1\tnobody"));
    std::fs::write(&list, "new@x.example,reader\n").unwrap();
    let (out, error) = failure(folder, &[&import[..], &["--apply"]].concat());
    assert!(
        out.is_empty() && error.contains("Nobody would be left"),
        "{error}"
    );
    let told = objects(folder, &["audit", "export", "--action", "role_granted"]);
    let references: Vec<_> = told
        .iter()
        .filter(|row| row["detail"]["source"] == "import")
        .map(|row| row["reference"].clone())
        .collect();
    assert!(!references.is_empty() && references.iter().all(|reference| reference.is_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_is_read_exported_and_checked_at_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("files")).unwrap();
    let url = "sqlite://portal.db";
    for number in 0..30 {
        output(
            folder.path(),
            &["roles", "grant", &format!("p{number}@x.example"), "reader"],
        );
    }
    let waiting = &objects(folder.path(), &["audit", "verify"])[0];
    assert_eq!(
        (&waiting["waiting"], &waiting["rows"]),
        (&30.into(), &0.into())
    );
    let portal = Running::start(
        folder.path(),
        &[
            ("DEV_MODE", "true"),
            ("DATABASE_URL", url),
            ("FILES_DIR", "files"),
        ],
    )
    .await;
    let began = Instant::now();
    while objects(folder.path(), &["audit", "verify"])[0]["waiting"] != 0 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the portal seals"
        );
    }
    let mut follower = portcullis(
        folder.path(),
        &[("DATABASE_URL", url)],
        &["audit", "tail", "-n", "1", "--follow", "--json"],
    )
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    // By the first line it has looked where the chain ends, and goes on from there.
    assert!(next().contains("p29@x.example"));
    output(
        folder.path(),
        &["roles", "grant", "followed@x.example", "editor"],
    );
    assert!(next().contains("followed@x.example"));
    follower.kill().unwrap();
    follower.wait().unwrap();
    drop(portal);

    let tail = output(folder.path(), &["audit", "tail", "-n", "2"]);
    assert!(
        tail.lines().count() == 2 && tail.lines().last().unwrap().contains("followed@x.example"),
        "{tail}"
    );
    let csv = output(
        folder.path(),
        &["audit", "export", "--person", "p7@x.example"],
    );
    assert_eq!(csv.lines().count(), 2);
    let all = objects(folder.path(), &["audit", "export"]);
    assert_eq!(all.len(), 33, "both exports are told themselves");
    let told = all
        .iter()
        .find(|row| row["action"] == "audit_exported")
        .unwrap();
    assert_eq!(told["actor"], "command line");
    assert_eq!(told["detail"]["filter"], "person=p7%40x.example");
    let report = &objects(folder.path(), &["audit", "verify"])[0];
    let waits: Vec<i64> = report["unsealed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!((waits, &report["waiting"]), (vec![32, 33], &2.into()));
    assert!(report["unsealed"][0]["at"].as_i64().unwrap() > 0);
    let text = output(folder.path(), &["audit", "verify"]);
    assert!(
        text.contains("2 rows wait")
            && text.contains("waits\t32\t")
            && text.contains("waits\t33\t"),
        "{text}"
    );
    let head = report["head"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            report["rows"].clone(),
            report["problems"].as_array().unwrap().len()
        ),
        (31.into(), 0)
    );
    assert!(
        output(folder.path(), &["audit", "verify", "--head", &head])
            .contains("The audit is sound: 31 rows")
    );
    let tampered = Command::new("sqlite3")
        .current_dir(folder.path())
        .args(["portal.db", "UPDATE audit SET actor = 'eve' WHERE id = 5"])
        .status();
    if tampered.is_ok_and(|status| status.success()) {
        let (out, error) = failure(folder.path(), &["audit", "verify", "--head", &head]);
        assert!(
            out.contains("Row 5 ") && error.contains("NOT sound"),
            "{out} {error}"
        );
    } else {
        crate::support::left_out("sqlite3", "sqlite3 is not installed");
    }
    let (code, text) = run(
        folder.path(),
        &[],
        &["audit", "verify", "--head", "nonsense"],
    );
    assert!(
        code == 2 && text.contains("64 hexadecimal digits"),
        "{text}"
    );
}

#[test]
fn a_grant_that_does_not_name_end_or_note_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let grant = |role: &str, rest: &[&str]| {
        let all = [&["roles", "grant", "karl@x.example", role], rest].concat();
        let told = objects(folder, &all).remove(0);
        let listed = objects(folder, &["roles", "list"]).remove(0);
        assert_eq!(told["until"], listed["until"]);
        (
            listed["role"].clone(),
            listed["until"].clone(),
            listed["note"].clone(),
        )
    };
    let (until, note) = ("2999-12-31".into(), "cover".into());
    let first = grant("reader", &["--until", "2999-12-31", "--note", "cover"]);
    assert_eq!(first, ("reader".into(), until, note));
    assert_eq!(
        grant("editor", &[]),
        ("editor".into(), "2999-12-31".into(), "cover".into())
    );
    assert_eq!(
        grant("editor", &["--note", ""]),
        (
            "editor".into(),
            "2999-12-31".into(),
            serde_json::Value::Null
        )
    );
    assert_eq!(
        grant("reader", &["--note", "why"]),
        ("reader".into(), "2999-12-31".into(), "why".into())
    );
    assert_eq!(
        grant("reader", &["--until", "never"]),
        ("reader".into(), serde_json::Value::Null, "why".into())
    );
    output(folder, &["roles", "revoke", "karl@x.example"]);
    let anew = (
        "reader".into(),
        serde_json::Value::Null,
        serde_json::Value::Null,
    );
    assert_eq!(
        grant("reader", &[]),
        anew,
        "nothing is left of a role that is gone"
    );
}

#[test]
fn odd_rows_are_listed_made_tidy_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    output(folder, &["roles", "grant", "ada@x.example", "admin"]);
    let sql = "INSERT INTO user_roles VALUES ('Karl@x.example', 'reader'), ('KARL@x.example', 'reader'), ('ada@x.example' || char(10), 'admin')";
    let inserted = Command::new("sqlite3")
        .current_dir(folder)
        .args(["portal.db", sql])
        .status();
    if !inserted.is_ok_and(|status| status.success()) {
        return crate::support::left_out("sqlite3", "sqlite3 is not installed");
    }
    let list = output(folder, &["roles", "list"]);
    assert!(
        list.contains("ada@x.example\\n\tadmin") && list.lines().count() == 4,
        "{list}"
    );
    let tidied = &objects(folder, &["roles", "tidy", "karl@X.example"])[0];
    assert_eq!(
        (&tidied["email"], &tidied["role"]),
        (&"karl@x.example".into(), &"reader".into())
    );
    assert!(
        failure(folder, &["roles", "tidy", "karl@x.example"])
            .1
            .contains("nothing to tidy")
    );
    let told = objects(folder, &["audit", "export", "--action", "role_tidied"]);
    let id = told[0]["id"].to_string();
    output(folder, &["roles", "revoke", "ada@x.example\n"]);
    assert!(
        failure(folder, &["roles", "revoke", "ada@x.example"])
            .1
            .contains("Nobody would be left")
    );
    assert_eq!(
        output(folder, &["roles", "list"]),
        "ada@x.example\tadmin\nkarl@x.example\treader\n"
    );
    // And taken back, after being shown.
    let shown = output(folder, &["audit", "undo", &id]);
    assert_eq!(shown, "changed\tkarl@x.example\treader\treader\n");
    assert_eq!(output(folder, &["roles", "list"]).lines().count(), 2);
    objects(folder, &["audit", "undo", &id, "--apply"]);
    assert_eq!(output(folder, &["roles", "list"]).lines().count(), 3);
    assert!(
        failure(folder, &["audit", "undo", &id, "--apply"])
            .1
            .contains("nothing to take back")
    );
    assert!(
        failure(folder, &["audit", "undo", "999"])
            .1
            .contains("no such row")
    );
    let undone = objects(folder, &["audit", "export", "--action", "role_granted"]);
    let undone = undone
        .iter()
        .find(|row| row["detail"]["source"] == "undo")
        .unwrap();
    assert!(undone["reference"].is_string() && undone["actor"] == "command line");
}

#[test]
fn the_access_check_looks_at_a_file_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir_all(folder.join("data/files/Reports")).unwrap();
    std::fs::write(folder.join("data/files/Reports/a b.txt"), "x").unwrap();
    output(folder, &["roles", "grant", "karl@x.example", "reader"]);
    let why = |path: &str| objects(folder, &["people", "why", "karl@x.example", path]).remove(0);
    for path in ["Reports/a b.txt", "/api/files/Reports/a%20b.txt"] {
        assert_eq!(
            (&why(path)["may"], &why(path)["verdict"]),
            (&true.into(), &"Yes: nothing is in the way.".into()),
            "{path}"
        );
    }
    assert!(
        why("Reports/absent.txt")["verdict"]
            .as_str()
            .unwrap()
            .contains("There is no file")
    );
    output(folder, &["folders", "set", "Reports", "--role", "editor"]);
    let text = output(
        folder,
        &["people", "why", "karl@x.example", "Reports/a b.txt"],
    );
    assert!(text.starts_with("No. The rule of Reports"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_and_sessions_ended_while_the_portal_runs() {
    use crate::support::app::TestApp;
    use crate::support::database::Backend;
    use crate::support::emulator::accounts::NO_ROLE;
    let app = TestApp::start(Backend::Sqlite).await;
    let command = |arguments: &[&str]| {
        let all = [arguments, &["--json"]].concat();
        let (code, text) = run(app.folder(), &[("DATABASE_URL", &app.database_url)], &all);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        let line = text.lines().next().unwrap_or("null").to_owned();
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|_| panic!("{text}"))
    };
    let nobody = app.signed_in_as(None).await;
    let ask = async || {
        let asked = nobody
            .post("/account/access-request", "text/plain", "")
            .await;
        asked.expect(303);
    };
    ask().await;
    assert_eq!(command(&["requests", "list"])["email"], NO_ROLE);
    let declined = command(&["requests", "decline", "1", "Ask  Grace\nfirst."]);
    assert_eq!(
        (&declined["email"], &declined["outcome"]),
        (&NO_ROLE.into(), &"declined".into())
    );
    let page = nobody.navigate("/").await.expect(403).text();
    assert!(page.contains("Ask Grace first."), "{page}");
    ask().await;
    let approved = command(&[
        "requests",
        "approve",
        "2",
        "reader",
        "--until",
        "2999-12-31",
    ]);
    assert_eq!(
        (&approved["id"], &approved["outcome"]),
        (&2.into(), &"approved".into())
    );
    app.eventually("the role counts", async || {
        nobody.get("/api/items").await.status == 200
    })
    .await;
    assert_eq!(command(&["people", "show", NO_ROLE])["until"], "2999-12-31");
    assert_eq!(app.audited("access_declined").await.actor, "command line");

    let other = app.visitor();
    app.sign_in(&other, NO_ROLE, "/api/me").await.expect(200);
    assert_eq!(
        command(&["people", "sign-out", NO_ROLE])["sessions_ended"],
        2
    );
    app.eventually("both are signed out", async || {
        other.get("/api/items").await.status == 401 && nobody.get("/api/items").await.status == 401
    })
    .await;
    assert_eq!(command(&["people", "rebind", NO_ROLE])["was_bound"], true);
    assert!(command(&["people", "show", NO_ROLE])["account"].is_null());
    app.emulator
        .set_claim("oid", "99999999-0000-4000-8000-000000000001");
    app.emulator.forget_sessions();
    app.sign_in(&other, NO_ROLE, "/").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_the_audit_goes_to_the_log_and_is_what_verify_takes() {
    let folder = tempfile::tempdir().unwrap();
    let dev = [("DEV_MODE", "true")];
    // Something is sealed before the portal that tells starts.
    let portal = Running::start(folder.path(), &dev).await;
    portal
        .browser
        .get("/api/files/Welcome.txt")
        .await
        .expect(200);
    let began = Instant::now();
    let sealed = || {
        let (_, text) = run(folder.path(), &dev, &["audit", "verify", "--json"]);
        let report: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        (
            report["rows"].as_i64().unwrap(),
            report["waiting"].as_i64().unwrap(),
        )
    };
    while !matches!(sealed(), (1.., 0)) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the download is not sealed"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(portal);
    let portal = Running::start(folder.path(), &dev).await;
    let told = async || loop {
        let log = portal.log();
        if let Some((_, rest)) = log.split_once("the head of the audit is ") {
            return rest.split(';').next().unwrap().to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let head = told().await;
    assert!(
        head.split_once(':').unwrap().0.parse::<i64>().unwrap() > 0,
        "{head}"
    );
    let (code, text) = run(folder.path(), &dev, &["audit", "verify", "--head", &head]);
    assert!(code == 0 && text.contains("The audit is sound"), "{text}");
}
