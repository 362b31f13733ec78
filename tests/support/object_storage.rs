//! Object storage on this machine: Azurite, which speaks Azure's protocol, and s3s-fs, which speaks Amazon's. Each test
//! has a container or bucket of its own, and writes into it with its own keys, as another program would.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};

use super::database::free_port;

/// The account and key that Azurite is known for.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
pub const ACCESS_KEY: &str = "AKIAPORTCULLISTEST";
pub const SECRET_KEY: &str = "a-secret-key-for-the-tests-of-portcullis";

/// Whose protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Azure,
    S3,
}

/// A server that runs.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    folder: PathBuf,
    guard: Child,
    pid: u32,
}

impl Server {
    /// The one that all tests share, or nothing when it is not installed (said loudly, or a failure when required).
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static AZURE: OnceLock<Result<Server, String>> = OnceLock::new();
        static S3: OnceLock<Result<Server, String>> = OnceLock::new();
        let (server, name) = match kind {
            Kind::Azure => (&AZURE, "azurite"),
            Kind::S3 => (&S3, "s3s-fs"),
        };
        match server.get_or_init(|| Self::start(kind, None)) {
            Ok(server) => Some(server),
            Err(why) => {
                super::left_out(name, why);
                None
            }
        }
    }

    /// One of the test's own, which it may stop and kill.
    pub fn own(kind: Kind) -> Option<Self> {
        Self::shared(kind)?;
        Some(Self::start(kind, None).unwrap())
    }

    /// One whose clock is ahead by so many seconds.
    pub fn ahead(kind: Kind, seconds: u32) -> Option<Self> {
        Self::shared(kind)?;
        if Command::new("faketime").arg("--version").output().is_err() {
            super::left_out("faketime", "it is not installed");
            return None;
        }
        Some(Self::start(kind, Some(format!("+{seconds}s"))).unwrap())
    }

    fn start(kind: Kind, clock: Option<String>) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap().keep();
        let port = free_port();
        let text = port.to_string();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let azurite = root.join("tests/azurite/node_modules/azurite/dist/src/blob/main.js");
        let place = folder.display().to_string();
        let script = azurite.display().to_string();
        let mut command: Vec<&str> = match kind {
            Kind::Azure if !azurite.exists() => {
                return Err("npm ci --prefix tests/azurite installs it".to_owned());
            }
            Kind::Azure => vec![
                "node",
                &script,
                "--blobPort",
                &text,
                "--location",
                &place,
                "--silent",
                "--disableTelemetry",
                "--skipApiVersionCheck",
            ],
            Kind::S3 => vec![
                "s3s-fs",
                "--host",
                "127.0.0.1",
                "--port",
                &text,
                "--access-key",
                ACCESS_KEY,
                "--secret-key",
                SECRET_KEY,
                &place,
            ],
        };
        if Command::new(command[0]).arg("--help").output().is_err() {
            return Err(format!("{} is not installed", command[0]));
        }
        if let Some(clock) = &clock {
            command.splice(0..0, ["faketime", "-f", clock]);
        }
        // It hangs on a pipe from this process: when that ends, however, the shell ends the server and removes the folder.
        let script = "\"$@\" >/dev/null 2>&1 & server=$!; echo $server; cat >/dev/null; \
                      kill -CONT $server; kill -KILL $server; wait $server; rm -rf \"$0\"";
        let mut guard = Command::new("sh")
            .args(["-c", script])
            .arg(&folder)
            .args(&command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let out = guard.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(60) {
                return Err("it does not listen within 60 s".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self {
            kind,
            port,
            folder,
            pid: line.trim().parse().unwrap(),
            guard,
        })
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// A new, empty container or bucket.
    pub async fn bucket(&self) -> Bucket {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("test-{}-{number}", std::process::id());
        let bucket = Bucket {
            kind: self.kind,
            port: self.port,
            name,
        };
        match self.kind {
            Kind::S3 => std::fs::create_dir(self.folder.join(&bucket.name)).unwrap(),
            Kind::Azure => bucket.create_container().await,
        }
        bucket
    }

    /// What lies in it beside objects: parts that no upload came to an end with. (Azurite shows none.)
    pub fn parts(&self) -> usize {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("upload")).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A container or bucket, seen by another program than the portal.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub kind: Kind,
    pub port: u16,
    pub name: String,
}

impl Bucket {
    /// What FILES_URL names.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Azure => format!("az://{ACCOUNT}/{}", self.name),
            Kind::S3 => format!("s3://{}", self.name),
        }
    }

    /// The settings of a portal whose files lie here.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("FILES_DIR", String::new()), ("FILES_URL", self.url())];
        variables.extend(match self.kind {
            Kind::Azure => vec![
                ("AZURE_STORAGE_ENDPOINT", self.endpoint()),
                ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY.to_owned()),
            ],
            Kind::S3 => vec![
                ("AWS_ENDPOINT_URL", self.endpoint()),
                ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ],
        });
        variables
    }

    pub fn endpoint(&self) -> String {
        match self.kind {
            Kind::Azure => format!("http://127.0.0.1:{}/{ACCOUNT}", self.port),
            Kind::S3 => format!("http://127.0.0.1:{}", self.port),
        }
    }

    /// Writes an object.
    pub async fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        let key = Key::parse(key).unwrap();
        let content: Vec<u8> = content.into();
        self.store().put(&key, content.into()).await.unwrap();
    }

    /// Writes many, each of one byte.
    pub async fn fill(&self, keys: impl Iterator<Item = String>) {
        // Making a store reads the certificates of the system.
        let store = &self.store();
        let puts = futures_util::stream::iter(keys).map(|key| async move {
            let key = Key::parse(key).unwrap();
            store.put(&key, "x".into()).await.unwrap();
        });
        puts.buffer_unordered(16).collect::<Vec<()>>().await;
    }

    /// Reads one, if it is there.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let found = self.store().get(&Key::parse(key).unwrap()).await.ok()?;
        Some(found.bytes().await.unwrap().to_vec())
    }

    pub async fn remove(&self, key: &str) {
        self.store()
            .delete(&Key::parse(key).unwrap())
            .await
            .unwrap();
    }

    /// All keys, in order.
    pub async fn keys(&self) -> Vec<String> {
        let listed: Vec<_> = self.store().list(None).try_collect().await.unwrap();
        let mut keys: Vec<String> = listed
            .iter()
            .map(|meta| meta.location.to_string())
            .collect();
        keys.sort();
        keys
    }

    fn store(&self) -> Box<dyn ObjectStore> {
        let options = ClientOptions::new().with_allow_http(true);
        match self.kind {
            Kind::Azure => Box::new(
                MicrosoftAzureBuilder::new()
                    .with_account(ACCOUNT)
                    .with_access_key(ACCOUNT_KEY)
                    .with_container_name(&self.name)
                    .with_endpoint(self.endpoint())
                    .with_client_options(options)
                    .build()
                    .unwrap(),
            ),
            Kind::S3 => Box::new(
                AmazonS3Builder::new()
                    .with_access_key_id(ACCESS_KEY)
                    .with_secret_access_key(SECRET_KEY)
                    .with_bucket_name(&self.name)
                    .with_endpoint(self.endpoint())
                    .with_region("us-east-1")
                    .with_client_options(options)
                    .with_disable_bulk_delete(true)
                    .build()
                    .unwrap(),
            ),
        }
    }

    /// Writes an object of any key into Azurite, also of one that the library refuses.
    pub async fn put_raw(&self, key: &str, content: &str) {
        let blob = reqwest::header::HeaderName::from_static("x-ms-blob-type");
        let headers = [(blob, "BlockBlob".to_owned())];
        self.azure("PUT", &format!("/{key}"), &headers, content)
            .await;
    }

    /// Removes one.
    pub async fn remove_raw(&self, key: &str) {
        self.azure("DELETE", &format!("/{key}"), &[], "").await;
    }

    async fn create_container(&self) {
        self.azure("PUT", "?restype=container", &[], "").await;
    }

    /// A token for all of the container, signed as Azure describes it ("Create a service SAS", 2020-12-06 and later).
    pub fn sas(&self) -> String {
        const VERSION: &str = "2023-11-03";
        let until = "2099-01-01T00:00:00Z";
        let resource = format!("/blob/{ACCOUNT}/{}", self.name);
        let text = [
            "rcwdl", "", until, &resource, "", "", "", VERSION, "c", "", "", "", "", "", "", "",
        ]
        .join("\n");
        let key = BASE64_STANDARD.decode(ACCOUNT_KEY).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref());
        let signature = portcullis::files::path::encode(&signature);
        format!(
            "sv={VERSION}&sr=c&sp=rcwdl&se={}&sig={signature}",
            portcullis::files::path::encode(until)
        )
    }

    /// A request to Azurite that it takes.
    async fn azure(
        &self,
        method: &str,
        rest: &str,
        headers: &[(reqwest::header::HeaderName, String)],
        content: &str,
    ) {
        let url = format!("{}/{}{rest}", self.endpoint(), self.name);
        let key = object_store::azure::AzureAccessKey::try_new(ACCOUNT_KEY).unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut signed = HttpRequest::new(HttpRequestBody::empty());
        *signed.method_mut() = method.clone();
        *signed.uri_mut() = url.parse().unwrap();
        for (name, value) in headers {
            signed.headers_mut().insert(name, value.parse().unwrap());
        }
        let length = content.len().to_string();
        signed
            .headers_mut()
            .insert("content-length", length.parse().unwrap());
        let credential = AzureCredential::AccessKey(key);
        let authorizer = AzureAuthorizer::new(&credential, ACCOUNT);
        authorizer.try_authorize(&mut signed).unwrap();
        let request = super::client::plain_http().request(method, &url);
        let request = request
            .headers(signed.headers().clone())
            .body(content.to_owned());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{status}: {}",
            answer.text().await.unwrap()
        );
    }
}
