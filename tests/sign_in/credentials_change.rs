//! Credentials end, and others take their place without a restart and without a sign-in that fails.

use std::path::Path;

use reqwest::Method;

use super::credentials::{certificate, certificate_from};
use super::recovers;
use crate::support::app::{COOKIE_SECRET, TestApp};
use crate::support::client::{Browser, Reply};
use crate::support::database::{Backend, free_port};
use crate::support::emulator::accounts::ADA;
use crate::support::emulator::{Emulator, Fault, PICKED};
use crate::support::process::{Running, run};

/// The portal in a process of its own, with these settings beside the tenant's.
async fn portal(folder: &Path, emulator: &Emulator, settings: &[(&str, &str)]) -> Running {
    let port = free_port();
    emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
    let authority = emulator.url();
    let mut all = vec![
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
        ("AZURE_TENANT_ID", emulator.tenant()),
        ("APP_REG_CLIENT_ID", emulator.client_id()),
        ("API_COOKIE_SECRET", &COOKIE_SECRET[..64]),
    ];
    all.extend_from_slice(settings);
    Running::start_at(folder, port, &all).await
}

async fn sign_in(portal: &Running) -> Reply {
    let browser = Browser::new(&portal.url);
    let login = browser
        .navigate("/login?redirect_uri=/api/me")
        .await
        .expect(303);
    let mut picked = url::Url::parse(login.location()).unwrap();
    picked.query_pairs_mut().append_pair(PICKED, ADA);
    browser.follow(picked.as_str()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_secret_takes_over_by_itself_once_entra_refuses_the_first() {
    let emulator = Emulator::start(0).await.unwrap();
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&emulator)
        .with("APP_REG_CLIENT_SECRET_NEXT", "the next one")
        .start()
        .await;
    let requests = async |expected: usize| {
        emulator.reset_counts();
        app.sign_in(&app.visitor(), ADA, "/api/me")
            .await
            .expect(200);
        assert_eq!(emulator.counts().token, expected);
    };
    requests(1).await;
    // In Azure the old one is deleted, or expires.
    emulator.set_client_secret("the next one");
    requests(2).await;
    requests(1).await;
    // And should the first be good after all, it is found again.
    emulator.set_client_secret(crate::support::emulator::CLIENT_SECRET);
    requests(2).await;
    requests(1).await;
    emulator.set_client_secret("neither");
    let page = app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
    assert!(page.text().contains("not your fault"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_client_that_nobody_listed_counts_as_one_of_the_credential() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_SECRET_NEXT", "the next one")
        .start()
        .await;
    for code in [700_021, 700_023, 700_025, 50_027, 7_999_999] {
        app.emulator.set_client_secret("the next one");
        app.emulator.fail_next_token("invalid_client", &[code]);
        app.sign_in(&app.visitor(), ADA, "/api/me")
            .await
            .expect(200);
        // Back to the first, for the next code.
        app.emulator
            .set_client_secret(crate::support::emulator::CLIENT_SECRET);
        app.sign_in(&app.visitor(), ADA, "/api/me")
            .await
            .expect(200);
    }
    app.emulator.set_client_secret("neither");
    app.emulator.fail_next_token("invalid_client", &[7_999_999]);
    let page = app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
    assert!(page.text().contains("not your fault"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_on_the_way_answers_is_no_refusal_and_changes_no_credential() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_SECRET_NEXT", "the next one")
        .start()
        .await;
    let proxy = Fault::answer(502, "application/json", "{\"message\": \"bad gateway\"}");
    app.emulator.disturb_next_token(proxy);
    for error in ["server_error", "temporarily_unavailable"] {
        app.emulator.fail_next_token(error, &[90_033]);
    }
    for _ in 0..3 {
        app.emulator.reset_counts();
        let page = app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
        assert!(
            page.text().contains("could not be reached"),
            "{}",
            page.text()
        );
        assert_eq!(app.emulator.counts().token, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_may_follow_a_secret() {
    let (both, public) = certificate();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &both).unwrap();
    let emulator = Emulator::start(0).await.unwrap();
    emulator.register_certificate(&public).unwrap();
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&emulator)
        .with(
            "APP_REG_CLIENT_CERT_NEXT_PATH",
            file.path().to_str().unwrap(),
        )
        .start()
        .await;
    emulator.set_client_secret("another");
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_file_that_changes_is_read_again() {
    let (folder, emulator) = (
        tempfile::tempdir().unwrap(),
        Emulator::start(0).await.unwrap(),
    );
    let [(old, old_public), (new, new_public)] = [certificate(), certificate()];
    let file = folder.path().join("client.pem");
    std::fs::write(&file, &old).unwrap();
    emulator.register_certificate(&old_public).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let portal = portal(
        folder.path(),
        &emulator,
        &[("APP_REG_CLIENT_CERT_PATH", &path)],
    )
    .await;
    sign_in(&portal).await.expect(200);

    // Half a file is never taken over.
    std::fs::write(&file, &new[..new.len() / 2]).unwrap();
    recovers("the bad file is told", async || {
        portal.log().contains("stay as they were")
    })
    .await;
    assert!(
        portal.log().contains("APP_REG_CLIENT_CERT_PATH"),
        "{}",
        portal.log()
    );
    sign_in(&portal).await.expect(200);

    std::fs::write(&file, &new).unwrap();
    recovers("the new file is read", async || {
        portal.log().contains("read again")
    })
    .await;
    emulator.forget_certificates();
    emulator.register_certificate(&new_public).unwrap();
    sign_in(&portal).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_a_changed_dotenv_file_over_or_says_what_is_wrong_with_it() {
    let (folder, emulator) = (
        tempfile::tempdir().unwrap(),
        Emulator::start(0).await.unwrap(),
    );
    let dotenv = folder.path().join(".env");
    std::fs::write(&dotenv, "APP_REG_CLIENT_SECRET=first\n").unwrap();
    emulator.set_client_secret("first");
    let portal = portal(folder.path(), &emulator, &[]).await;
    sign_in(&portal).await.expect(200);

    std::fs::write(&dotenv, "APP_REG_CLIENT_SECRET=a\nAPP_REG_CLIENT_CERT=b\n").unwrap();
    portal.signal("HUP");
    recovers("the bad settings are told", async || {
        portal.log().contains("are both set")
    })
    .await;
    sign_in(&portal).await.expect(200);

    std::fs::write(&dotenv, "APP_REG_CLIENT_SECRET=second\n").unwrap();
    emulator.set_client_secret("second");
    portal.signal("HUP");
    recovers("the new secret is read", async || {
        portal.log().contains("read again")
    })
    .await;
    sign_in(&portal).await.expect(200);
    let log = portal.log();
    assert!(!log.contains("second") && !log.contains("=first"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_says_that_variables_of_the_environment_count_from_the_next_start() {
    let (folder, emulator) = (
        tempfile::tempdir().unwrap(),
        Emulator::start(0).await.unwrap(),
    );
    // As EnvironmentFile= and env_file hand them over, whatever these files say by now.
    let secret = emulator.client_secret();
    let settings = [("APP_REG_CLIENT_SECRET", secret.as_str())];
    let portal = portal(folder.path(), &emulator, &settings).await;
    portal.signal("HUP");
    recovers("it is told", async || {
        portal.log().contains("count from the next start")
    })
    .await;
    assert!(!portal.log().contains("are in use"), "{}", portal.log());
    sign_in(&portal).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_workload_identity_no_secret_exists() {
    let (folder, emulator) = (
        tempfile::tempdir().unwrap(),
        Emulator::start(0).await.unwrap(),
    );
    let file = folder.path().join("token");
    std::fs::write(&file, "token.of.today\n").unwrap();
    emulator.trust_token("token.of.today");
    let path = file.to_str().unwrap().to_owned();
    let settings = [("AZURE_FEDERATED_TOKEN_FILE", path.as_str())];
    let portal = portal(folder.path(), &emulator, &settings).await;
    sign_in(&portal).await.expect(200);
    let form = emulator.last_token_request().unwrap().form;
    assert!(!form.contains_key("client_secret") && form.contains_key("client_assertion_type"));
    // The platform renews the token, and nobody has to tell the portal.
    std::fs::write(&file, "token.of.tomorrow").unwrap();
    emulator.trust_token("token.of.tomorrow");
    sign_in(&portal).await.expect(200);
    let form = emulator.last_token_request().unwrap().form;
    assert_eq!(form["client_assertion"], "token.of.tomorrow");

    std::fs::remove_file(&file).unwrap();
    let page = sign_in(&portal).await.expect(401).text();
    assert!(page.contains("not your fault"), "{page}");
    let log = portal.log();
    assert!(log.contains("AZURE_FEDERATED_TOKEN_FILE"), "{log}");
    assert!(!log.contains("token.of."), "{log}");
}

#[test]
fn credentials_that_contradict_each_other_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(
        folder.path(),
        &[
            ("APP_REG_CLIENT_SECRET", "a"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/absent"),
            ("APP_REG_CLIENT_SECRET_NEXT", "b"),
            ("APP_REG_CLIENT_CERT_NEXT_PATH", "/absent"),
            ("APP_REG_CLIENT_SECRET_EXPIRES_ON", "soon"),
        ],
        &[],
    );
    assert_eq!(code, 1);
    for part in [
        "AZURE_FEDERATED_TOKEN_FILE are both set",
        "APP_REG_CLIENT_CERT_NEXT_PATH are both set",
        "APP_REG_CLIENT_SECRET_EXPIRES_ON",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_comes_near_is_shown_to_admins_and_to_nobody_else() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_SECRET_EXPIRES_ON", "2026-01-31")
        .with("METRICS_TOKEN", "a token of some length")
        .start()
        .await;
    let (both, _) = certificate_from(&crate::life::tls::near_its_end());
    let of_certificate = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_CLIENT_SECRET", "")
        .with("APP_REG_CLIENT_CERT", &both)
        .with("METRICS_TOKEN", crate::metrics::TOKEN)
        .start()
        .await;
    let left = "portcullis_credential_days_left{credential=\"APP_REG_CLIENT_CERT\"}";
    assert_eq!(crate::metrics::read(&of_certificate).await[left], 5.0);
    let notice = "APP_REG_CLIENT_SECRET expired on 2026-01-31";
    for (role, shown) in [
        (portcullis::roles::Role::Admin, true),
        (portcullis::roles::Role::Editor, false),
    ] {
        let page = app.signed_in_as(role).await.get("/").await.expect(200);
        assert_eq!(page.text().contains(notice), shown, "{role}");
    }
    let headers = [("authorization", "Bearer a token of some length")];
    let metrics = app
        .visitor()
        .send(Method::GET, "/metrics", &headers, Vec::new())
        .await
        .expect(200)
        .text();
    let gauge = "portcullis_credential_days_left{credential=\"APP_REG_CLIENT_SECRET\"} -";
    assert!(metrics.contains(gauge), "{metrics}");
}
