//! Entra down, slow, lying or rolling its keys: nobody is let in by mistake, nothing hangs, and all heals by itself.

use std::time::{Duration, Instant};

use super::{callback, is_signed_in, recovers};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;
use crate::support::emulator::{Emulator, Endpoint, Fault, Signing};

async fn portal() -> TestApp {
    let app = TestApp::start(Backend::Sqlite).await;
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_token_endpoint_answers_nobody_is_signed_in_and_nothing_hangs() {
    let app = portal().await;
    for (what, fault) in [
        ("HTML", Fault::answer(200, "text/html", "<h1>Hello</h1>")),
        (
            "JSON of another kind",
            Fault::answer(200, "application/json", "{\"a\":1}"),
        ),
        (
            "an error without codes",
            Fault::answer(500, "text/plain", "oops"),
        ),
        ("ten megabytes", Fault::Flood(10 << 20)),
        (
            "a redirect",
            Fault::Redirect("http://localhost:1/".to_owned()),
        ),
        ("silence", Fault::Silence(Duration::from_secs(30))),
    ] {
        app.emulator.reset();
        app.emulator.disturb_next_token(fault);
        let browser = app.visitor();
        let began = Instant::now();
        let reply = app.sign_in(&browser, ADA, "/").await;
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        assert!(began.elapsed() < Duration::from_secs(15), "{what}");
        assert!(!is_signed_in(&browser).await, "{what}");
    }
    app.emulator.reset();
    app.emulator.fail_next_token("invalid_client", &[7_000_215]);
    let page = app
        .sign_in(&app.visitor(), ADA, "/")
        .await
        .expect(401)
        .text();
    assert!(page.contains("not your fault"), "{page}");
    // Rows are written in the background, so the one of an earlier case may still come first.
    app.eventually("the operator is told what to change", async || {
        let rows = app.audit().await;
        rows.iter().any(|row| {
            row.outcome == "secret_wrong" && row.detail.contains("APP_REG_CLIENT_SECRET")
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_discovery_the_sign_in_says_so_and_recovers() {
    for fault in [
        Fault::answer(500, "text/plain", "down"),
        Fault::answer(200, "text/html", "<h1>Hello</h1>"),
        Fault::Flood(10 << 20),
        Fault::Redirect("http://localhost:1/".to_owned()),
    ] {
        let emulator = Emulator::start(0).await.unwrap();
        emulator.disturb(Endpoint::Discovery, fault);
        let app = TestApp::builder(Backend::Sqlite)
            .beside(&emulator)
            .start()
            .await;
        let reply = app.visitor().navigate("/login").await.expect(503);
        assert_ne!(reply.header("retry-after"), "");
        app.visitor().get("/health/ready").await.expect(200);
        emulator.mend(Endpoint::Discovery);
        recovers("the sign-in works again", async || {
            app.visitor().navigate("/login").await.status == 303
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_issuer_in_discovery_is_not_believed() {
    let emulator = Emulator::start(0).await.unwrap();
    emulator.set_metadata(
        "issuer",
        "http://localhost:1/11111111-2222-4333-8444-555555555555/v2.0",
    );
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&emulator)
        .start()
        .await;
    app.visitor().navigate("/login").await.expect(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_key_set_is_never_kept() {
    let emulator = Emulator::start(0).await.unwrap();
    emulator.empty_keys();
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&emulator)
        .start()
        .await;
    app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
    emulator.reset();
    recovers("the keys are fetched again", async || {
        app.sign_in(&app.visitor(), ADA, "/api/me").await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_key_is_fetched_once_and_a_flood_of_unknown_ones_is_not() {
    let app = portal().await;
    app.emulator.rotate_keys();
    app.emulator.reset_counts();
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    assert_eq!(app.emulator.counts().keys, 1);
    app.emulator.set_signing(Signing::UnknownKid);
    for _ in 0..20 {
        app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
    }
    assert_eq!(app.emulator.counts().keys, 1, "one fetch in five minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_a_kid_means_the_only_key_or_none() {
    let app = portal().await;
    app.emulator.set_signing(Signing::NoKid);
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    let several = Emulator::start(0).await.unwrap();
    several.rotate_keys();
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&several)
        .start()
        .await;
    several.set_signing(Signing::NoKid);
    app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_iss_parameter_is_refused_before_the_code_is_redeemed() {
    let app = portal().await;
    let browser = app.visitor();
    let url = callback(&app, &browser, ADA, "/").await;
    app.emulator.reset_counts();
    browser
        .navigate(&format!("{url}&iss=https%3A%2F%2Fevil.example"))
        .await
        .expect(401);
    assert_eq!(app.emulator.counts().token, 0);
    let browser = app.visitor();
    let url = callback(&app, &browser, ADA, "/api/me").await;
    let issuer: String =
        url::form_urlencoded::byte_serialize(app.emulator.issuer().as_bytes()).collect();
    browser
        .navigate(&format!("{url}&iss={issuer}"))
        .await
        .expect(303);
    assert!(is_signed_in(&browser).await);
}
