//! Azure without an account key: a shared access signature against Azurite, and identities against a server that notes what it
//! is asked with.

use std::sync::{Arc, Mutex};

use portcullis::files::ItemPath;
use portcullis::files::storage::Storage;
use portcullis::roles::Role;
use portcullis::settings::{Problems, Settings, Variables};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Stored, portal};
use crate::downloads::{noise, url_of};
use crate::publishing::form::Form;
use crate::support::app::COOKIE_SECRET;
use crate::support::object_storage::{Kind, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_access_signature_lists_publishes_and_deletes() {
    let Some(server) = Server::shared(Kind::Azure) else {
        return;
    };
    let bucket = server.bucket().await;
    let sas = bucket.sas();
    let more = [
        ("AZURE_STORAGE_ACCOUNT_KEY", ""),
        ("AZURE_STORAGE_SAS_TOKEN", sas.as_str()),
    ];
    let app = portal(&bucket, &more).await.unwrap();
    let stored = Stored { app, bucket };
    let editor = stored.signed_in_as(Role::Editor).await;
    for (name, length) in [("small 100%.bin", 5_000), ("large.bin", 9_000_000)] {
        let content = noise(length);
        let form = || Form::new().text("folder", "F").file(name, &content);
        form().publish(&editor).await.expect(201);
        form().publish(&editor).await.expect(409);
        let path = format!("F/{name}");
        assert!(editor.get(&url_of(&path)).await.expect(200).body == content);
        assert!(stored.bucket.get(&path).await.unwrap() == content);
    }
    stored.bucket.put("other.txt", "content").await;
    stored.app.indexed().await;
    let listed = editor.get("/api/items").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    let origin = [("sec-fetch-site", "same-origin")];
    let path = "/api/items/F/large.bin";
    editor
        .send(Method::DELETE, path, &origin, Vec::new())
        .await
        .expect(204);
    assert_eq!(
        stored.bucket.keys().await,
        ["F/small 100%.bin", "other.txt"]
    );
}

/// A server on loopback that answers by the first line, and keeps what it was asked.
struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn start(answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let text = request(&mut stream).await;
                    let line = text.lines().next().unwrap_or("").to_owned();
                    kept.lock().unwrap().push(text);
                    let _ = stream.write_all(answer(&line).as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, asked }
    }

    /// The requests whose first line holds that.
    fn asked(&self, holds: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let found = asked
            .iter()
            .filter(|text| text.lines().next().unwrap_or("").contains(holds));
        found.cloned().collect()
    }
}

/// A request with its body.
async fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut bytes) = (String::new(), vec![0; 64 * 1024]);
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap_or("0");
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if body.len() >= length {
            break;
        }
    }
    text
}

fn reply(status: &str, kind: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n{body}"
    )
}

const NO_KEYS: &str = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
const DELEGATED: &str = "<UserDelegationKey><SignedOid>the-oid</SignedOid><SignedTid>the-tid</SignedTid>\
    <SignedStart>2026-01-01T00:00:00Z</SignedStart><SignedExpiry>2099-01-01T00:00:00Z</SignedExpiry>\
    <SignedService>b</SignedService><SignedVersion>2023-11-03</SignedVersion><Value>c2VjcmV0</Value></UserDelegationKey>";

/// Azure, as far as it is asked here: hands out tokens and a key, lists nothing, and knows one object.
fn azure(line: &str) -> String {
    let token = "{\"access_token\":\"the-token\",\"expires_on\":\"4102444800\",\"expires_in\":3600,\"resource\":\"r\",\"token_type\":\"Bearer\"}";
    let blob = "Last-Modified: Thu, 26 Nov 2026 03:00:00 GMT\r\nETag: \"e\"\r\n";
    match line {
        line if line.contains("/token") => reply("200 OK", "application/json", "", token),
        line if line.contains("comp=userdelegationkey") => {
            reply("200 OK", "application/xml", "", DELEGATED)
        }
        line if line.contains("comp=list") => reply("200 OK", "application/xml", "", NO_KEYS),
        line if line.starts_with("HEAD /container/a.txt ") => {
            reply("200 OK", "text/plain", blob, "")
                .replace("Content-Length: 0", "Content-Length: 7")
        }
        _ => reply("404 Not Found", "text/plain", "", ""),
    }
}

/// A storage with these settings that prove who we are.
fn storage(stub: &Stub, more: &[(&str, &str)]) -> Storage {
    let mut pairs = vec![
        ("TEST_MODE", "true"),
        ("API_COOKIE_SECRET", &COOKIE_SECRET[..64]),
        ("FILES_URL", "az://account/container"),
        ("AZURE_STORAGE_ENDPOINT", stub.url.as_str()),
    ];
    pairs.extend(more);
    let settings = Settings::read(&Variables::from_pairs(pairs), Problems::default());
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    Storage::new(&settings.files.storage.unwrap()).unwrap()
}

#[track_caller]
fn has_token(requests: &[String]) {
    let has = |text: &String| {
        text.to_lowercase()
            .contains("authorization: bearer the-token")
    };
    assert!(
        !requests.is_empty() && requests.iter().all(has),
        "{requests:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_identity_is_asked_for_a_token_and_that_reaches_the_storage() {
    let stub = Stub::start(azure).await;
    let endpoint = format!("{}/msi/token", stub.url);
    let storage = storage(
        &stub,
        &[
            ("IDENTITY_ENDPOINT", &endpoint),
            ("AZURE_STORAGE_CLIENT_ID", "the-client"),
        ],
    );
    assert!(storage.list(None).await.unwrap().objects.is_empty());
    let asked = stub.asked("/msi/token");
    assert!(
        asked[0].contains("client_id=the-client") && asked[0].contains("storage.azure.com"),
        "{asked:?}"
    );
    has_token(&stub.asked("comp=list"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_identity_exchanges_its_file_for_a_token_and_that_reaches_the_storage() {
    let stub = Stub::start(azure).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "the-assertion").unwrap();
    let path = file.path().display().to_string();
    let storage = storage(
        &stub,
        &[
            ("AZURE_FEDERATED_TOKEN_FILE", &path),
            ("AZURE_AUTHORITY_HOST", &stub.url),
            ("AZURE_TENANT_ID", "the-tenant"),
            ("APP_REG_CLIENT_ID", "the-client"),
        ],
    );
    assert!(storage.list(None).await.unwrap().objects.is_empty());
    let asked = stub.asked("the-tenant/oauth2/v2.0/token");
    assert_eq!(asked.len(), 1, "{:?}", stub.asked(""));
    has_token(&stub.asked("comp=list"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_signs_addresses_with_a_key_that_it_asks_for_once() {
    let stub = Stub::start(azure).await;
    let endpoint = format!("{}/msi/token", stub.url);
    let storage = storage(
        &stub,
        &[
            ("IDENTITY_ENDPOINT", &endpoint),
            ("FILES_DOWNLOADS", "redirect"),
        ],
    );
    assert!(storage.redirects());
    let path = ItemPath::parse("a.txt").unwrap();
    assert_eq!(storage.look(&path).await.unwrap().size, 7);
    for _ in 0..3 {
        let address = storage
            .address(&path, "attachment", "text/plain")
            .await
            .unwrap();
        let pair = |name: &str| {
            address
                .query_pairs()
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        assert_eq!(address.path(), "/container/a.txt");
        for (name, value) in [
            ("skoid", "the-oid"),
            ("sktid", "the-tid"),
            ("sr", "b"),
            ("sp", "r"),
            ("rscd", "attachment"),
        ] {
            assert_eq!(pair(name).as_deref(), Some(value), "{address}");
        }
        assert_eq!(pair("sig").unwrap().len(), 44);
    }
    let asked = stub.asked("comp=userdelegationkey");
    assert_eq!(asked.len(), 1, "it is kept");
    assert!(
        asked[0].starts_with("POST /?restype=service&comp=userdelegationkey "),
        "{asked:?}"
    );
    has_token(&asked);
}
