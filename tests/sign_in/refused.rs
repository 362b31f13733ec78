//! Each way in which an ID token or a claim is refused: no session, 401 with a sentence, an audit row with the reason,
//! one request for the token, and at most one for keys.

use serde_json::{Value, json};

use super::{is_signed_in, newest, refusal_after};
use crate::support::app::TestApp;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GUEST, NO_EMAIL};
use crate::support::emulator::{Emulator, Signing};

/// Signs Ada in while the emulator misbehaves, and checks that she is refused for `reason`.
pub async fn refused(app: &TestApp, what: &str, reason: &str, misbehave: impl Fn(&Emulator)) {
    app.emulator.reset();
    app.emulator.forget_sessions();
    misbehave(&app.emulator);
    app.emulator.reset_counts();
    let before = newest(app).await;
    let browser = app.visitor();
    let reply = app.sign_in(&browser, ADA, "/").await;
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    assert!(reply.text().contains("You were not signed in"), "{what}");
    assert!(reply.text().contains("Correlation id"), "{what}");
    assert!(!is_signed_in(&browser).await, "{what}");
    let row = refusal_after(app, before).await;
    assert_eq!(row.outcome, reason, "{what}: {}", row.detail);
    let counts = app.emulator.counts();
    assert_eq!(counts.token, 1, "{what}");
    assert!(
        counts.keys <= 1 && counts.discovery == 0,
        "{what}: {counts:?}"
    );
}

/// A portal that has signed somebody in.
pub async fn portal() -> TestApp {
    let app = TestApp::start(Backend::Sqlite).await;
    // Discovery and keys are fetched once, so that what follows counts only what a refusal costs.
    let browser = app.visitor();
    app.sign_in(&browser, ADA, "/api/me").await.expect(200);
    app
}

fn in_seconds(seconds: i64) -> Value {
    json!(portcullis::clock::now() / portcullis::clock::SECOND + seconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_wrong_is_refused() {
    let app = portal().await;
    let client = app.emulator.client_id();
    let cases: Vec<(&str, Value)> = vec![
        (
            "iss",
            json!("http://localhost:1/11111111-2222-4333-8444-555555555555/v2.0"),
        ),
        ("iss", json!(["x"])),
        ("aud", json!("another-application")),
        ("aud", json!(["another-application"])),
        ("aud", json!([client, "another-application"])),
        ("azp", json!("another-application")),
        ("tid", json!("99999999-2222-4333-8444-555555555555")),
        ("tid", json!(7)),
        ("exp", in_seconds(-301)),
        ("exp", json!("tomorrow")),
        ("iat", in_seconds(400)),
        ("iat", json!("now")),
        ("nbf", in_seconds(400)),
        ("nonce", json!("another-nonce")),
        ("nonce", json!(null)),
        ("sub", json!("")),
        ("oid", json!("")),
        ("oid", json!(["x"])),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
    ];
    for (name, value) in cases {
        let what = format!("{name}={value}");
        refused(&app, &what, "id_token", |emulator| {
            emulator.set_claim(name, value.clone())
        })
        .await;
    }
    for name in [
        "iss", "aud", "tid", "exp", "iat", "nbf", "nonce", "sub", "oid",
    ] {
        refused(&app, &format!("no {name}"), "id_token", |emulator| {
            emulator.remove_claim(name)
        })
        .await;
    }
    // Within five minutes a clock may differ.
    app.emulator.reset();
    app.emulator.set_claim("exp", in_seconds(-200));
    app.emulator.set_claim("iat", in_seconds(200));
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    app.emulator.reset();
    app.emulator.set_claim("aud", json!([client]));
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_is_wrong_is_refused() {
    let app = portal().await;
    for (what, signing) in [
        ("alg none", Signing::Unsigned),
        ("HS256 with the client secret", Signing::HmacWithSecret),
        ("HS256 with the public key", Signing::HmacWithPublicKey),
        ("a foreign key under our kid", Signing::ForeignKey),
        ("an unknown kid", Signing::UnknownKid),
    ] {
        refused(&app, what, "id_token", |emulator| {
            emulator.set_signing(signing)
        })
        .await;
    }
    refused(&app, "crit", "id_token", |emulator| {
        emulator.set_header("crit", json!(["x"]))
    })
    .await;
    refused(&app, "no id_token", "id_token", Emulator::omit_id_token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_no_plain_address_is_refused() {
    let app = portal().await;
    let long = format!("{}@contoso.example", "a".repeat(300));
    for email in [
        json!(7),
        json!(["ada.byron@contoso.example"]),
        json!(""),
        json!("ada.byron"),
        json!("a@b@contoso.example"),
        json!("ada byron@contoso.example"),
        json!("ada.byron@contoso.example\n"),
        json!("\u{430}da.byron@contoso.example"),
        json!(long),
    ] {
        let what = email.to_string();
        refused(&app, &what, "no_email", |emulator| {
            emulator.set_claim("email", email.clone())
        })
        .await;
    }
    for unverified in [json!(false), json!(0), json!("0")] {
        refused(&app, "xms_edov", "no_email", |emulator| {
            emulator.set_claim("xms_edov", unverified.clone())
        })
        .await;
    }
    app.emulator.reset();
    app.sign_in(&app.visitor(), NO_EMAIL, "/").await.expect(401);
    app.emulator
        .set_claim("email", json!("Ada.BYRON@Contoso.example"));
    let me = app
        .sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200)
        .json();
    assert_eq!(me["email"], ADA);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_are_refused_by_every_mark_and_let_in_where_allowed() {
    let app = portal().await;
    for (name, value) in [
        ("acct", json!(1)),
        ("acct", json!("1")),
        ("idp", json!("live.com")),
        ("upn", json!("x_fabrikam#EXT#@contoso.example")),
        (
            "preferred_username",
            json!("x_fabrikam#ext#@contoso.example"),
        ),
    ] {
        refused(&app, name, "guest", |emulator| {
            emulator.set_claim(name, value.clone())
        })
        .await;
    }
    let open = TestApp::builder(Backend::Sqlite)
        .with("ALLOW_GUESTS", "true")
        .start()
        .await;
    let me = open
        .sign_in(&open.visitor(), GUEST, "/api/me")
        .await
        .expect(200)
        .json();
    assert_eq!(me["email"], GUEST);
    app.emulator.reset();
    app.sign_in(&app.visitor(), GUEST, "/").await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_claim_that_email_claim_names_is_taken_and_no_other() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("EMAIL_CLAIM", "upn")
        .start()
        .await;
    app.emulator
        .set_claim("upn", json!("by.upn@contoso.example"));
    let me = app
        .sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200)
        .json();
    assert_eq!(me["email"], "by.upn@contoso.example");
    app.emulator.remove_claim("upn");
    app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
}
