//! Entra's own errors: what the person reads, and what the operator finds in the log, for each code that we know.

use super::recovers;
use crate::support::app::COOKIE_SECRET;
use crate::support::client::Browser;
use crate::support::database::free_port;
use crate::support::emulator::accounts::ADA;
use crate::support::emulator::{Emulator, PICKED};
use crate::support::process::Running;

const NOT_THEIR_FAULT: &str = "not your fault";
const OTHER: &str = "Use another account";

/// Code, what the page says, and what the log tells the operator to look at.
const KNOWN: &[(u32, &str, &str)] = &[
    (50_011, NOT_THEIR_FAULT, "APP_REG_REDIRECT_URI"),
    (50_020, OTHER, "AZURE_TENANT_ID"),
    (90_072, OTHER, "AZURE_TENANT_ID"),
    (50_034, OTHER, "AZURE_TENANT_ID"),
    (51_004, OTHER, "AZURE_TENANT_ID"),
    (50_105, OTHER, "Users and groups"),
    (53_000, "sign-in rules", "Conditional Access"),
    (53_003, "sign-in rules", "Conditional Access"),
    (65_001, "agree for everybody", "grant admin consent"),
    (65_004, "agree for everybody", "grant admin consent"),
    (90_094, "agree for everybody", "grant admin consent"),
    (70_008, "took too long", "expired"),
    (50_089, "took too long", "expired"),
    (501_481, "out of step", "another sign-in"),
    (900_561, "out of step", "loaded again"),
    (700_016, NOT_THEIR_FAULT, "APP_REG_CLIENT_ID"),
    (700_005, NOT_THEIR_FAULT, "APP_REG_CLIENT_ID"),
    (90_002, NOT_THEIR_FAULT, "AZURE_TENANT_ID"),
    (900_382, NOT_THEIR_FAULT, "AZURE_AUTHORITY_HOST"),
    (900_432, NOT_THEIR_FAULT, "AZURE_AUTHORITY_HOST"),
    (7_000_215, NOT_THEIR_FAULT, "not its Secret ID"),
    (7_000_222, NOT_THEIR_FAULT, "has expired"),
    (700_027, NOT_THEIR_FAULT, "Certificates & secrets"),
    (7_000_218, NOT_THEIR_FAULT, "APP_REG_CLIENT_SECRET or"),
    (50_196, "Wait a few minutes", "loop"),
    (99_999, "IT support", "AADSTS99999"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_code_is_a_sentence_for_the_person_and_an_instruction_for_the_operator() {
    let (emulator, port) = (Emulator::start(0).await.unwrap(), free_port());
    emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
    let folder = tempfile::tempdir().unwrap();
    let (authority, secret) = (emulator.url(), emulator.client_secret());
    let portal = Running::start_at(
        folder.path(),
        port,
        &[
            ("AZURE_AUTHORITY_HOST", &authority),
            ("AZURE_TENANT_ID", emulator.tenant()),
            ("APP_REG_CLIENT_ID", emulator.client_id()),
            ("APP_REG_CLIENT_SECRET", &secret),
            ("API_COOKIE_SECRET", &COOKIE_SECRET[..64]),
        ],
    )
    .await;
    for (code, on_page, in_log) in KNOWN {
        emulator.fail_next_token("invalid_grant", &[*code]);
        let before = portal.log().len();
        let page = sign_in(&portal.url).await;
        assert!(page.contains(on_page), "{code}: {page}");
        assert!(page.contains("correlation id"), "{code}: {page}");
        assert!(!page.contains("AADSTS"), "{code}: {page}");
        recovers(&format!("{code} is in the log"), async || {
            portal.log()[before..].contains(in_log)
        })
        .await;
        let log = portal.log();
        let line = log[before..].lines().find(|line| line.contains(in_log));
        let is_error = line.unwrap().contains("ERROR");
        assert_eq!(is_error, *on_page == NOT_THEIR_FAULT, "{code}: {line:?}");
        assert!(!log.contains(secret.as_str()), "{code}");
    }
}

async fn sign_in(portal: &str) -> String {
    let browser = Browser::new(portal);
    let login = browser.navigate("/login").await.expect(303);
    let mut picked = url::Url::parse(login.location()).unwrap();
    picked.query_pairs_mut().append_pair(PICKED, ADA);
    browser.follow(picked.as_str()).await.expect(401).text()
}
