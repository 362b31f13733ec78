//! The session cookie: what it looks like, what it hides, and which cookies mean nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis::roles::Role;
use reqwest::Method;

use super::{begun, callback, is_signed_in, set_cookie};
use crate::support::app::{TestApp, account};
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;
use crate::support::emulator::Account;
use crate::support::emulator::accounts::{ADA, GRACE};
use crate::support::on_both;

/// `/api/me`, asked with exactly this `Cookie` header.
async fn with_cookies(app: &TestApp, line: &str) -> Reply {
    let headers = [("cookie", line)];
    app.visitor()
        .send(Method::GET, "/api/me", &headers, Vec::new())
        .await
}

fn session(browser: &Browser) -> String {
    browser.cookie("session").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_cookie_lasts_as_long_as_the_session_and_no_script_reads_it() {
    let app = TestApp::builder(Backend::Sqlite)
        .with("SESSION_TTL", "2h")
        .start()
        .await;
    let browser = app.visitor();
    let back = callback(&app, &browser, ADA, "/").await;
    let reply = browser.navigate(&back).await.expect(303);
    let line = set_cookie(&reply, "session").unwrap();
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=7200"] {
        assert!(line.contains(attribute), "{attribute} in {line}");
    }
    assert!(
        !line.contains("Domain") && !line.contains("; Secure"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_cookie_is_small_and_sealed_for_the_longest_address() {
    let app = TestApp::start(Backend::Sqlite).await;
    let email = format!(
        "{}@contoso.example",
        "e".repeat(254 - "@contoso.example".len())
    );
    let username = "long.name@contoso.example";
    let person = Account::member(
        "Long Name",
        username,
        "aaaaaaaa-0009-4000-8000-000000000009",
    );
    app.emulator.add_person(Account {
        email: Some(email.clone()),
        ..person
    });
    let browser = app.visitor();
    let back = callback(&app, &browser, username, "/").await;
    let reply = browser.navigate(&back).await.expect(303);
    let line = set_cookie(&reply, "session").unwrap();
    assert!(line.len() < 1_024, "{} bytes", line.len());
    assert_eq!(
        browser.get("/api/me").await.expect(200).json()["email"],
        email
    );

    let value = percent_encoding::percent_decode_str(&session(&browser))
        .decode_utf8_lossy()
        .into_owned();
    let bytes = STANDARD.decode(&value).unwrap();
    assert!(!contains(value.as_bytes(), b"eeee") && !contains(&bytes, b"eeee"));
    assert!(!contains(
        value.as_bytes(),
        &STANDARD.encode("eeeeee").into_bytes()
    ));
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_https_all_cookies_are_secure_and_bound_to_the_host() {
    let callback_uri = "https://portal.example/callback";
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_REDIRECT_URI", callback_uri)
        .start()
        .await;
    app.emulator.register_redirect_uri(callback_uri);
    let browser = app.visitor();
    let login = browser.navigate("/login").await.expect(303);
    for name in ["__Host-flow", "__Host-recent"] {
        let line = set_cookie(&login, name).unwrap();
        for attribute in ["; Secure", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
            assert!(line.contains(attribute), "{attribute} in {line}");
        }
    }

    // The browser of these tests keeps secure cookies over http; what a proxy does is played here.
    let answer = browser
        .navigate(&app.picked(login.location(), ADA))
        .await
        .expect(302);
    let here = answer
        .location()
        .replace("https://portal.example", &app.url);
    let reply = browser.navigate(&here).await.expect(303);
    let line = set_cookie(&reply, "__Host-session").unwrap();
    for attribute in ["; Secure", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(line.contains(attribute), "{attribute} in {line}");
    }
    assert!(!line.contains("Domain"), "{line}");
    assert!(is_signed_in(&browser).await);

    let value = browser.cookie("__Host-session").unwrap();
    with_cookies(&app, &format!("session={value}"))
        .await
        .expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_sign_ins_to_long_targets_fit_into_one_header_line_of_a_proxy() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.signed_in_as(Role::Reader).await;
    for number in 0..5 {
        let target = format!("/?q={number}{}", "x".repeat(1_490));
        browser
            .navigate(&portcullis::auth::return_to::login_url(&target))
            .await
            .expect(303);
    }
    let sizes = ["session", "flow", "recent"].map(|name| browser.cookie(name).unwrap().len());
    assert!(sizes.iter().all(|size| *size < 4_000), "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() < 7_900, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbage_cookie_is_like_none() {
    let app = TestApp::start(Backend::Sqlite).await;
    let good = session(&app.signed_in_as(Role::Reader).await);
    let tampered = format!(
        "{}{}",
        if good.starts_with('A') { 'B' } else { 'A' },
        &good[1..]
    );
    let (long, half) = ("x".repeat(4_000), &good[..good.len() / 2]);
    for value in [
        "", "garbage", "%00", "%ff%fe", "{}", "AAAA", &long, half, &tampered,
    ] {
        with_cookies(&app, &format!("session={value}"))
            .await
            .expect(401);
    }
    with_cookies(&app, &format!("session={good}"))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_of_a_sign_in_under_way_does_not_open_as_a_session() {
    let app = TestApp::start(Backend::Sqlite).await;
    let browser = app.visitor();
    begun(&browser, "/").await;
    let flow = browser.cookie("flow").unwrap();
    with_cookies(&app, &format!("session={flow}"))
        .await
        .expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_cookie_of_the_same_name_does_not_shadow_ours() {
    let app = TestApp::start(Backend::Sqlite).await;
    let good = session(&app.signed_in_as(Role::Reader).await);
    for foreign in ["foreign", "", "%ff", "a%20b", "\"quoted\""] {
        let email = account(Some(Role::Reader));
        let before = with_cookies(&app, &format!("session={foreign}; session={good}")).await;
        assert_eq!(before.expect(200).json()["email"], email, "{foreign}");
        let after = with_cookies(&app, &format!("session={good}; x=y; session={foreign}")).await;
        assert_eq!(after.expect(200).json()["email"], email, "{foreign}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_under_a_disguised_name_is_nobodys() {
    let app = TestApp::start(Backend::Sqlite).await;
    let theirs = session(&app.signed_in_as(Role::Editor).await);
    let ours = session(&app.signed_in_as(Role::Reader).await);
    for disguise in [
        "%73ession",
        "s%65ssion",
        "sessio%6E",
        "%73%65%73%73%69%6F%6E",
    ] {
        with_cookies(&app, &format!("{disguise}={theirs}"))
            .await
            .expect(401);
        for line in [
            format!("{disguise}={theirs}; session={ours}"),
            format!("session={ours}; {disguise}={theirs}"),
        ] {
            let me = with_cookies(&app, &line).await.expect(200).json();
            assert_eq!(me["role"], "reader", "{line}");
        }
    }
    // A sign-in that somebody else began is not finished in this browser either.
    let (attacker, victim) = (app.visitor(), app.visitor());
    let back = super::callback(&app, &attacker, ADA, "/").await;
    let flow = attacker.cookie("flow").unwrap();
    let headers = [("cookie", format!("%66low={flow}"))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let reply = victim
        .send(reqwest::Method::GET, &back, &headers, Vec::new())
        .await;
    assert_eq!(reply.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_cookies_of_others_sign_nobody_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    let good = session(&app.signed_in_as(Role::Reader).await);
    for other in [
        "bare",
        "=nameless",
        "latin=%E9",
        "a=b=c",
        "umlaut=é",
        "",
        "x=\"a b\"",
    ] {
        with_cookies(&app, &format!("{other}; session={good}"))
            .await
            .expect(200);
        with_cookies(&app, &format!("session={good}; {other}"))
            .await
            .expect(200);
    }
}

on_both! {
    async fn a_new_sign_in_replaces_the_whole_session(app: TestApp) {
        let browser = app.visitor();
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        let stolen = browser.copy();
        assert!(is_signed_in(&stolen).await);
        app.sign_in(&browser, ADA, "/api/me").await.expect(200);
        assert!(is_signed_in(&browser).await);
        assert!(!is_signed_in(&stolen).await, "the old cookie is dead");

        let stolen = browser.copy();
        let me = app.sign_in(&browser, GRACE, "/api/me").await.expect(200).json();
        assert_eq!(me["email"], GRACE, "somebody else at the same browser");
        assert!(!is_signed_in(&stolen).await);
    }
}
