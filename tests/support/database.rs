//! A Postgres server for the tests: the one that TEST_DATABASE_URL names, or a private cluster made from the
//! installed binaries, which ends and removes itself when the test process does, however that ends.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use portcullis::db::{Db, migrate};
use portcullis::settings::{DatabaseSettings, Secret};
use tokio_postgres::NoTls;

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A server on which databases can be made.
pub struct Server {
    /// URL up to the database's name, with a slash at the end.
    base: String,
    /// Query of the URL, with its question mark, or empty.
    query: String,
    /// File of the CA that signed the server's certificate, for a private cluster.
    pub root_certificate: Option<PathBuf>,
    /// Process id of the private cluster's postmaster file, if there is one.
    pub data: Option<PathBuf>,
}

/// The server, or nothing when none can be had (said loudly, or a failure when it is required).
pub fn postgres() -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(start) {
        Ok(server) => Some(server),
        Err(why) => {
            super::left_out("postgres", why);
            None
        }
    }
}

fn start() -> Result<Server, String> {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        let (url, query) = url.split_once('?').unwrap_or((&url, ""));
        let (base, _) = url
            .rsplit_once('/')
            .ok_or("TEST_DATABASE_URL names no database")?;
        return Ok(Server {
            base: format!("{base}/"),
            query: if query.is_empty() {
                String::new()
            } else {
                format!("?{query}")
            },
            root_certificate: None,
            data: None,
        });
    }
    private_cluster()
}

/// A cluster of its own, with TLS, in a temporary folder.
pub fn private_cluster() -> Result<Server, String> {
    let bin = binaries().ok_or("no Postgres binaries (initdb) are installed")?;
    let folder = tempfile::Builder::new()
        .prefix("portcullis-pg-")
        .tempdir()
        .map_err(|e| e.to_string())?
        .keep();
    let data = folder.join("data");
    let root_certificate = certificate(&folder);
    let user = as_root().then_some("postgres");
    if user.is_some() {
        done(Command::new("chown").args(["-R", "postgres"]).arg(&folder))?;
    }
    let mut initdb = command_as(user, &bin.join("initdb"));
    initdb.arg("-D").arg(&data);
    done(initdb.args([
        "-U",
        "portcullis",
        "--auth=trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]))?;
    let port = free_port();
    serve(user, &bin, &folder, port)?;
    let server = Server {
        base: format!("postgres://portcullis@127.0.0.1:{port}/"),
        query: String::new(),
        root_certificate: Some(root_certificate),
        data: Some(data),
    };
    wait_until_ready(&server)?;
    Ok(server)
}

/// The server hangs on a pipe from this process: when the pipe closes, the shell ends the server and removes the folder.
fn serve(user: Option<&str>, bin: &Path, folder: &Path, port: u16) -> Result<(), String> {
    // A test may have stopped the server (and runuser stops with it), so everything is continued before it is ended.
    let script = "\"$@\" >\"$0/log\" 2>&1 & server=$!; cat >/dev/null; \
                  main=$(head -n 1 \"$0/data/postmaster.pid\"); \
                  kill -CONT $server $main $(pgrep -P $main) 2>/dev/null; kill -QUIT $main 2>/dev/null; \
                  wait $server; rm -rf \"$0\" \"$0.ca.pem\"";
    let mut guard = Command::new("setsid");
    guard.args(["sh", "-c", script]).arg(folder);
    guard.args(server_command(user, bin, folder, port));
    let mut child = guard
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("the private Postgres does not start: {error}"))?;
    // Kept open until this process ends.
    std::mem::forget(child.stdin.take());
    Ok(())
}

fn server_command(user: Option<&str>, bin: &Path, folder: &Path, port: u16) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(user) = user {
        words.extend(["runuser", "-u", user, "--"].map(OsString::from));
    }
    words.extend([bin.join("postgres").into(), "-D".into()]);
    words.extend([folder.join("data").into(), "-p".into()]);
    words.extend([port.to_string().into(), "-k".into(), folder.into()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        // Written to the kernel at each commit, which survives the server, and by no disk waited for.
        "fsync=off",
        "full_page_writes=off",
        "max_connections=500",
        "shared_buffers=64MB",
        "ssl=on",
    ] {
        words.extend(["-c", setting].map(OsString::from));
    }
    let certificate = folder.join("server.pem").display().to_string();
    let key = folder.join("server.key").display().to_string();
    for setting in [
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
    ] {
        words.extend(["-c".into(), setting.into()]);
    }
    words
}

/// A certificate for `localhost`, with the CA that signed it.
fn certificate(folder: &Path) -> PathBuf {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    let key_file = folder.join("server.key");
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    done(Command::new("chmod").arg("600").arg(&key_file)).unwrap();
    // Beside the cluster's folder, which only the server's user may enter. Every cluster has a CA of its own.
    let root = folder.with_extension("ca.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    root
}

fn wait_until_ready(server: &Server) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match block_on(server.connect("postgres")) {
            Ok(_) => return Ok(()),
            Err(error) if began.elapsed() > Duration::from_secs(60) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What can happen to a private cluster.
impl Server {
    fn data(&self) -> &Path {
        self.data
            .as_ref()
            .expect("only a private cluster can be disturbed")
    }

    /// Sends a signal to the server's main process and to all its children. The main process gets it first, and whom it
    /// made until then gets it as well: the list is read until nobody is new.
    pub fn signal(&self, name: &str) {
        let mut told = vec![self.main_process()];
        send(name, &told[0]);
        loop {
            let children = Command::new("pgrep").args(["-P", &told[0]]).output();
            let children = String::from_utf8(children.unwrap().stdout).unwrap();
            let new: Vec<&str> = children
                .lines()
                .filter(|pid| !told.iter().any(|known| known == pid))
                .collect();
            if new.is_empty() {
                return;
            }
            for pid in new {
                send(name, pid);
                told.push(pid.to_owned());
            }
        }
    }

    /// Ends the server at once, without a word to anybody, which its data survive as after a power cut.
    pub fn crash(&self) {
        self.signal("QUIT");
        let began = Instant::now();
        while self.data().join("postmaster.pid").exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn main_process(&self) -> String {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().to_owned()
    }

    /// Ends the server, not its data.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Starts it again, stopping it first where it runs.
    pub fn restart(&self) {
        self.control(&["restart", "-m", "fast"]);
    }

    fn control(&self, arguments: &[&str]) {
        let program = binaries().unwrap().join("pg_ctl");
        let mut command = command_as(as_root().then_some("postgres"), &program);
        command.args(arguments).arg("-w").arg("-D").arg(self.data());
        // The server keeps what it inherits open, and waiting for that would never end.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).current_dir("/").status();
        assert!(status.unwrap().success(), "pg_ctl {arguments:?}");
    }
}

impl Server {
    /// URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.base, self.query)
    }

    /// Name and port, for URLs with other parameters.
    pub fn port(&self) -> u16 {
        let address = self.base.trim_end_matches('/');
        address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .unwrap_or(5432)
    }

    /// A connection as the administrator, where one is free.
    pub async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, String> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls)
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs SQL as the administrator.
    pub async fn execute(&self, database: &str, sql: &str) {
        self.try_execute(database, sql).await.unwrap();
    }

    /// As [`Server::execute`], for SQL that may be refused.
    pub async fn try_execute(
        &self,
        database: &str,
        sql: &str,
    ) -> Result<(), tokio_postgres::Error> {
        let client = self.connect(database).await.unwrap();
        client.batch_execute(sql).await
    }

    /// The number that a query gives.
    pub async fn number(&self, database: &str, sql: &str) -> i64 {
        let client = self.connect(database).await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// A new database without tables; its URL.
    pub async fn empty_database(&self) -> String {
        let name = self.fresh_name();
        self.execute("postgres", &format!("CREATE DATABASE {name}"))
            .await;
        self.url(&name)
    }

    /// A new database with the present schema: a copy, which is faster than migrating each.
    pub async fn database(&self) -> String {
        static COPYING: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
        let template = format!("portcullis_test_template_{}", std::process::id());
        let mut made = COPYING.lock().await;
        if !*made {
            self.execute("postgres", &format!("CREATE DATABASE {template}"))
                .await;
            let db = Db::open(&settings(&self.url(&template))).unwrap();
            migrate::run(&db).await.unwrap();
            db.close();
            *made = true;
        }
        let name = self.fresh_name();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY");
        let client = self.connect("postgres").await.unwrap();
        let began = Instant::now();
        // The migrating connection may need a moment to be gone.
        while let Err(error) = client.batch_execute(&sql).await {
            assert!(began.elapsed() < Duration::from_secs(10), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.url(&name)
    }

    fn fresh_name(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("portcullis_test_{}_{number}", std::process::id())
    }
}

/// As the portal's settings have it.
pub fn settings(url: &str) -> DatabaseSettings {
    DatabaseSettings::Postgres(Secret::new(url.to_owned()))
}

fn binaries() -> Option<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let told = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().into());
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    told.into_iter()
        .chain(installed)
        .chain(std::env::split_paths(&in_path))
        .find(|folder: &PathBuf| {
            folder.join("initdb").is_file() && folder.join("postgres").is_file()
        })
}

/// Whether the tests run as root, as whom Postgres refuses to run.
pub fn as_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// The program as another user.
pub fn command_as(user: Option<&str>, program: &Path) -> Command {
    match user {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn send(signal: &str, pid: &str) {
    let mut kill = Command::new("kill");
    // One that has ended meanwhile needs no signal.
    kill.args([&format!("-{signal}"), pid])
        .stderr(Stdio::null());
    kill.status().unwrap();
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command
        .current_dir("/")
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        scope
            .spawn(move || runtime().unwrap().block_on(work))
            .join()
            .unwrap()
    })
}
