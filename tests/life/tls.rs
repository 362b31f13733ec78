//! TLS of the portal's own: HTTP/2 and 1.1, and a certificate that is exchanged while it runs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::DEV;
use crate::support::database::free_port;
use crate::support::process::{Running, run};

/// A certificate for localhost in `folder`; the paths of certificate and key.
pub fn certificate(folder: &Path) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let paths = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&paths[1], key.serialize_pem()).unwrap();
    std::fs::write(&paths[0], certificate.pem()).unwrap();
    let [certificate, key] = paths.map(|path| path.display().to_string());
    (certificate, key)
}

/// curl's word on an address: the protocol version and the status, when the certificate is the one in the file.
fn curl(port: u16, version: &str, root: &str) -> String {
    let asked = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--max-time", "5"])
        .args(["--write-out", "%{http_version} %{http_code}"])
        .args([version, "--cacert", root])
        .arg(format!("https://localhost:{port}/health/ready"))
        .output()
        .unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_speaks_tls_and_takes_a_new_certificate_over() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let port = free_port();
    let secret = "5f0c6b1fd1a3f1f2c5a5d3b6a7e8f90112233445566778899aabbccddeeff001";
    let redirect = format!("https://localhost:{port}/callback");
    let settings = [
        ("AZURE_TENANT_ID", "11111111-2222-4333-8444-555555555555"),
        ("AZURE_AUTHORITY_HOST", "http://localhost:1"),
        ("APP_REG_CLIENT_ID", "22222222-3333-4444-8555-666666666666"),
        ("APP_REG_CLIENT_SECRET", "secret"),
        ("APP_REG_REDIRECT_URI", redirect.as_str()),
        ("API_COOKIE_SECRET", secret),
        ("TLS_CERT_PATH", cert.as_str()),
        ("TLS_KEY_PATH", key.as_str()),
    ];
    let mut portal = Running::spawn(folder.path(), port, &settings);
    eventually("the portal answers", || {
        curl(port, "--http2", &cert) == "2 200"
    })
    .await;
    assert_eq!(curl(port, "--http1.1", &cert), "1.1 200");
    let port_text = port.to_string();
    let mut with_port = settings.to_vec();
    with_port.push(("PORT", &port_text));
    let (code, text) = run(folder.path(), &with_port, &["health"]);
    assert_eq!(code, 0, "{text}");

    let old = folder.path().join("old.pem");
    std::fs::copy(&cert, &old).unwrap();
    std::fs::write(&cert, "half of a").unwrap();
    eventually("the bad file is told", || {
        portal.log().contains("stays as it was")
    })
    .await;
    assert!(portal.log().contains("TLS_CERT_PATH"), "{}", portal.log());
    assert_eq!(curl(port, "--http2", old.to_str().unwrap()), "2 200");
    certificate(folder.path());
    eventually("the new certificate is used", || {
        curl(port, "--http2", &cert) == "2 200"
    })
    .await;
    assert_ne!(curl(port, "--http2", old.to_str().unwrap()), "2 200");
    portal.signal("TERM");
    assert_eq!(portal.ended().await, 0, "{}", portal.log());
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let other = tempfile::tempdir().unwrap();
    let (_, foreign) = certificate(other.path());
    for (cert, key, says) in [
        (cert.as_str(), "", "TLS_KEY_PATH is missing"),
        ("", key.as_str(), "TLS_CERT_PATH is missing"),
        ("/absent", key.as_str(), "TLS_CERT_PATH names /absent"),
        (key.as_str(), key.as_str(), "holds no certificate"),
        (cert.as_str(), foreign.as_str(), "do not belong together"),
    ] {
        let settings = [DEV[0], ("TLS_CERT_PATH", cert), ("TLS_KEY_PATH", key)];
        let (code, text) = run(folder.path(), &settings, &[]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(says), "{says} is not in {text}");
        assert!(!text.contains("BEGIN"), "{text}");
    }
}
