//! How the portal proves who it is: a secret in the form, or an assertion signed by its certificate's key.

use crate::support::app::{Builder, TestApp};
use crate::support::database::Backend;
use crate::support::emulator::Emulator;
use crate::support::emulator::accounts::ADA;

/// A key and its certificate in one PEM, and the certificate alone.
pub fn certificate() -> (String, String) {
    certificate_from(&rcgen::CertificateParams::default())
}

/// The same, of these parameters.
pub fn certificate_from(params: &rcgen::CertificateParams) -> (String, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (format!("{}{certificate}", key.serialize_pem()), certificate)
}

fn with_certificate(emulator: &Emulator, name: &str, value: &str) -> Builder {
    TestApp::builder(Backend::Sqlite)
        .beside(emulator)
        .with("APP_REG_CLIENT_SECRET", "")
        .with(name, value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_travels_in_the_form_and_no_origin_beside_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.sign_in(&app.visitor(), ADA, "/api/me")
        .await
        .expect(200);
    let request = app.emulator.last_token_request().unwrap();
    assert_eq!(request.form["client_secret"], app.emulator.client_secret());
    assert!(request.form.contains_key("code_verifier"));
    assert!(request.authorization.is_none() && request.origin.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_signs_an_assertion_in_either_algorithm() {
    let (both, public) = certificate();
    let emulator = Emulator::start(0).await.unwrap();
    emulator.register_certificate(&public).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &both).unwrap();
    for algorithm in ["PS256", "RS256"] {
        for (name, value) in [
            ("APP_REG_CLIENT_CERT", both.as_str()),
            ("APP_REG_CLIENT_CERT_PATH", file.path().to_str().unwrap()),
        ] {
            let app = with_certificate(&emulator, name, value)
                .with("APP_REG_ASSERTION_ALG", algorithm)
                .start()
                .await;
            app.sign_in(&app.visitor(), ADA, "/api/me")
                .await
                .expect(200);
            let form = emulator.last_token_request().unwrap().form;
            assert!(form.contains_key("client_assertion") && !form.contains_key("client_secret"));
            let header = jsonwebtoken::decode_header(&form["client_assertion"]).unwrap();
            assert_eq!(format!("{:?}", header.alg), algorithm);
            assert_eq!(header.x5t_s256.is_some(), algorithm == "PS256");
            assert_eq!(header.x5t.is_some(), algorithm == "RS256");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_entra_does_not_know_is_the_operators_matter() {
    let (both, _) = certificate();
    let emulator = Emulator::start(0).await.unwrap();
    let app = with_certificate(&emulator, "APP_REG_CLIENT_CERT", &both)
        .start()
        .await;
    let page = app
        .sign_in(&app.visitor(), ADA, "/")
        .await
        .expect(401)
        .text();
    assert!(page.contains("not your fault"), "{page}");
    let row = app.audited("sign_in_refused").await;
    assert_eq!(row.outcome, "certificate_unknown");
    assert!(
        row.detail.contains("Certificates & secrets"),
        "{}",
        row.detail
    );
}
