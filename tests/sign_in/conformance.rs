//! What the OpenID Foundation's relying-party tests and RFC 9700 ask of a confidential client with the code flow, as far as
//! it is not told elsewhere in this suite. Where each of the Foundation's cases is:
//!
//! | case | test |
//! |---|---|
//! | `client-test` | `journey::a_person_signs_in_and_is_who_entra_says` |
//! | `nonce-invalid` | `refused::a_claim_that_is_wrong_is_refused`, [`a_nonce_of_another_sign_in_is_refused`] |
//! | `missing-iat`, `missing-sub`, `missing-aud`, `invalid-aud`, `invalid-iss` | `refused::a_claim_that_is_wrong_is_refused` |
//! | `idtoken-sig-none`, `invalid-sig-rs256`, `invalid-sig-hs256` | `refused::a_signature_that_is_wrong_is_refused` |
//! | `invalid-athash` | `refused::a_claim_that_is_wrong_is_refused` |
//! | `kid-absent-single-jwks`, `kid-absent-multiple-jwks` | `entra_down::a_token_without_a_kid_means_the_only_key_or_none` |
//! | `signing-key-rotation`, `signing-key-rotation-just-before-signing` | `entra_down::a_rolled_key_is_fetched_once_and_a_flood_of_unknown_ones_is_not` |
//! | `discovery-issuer-mismatch` | `entra_down::another_issuer_in_discovery_is_not_believed` |
//! | `discovery-openid-config`, `discovery-jwks-uri-keys` | `journey`, [`keys_that_are_not_for_signatures_sign_nothing`] |
//! | `client-secret-post`, `private-key-jwt` | `credentials` |
//! | `rp-init-logout`, `rp-frontchannel-clientlogout` | `sign_out` |
//! | RFC 9700 2.1 (CSRF, PKCE, mix-up), 2.1.1, 4.4, 4.5, 4.12 | `callback`, `journey`, `entra_down` |
//! | RFC 9207 | `entra_down::another_iss_parameter_is_refused_before_the_code_is_redeemed` |

use std::time::{Duration, Instant};

use serde_json::json;

use super::refused::{portal, refused};
use super::{begun, callback, is_signed_in, newest, parameter, recovers, refusal_after};
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::emulator::{Emulator, Endpoint, Fault};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_of_another_sign_in_is_refused() {
    let app = portal().await;
    let earlier = app.visitor().navigate("/login").await.expect(303);
    let nonce = parameter(earlier.location(), "nonce").unwrap();
    refused(
        &app,
        "the nonce of another sign-in",
        "id_token",
        |emulator| {
            emulator.set_claim("nonce", nonce.as_str());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_token_that_was_good_once_is_good_for_nothing_else() {
    let app = portal().await;
    let token = app.emulator.last_id_token().unwrap();
    let answer = json!({ "token_type": "Bearer", "access_token": "a", "expires_in": 3600, "id_token": token });
    refused(&app, "a replayed ID token", "id_token", |emulator| {
        let fault = Fault::answer(200, "application/json", answer.to_string());
        emulator.disturb_next_token(fault);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_for_signatures_sign_nothing() {
    for (field, value) in [
        ("use", json!("enc")),
        ("alg", json!("RSA-OAEP")),
        ("alg", json!("PS256")),
        ("kty", json!("oct")),
        ("issuer", json!("https://login.example/another/v2.0")),
        ("n", json!("AQAB")),
        ("e", json!("?")),
    ] {
        let app = portal().await;
        // The earlier key stays usable, so that the document as a whole is good.
        app.emulator.rotate_keys();
        refused(&app, field, "id_token", |emulator| {
            emulator.set_key_field(field, value.clone());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_keys_cannot_be_had_nobody_is_signed_in_and_nothing_hangs() {
    for (what, fault) in [
        ("down", Fault::answer(500, "text/plain", "down")),
        ("HTML", Fault::answer(200, "text/html", "<h1>Hello</h1>")),
        ("no keys", Fault::answer(200, "application/json", "{}")),
        ("ten megabytes", Fault::Flood(10 << 20)),
        (
            "a redirect",
            Fault::Redirect("http://localhost:1/".to_owned()),
        ),
        ("silence", Fault::Silence(Duration::from_secs(30))),
    ] {
        let emulator = Emulator::start(0).await.unwrap();
        emulator.disturb(Endpoint::Keys, fault);
        let app = TestApp::builder(Backend::Sqlite)
            .beside(&emulator)
            .start()
            .await;
        let (browser, began) = (app.visitor(), Instant::now());
        let page = app.sign_in(&browser, ADA, "/").await.expect(401).text();
        assert!(page.contains("could not be reached"), "{what}: {page}");
        assert!(began.elapsed() < Duration::from_secs(15), "{what}");
        assert!(!is_signed_in(&browser).await, "{what}");
        emulator.mend(Endpoint::Keys);
        recovers(what, async || {
            app.sign_in(&app.visitor(), ADA, "/api/me").await.status == 200
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_keys_serve_while_newer_ones_cannot_be_had() {
    let app = portal().await;
    app.emulator
        .disturb(Endpoint::Keys, Fault::answer(500, "text/plain", "down"));
    app.emulator
        .disturb(Endpoint::Discovery, Fault::answer(500, "text/plain", ""));
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_instead_of_discovery_ends_in_ten_seconds() {
    let emulator = Emulator::start(0).await.unwrap();
    emulator.disturb(Endpoint::Discovery, Fault::Silence(Duration::from_secs(30)));
    let app = TestApp::builder(Backend::Sqlite)
        .beside(&emulator)
        .start()
        .await;
    let began = Instant::now();
    app.visitor().navigate("/login").await.expect(503);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(emulator.counts().discovery, 1, "one fetch for everybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markup_in_an_error_of_the_token_endpoint_stays_text() {
    let app = portal().await;
    let markup = "<script>alert(1)</script>\r\nforged line";
    for body in [
        json!({ "error": markup, "error_description": markup, "error_codes": [1] }),
        json!({ "error": "invalid_grant", "error_description": format!("AADSTS9: {markup}"), "correlation_id": markup }),
        json!({ "error": "invalid_grant", "error_uri": "javascript:alert(1)", "suberror": markup }),
    ] {
        let before = newest(&app).await;
        let fault = Fault::answer(400, "application/json", body.to_string());
        app.emulator.disturb_next_token(fault);
        let page = app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
        let text = page.text();
        for taboo in ["<script>", "alert(1)", "javascript:", "forged"] {
            assert!(!text.contains(taboo), "{taboo} of {body} in {text}");
        }
        let row = refusal_after(&app, before).await;
        assert!(!row.detail.contains(['\r', '\n']), "{}", row.detail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identifiers_of_the_wrong_kind_or_size_are_refused() {
    let app = portal().await;
    let long = "x".repeat(10_000);
    for name in ["sub", "oid", "tid"] {
        for value in [
            json!(long),
            json!("line\nbreak"),
            json!("\u{430}\u{435}"),
            json!(" "),
            json!({ "a": 1 }),
            json!(true),
            json!(null),
        ] {
            let what = format!("{name}={:.30}", value.to_string());
            refused(&app, &what, "id_token", |emulator| {
                emulator.set_claim(name, value.clone());
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_for_display_that_are_unusable_are_left_out() {
    let app = portal().await;
    for value in [
        json!("x".repeat(10_000)),
        json!("Ada\nByron"),
        json!(["Ada"]),
        json!(7),
        json!(null),
    ] {
        app.emulator.reset();
        for name in ["name", "sid", "login_hint"] {
            app.emulator.set_claim(name, value.clone());
        }
        let browser = app.visitor();
        let me = app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        assert_eq!(me.json()["name"], json!(null), "{value:.30}");
        let cookie = browser.cookie("session").unwrap();
        assert!(cookie.len() < 1_000, "{} bytes", cookie.len());
        browser.get("/logout").await.expect(303);
        let hint = app
            .emulator
            .last_logout()
            .map(|form| form.contains_key("logout_hint"));
        assert_ne!(hint, Some(true), "{value:.30}");
    }
    // Letters that only look like others are for display alone; who it is comes from the address.
    app.emulator.reset();
    app.emulator.set_claim("name", "\u{410}da B\u{443}ron");
    let me = app
        .sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    assert_eq!(me.json()["email"], ADA);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_carry_no_alg_and_that_is_enough() {
    let app = portal().await;
    let document = format!(
        "{}/{}/discovery/v2.0/keys",
        app.emulator.url(),
        app.emulator.tenant()
    );
    let keys = Browser::new(&document)
        .get(&document)
        .await
        .expect(200)
        .json();
    assert_eq!(keys["keys"][0]["alg"], json!(null), "{keys}");
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_another_session_buys_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (thief, victim) = (app.visitor(), app.visitor());
    let stolen = callback(&app, &victim, GRACE, "/").await;
    let state = begun(&thief, "/").await;
    let code = parameter(&stolen, "code").unwrap();
    thief
        .navigate(&format!("/callback?code={code}&state={state}"))
        .await
        .expect(401);
    assert!(!is_signed_in(&thief).await);
    // The state belongs to a browser, too.
    thief.navigate(&stolen).await.expect(400);
    assert!(!is_signed_in(&thief).await);
}
