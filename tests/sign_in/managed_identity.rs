//! `APP_REG_MANAGED_IDENTITY`: the platform vouches for the portal, and no secret exists.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::app::{Builder, TestApp};
use crate::support::database::Backend;
use crate::support::emulator::Emulator;
use crate::support::emulator::accounts::ADA;

const IDENTITY: &str = "44444444-5555-4666-8777-888888888888";
const HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

/// What Azure runs beside a program that has an identity: one address that knows whoever sends the header.
struct Platform {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let platform = Self {
            url: format!("http://{}/msi/token", listener.local_addr().unwrap()),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let (answer, asked) = (platform.answer.clone(), platform.asked.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0
                {
                }
                asked.lock().unwrap().push(String::from_utf8(head).unwrap());
                let (status, body) = answer.lock().unwrap().clone();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        platform
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn portal(&self, emulator: &Emulator) -> Builder {
        TestApp::builder(Backend::Sqlite)
            .beside(emulator)
            .with("APP_REG_CLIENT_SECRET", "")
            .with("APP_REG_MANAGED_IDENTITY", IDENTITY)
            .with("IDENTITY_ENDPOINT", &self.url)
            .with("IDENTITY_HEADER", HEADER)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_vouches_for_the_portal_at_each_sign_in() {
    let (platform, emulator) = (Platform::start().await, Emulator::start(0).await.unwrap());
    let app = platform.portal(&emulator).start().await;
    for token in ["token.of.today", "token.of.tomorrow"] {
        let answer = format!("{{\"access_token\": \"{token}\", \"expires_on\": \"1\"}}");
        platform.answers(200, &answer);
        emulator.trust_token(token);
        app.sign_in(&app.visitor(), ADA, "/api/me")
            .await
            .expect(200);
        let form = emulator.last_token_request().unwrap().form;
        assert_eq!(form["client_assertion"], token);
        assert!(!form.contains_key("client_secret") && form.contains_key("client_assertion_type"));
    }
    let asked = platform.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    for part in [
        "GET /msi/token?",
        "api-version=2019-08-01",
        "resource=api%3A%2F%2FAzureADTokenExchange&",
        &format!("client_id={IDENTITY}"),
    ] {
        assert!(asked[0].contains(part), "{part} is not in {}", asked[0]);
    }
    let header = format!("x-identity-header: {HEADER}");
    assert!(
        asked[0].to_ascii_lowercase().contains(&header),
        "{}",
        asked[0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_platform_answers_nobody_is_signed_in_and_the_operator_is_told() {
    let (platform, emulator) = (Platform::start().await, Emulator::start(0).await.unwrap());
    let app = platform.portal(&emulator).start().await;
    for (status, body, told) in [
        (
            400,
            "{\"statusCode\":400,\"message\":\"No managed identity found\"}",
            "No managed identity found",
        ),
        (200, "{\"a\":1}", "holds no token"),
        (302, "", "gives no token"),
        (
            200,
            "{\"access_token\": \"not.trusted.there\"}",
            "Entra answered",
        ),
    ] {
        platform.answers(status, body);
        let page = app.sign_in(&app.visitor(), ADA, "/").await.expect(401);
        assert!(page.text().contains("not your fault"), "{}", page.text());
        app.eventually(told, async || {
            let rows = app.audit().await;
            assert!(rows.iter().all(|row| !row.detail.contains(HEADER)));
            rows.iter().any(|row| row.detail.contains(told))
        })
        .await;
    }
    let entra = app.state.entra.as_deref();
    platform.answers(400, "");
    let findings = portcullis::doctor::sign_in(&app.state.settings, entra).await;
    assert!(
        findings.iter().any(|f| f
            .says
            .contains("APP_REG_MANAGED_IDENTITY cannot be shown to Entra")),
        "{findings:#?}"
    );
}
