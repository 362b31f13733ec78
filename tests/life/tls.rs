//! TLS of the portal's own: HTTP/2 and 1.1, and a certificate that is exchanged while it runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use portcullis::clock;
use portcullis::roles::Role;
use tokio::task::JoinSet;

use super::DEV;
use crate::support::app::TestApp;
use crate::support::database::{Backend, free_port};
use crate::support::process::{Running, run};

/// A certificate for localhost in `folder`; the paths of certificate and key.
pub fn certificate(folder: &Path) -> (String, String) {
    certificate_from(folder, rcgen::CertificateParams::default())
}

/// The same, which ends in five days and some hours.
pub fn certificate_near_its_end(folder: &Path) -> (String, String) {
    certificate_from(folder, near_its_end())
}

/// What ends in five days and some hours.
pub fn near_its_end() -> rcgen::CertificateParams {
    let in_six_days = clock::rfc3339(clock::now() + 6 * 86_400 * clock::SECOND);
    let mut parts = in_six_days[..10]
        .split('-')
        .map(|part| part.parse::<u16>().unwrap());
    let mut part = || parts.next().unwrap();
    let (year, month, day) = (i32::from(part()), part() as u8, part() as u8);
    let mut params = rcgen::CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(year, month, day);
    params
}

fn certificate_from(folder: &Path, mut params: rcgen::CertificateParams) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let name = "localhost".try_into().unwrap();
    params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    let certificate = params.self_signed(&key).unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_near_its_end_is_told_in_log_banner_and_metric() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate_near_its_end(folder.path());
    let port = free_port();
    let settings = [
        DEV[0],
        ("TLS_CERT_PATH", cert.as_str()),
        ("TLS_KEY_PATH", key.as_str()),
    ];
    let portal = Running::spawn(folder.path(), port, &settings);
    eventually("the log tells it", || {
        portal.log().contains("TLS_CERT_PATH expires in 5 days")
    })
    .await;

    let app = TestApp::builder(Backend::Sqlite)
        .with("TLS_CERT_PATH", &cert)
        .with("TLS_KEY_PATH", &key)
        .with("METRICS_TOKEN", crate::metrics::TOKEN)
        .start()
        .await;
    let notice = "TLS_CERT_PATH expires in 5 days";
    for (role, shown) in [(Role::Admin, true), (Role::Editor, false)] {
        let page = app.signed_in_as(role).await.get("/").await.expect(200);
        assert_eq!(page.text().contains(notice), shown, "{role}");
    }
    let left = "portcullis_credential_days_left{credential=\"TLS_CERT_PATH\"}";
    assert_eq!(crate::metrics::read(&app).await[left], 5.0);
    // And is no more, once it was renewed.
    certificate(folder.path());
    let renewed = app.state.certificate.as_ref().unwrap();
    renewed
        .reload(app.state.settings.web.tls.as_ref().unwrap())
        .unwrap();
    assert!(crate::metrics::read(&app).await[left] > 14.0);
}

/// Downloads, and requests over connections that stay open, while credentials and certificate are read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_loses_nothing() {
    const SIZE: usize = 3_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let port = free_port();
    let settings = [
        DEV[0],
        ("TLS_CERT_PATH", cert.as_str()),
        ("TLS_KEY_PATH", key.as_str()),
    ];
    let mut portal = Running::spawn(folder.path(), port, &settings);
    eventually("the portal answers", || {
        curl(port, "--http2", &cert) == "2 200"
    })
    .await;
    let content: Vec<u8> = crate::downloads::noise(SIZE);
    std::fs::write(folder.path().join("data/files/large.bin"), &content).unwrap();
    let content = Arc::new(content);

    let over = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicU32::new(0));
    let mut load = JoinSet::new();
    for number in 0..4 {
        let (over, answers, content) = (over.clone(), answers.clone(), content.clone());
        // Connections stay open through the change, and new ones are made with the new certificate.
        let idle = if number % 2 == 0 { 8 } else { 0 };
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .pool_max_idle_per_host(idle)
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        load.spawn(async move {
            let mut lost = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let path = if number < 2 {
                    "api/files/large.bin"
                } else {
                    "health/ready"
                };
                let url = format!("https://localhost:{port}/{path}");
                let got = async {
                    client
                        .get(url)
                        .send()
                        .await?
                        .error_for_status()?
                        .bytes()
                        .await
                };
                match got.await {
                    Ok(bytes) if number >= 2 || bytes[..] == content[..] => {
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(bytes) => lost.push(format!("{} bytes", bytes.len())),
                    Err(error) => lost.push(format!("{error:?}")),
                }
            }
            lost
        });
    }
    for round in 1..=5 {
        certificate(folder.path());
        portal.signal("HUP");
        let so_far = answers.load(Ordering::SeqCst);
        eventually("it is read again, and answers go on", || {
            portal.log().matches("certificate was read again").count() >= round
                && answers.load(Ordering::SeqCst) > so_far + 8
        })
        .await;
    }
    over.store(true, Ordering::SeqCst);
    let lost: Vec<String> = load.join_all().await.into_iter().flatten().collect();
    assert!(lost.is_empty(), "{lost:?} of {answers:?}\n{}", portal.log());
    portal.signal("TERM");
    assert_eq!(portal.ended().await, 0, "{}", portal.log());
}
