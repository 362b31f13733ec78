//! The servers that are compared, each in a process of its own on loopback.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::cookie::Cookie;
use portcullis::audit::Actor;
use portcullis::auth::entra::Identity;
use portcullis::auth::keyring::Keyring;
use portcullis::auth::session::Ticket;
use portcullis::auth::store;
use portcullis::db::{Conn, Db, migrate};
use portcullis::roles::Role;
use portcullis::roles::change::{self, ChangeError};
use portcullis::settings::{Problems, Settings, Variables};
use tokio::runtime::Runtime;

use super::usage;

/// One person may not have as many downloads open as there are slow clients.
const PEOPLE: usize = 8;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Stock,
    Nginx,
    Portal,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Stock, Self::Nginx, Self::Portal];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock `actix-files`",
            Self::Nginx => "nginx, no auth",
            Self::Portal => "Portcullis",
        }
    }
}

/// A server that runs, and is ended when dropped.
pub struct Server {
    pub address: SocketAddr,
    /// The small request that is timed beside slow downloads: the list of items, or a small file where there is none.
    pub probe: Vec<u8>,
    processes: Vec<Child>,
    prefix: &'static str,
    /// `Cookie` headers of different people, for the portal.
    cookies: Vec<String>,
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start(kind: Kind, folder: &Path, files: &Path, runtime: &Runtime) -> Self {
        let port = free_port();
        let mut server = Self {
            address: ([127, 0, 0, 1], port).into(),
            probe: Vec::new(),
            processes: Vec::new(),
            prefix: "/",
            cookies: Vec::new(),
        };
        match kind {
            Kind::Stock => server.processes.push(stock_process(files, port)),
            Kind::Nginx => server.processes.push(nginx(folder, files, port)),
            Kind::Portal => {
                let (process, cookies) = portal(folder, files, port, runtime);
                server.processes.push(process);
                server.cookies = cookies;
                server.prefix = "/api/files/";
            }
        }
        server.probe = match kind {
            Kind::Portal => server.get("/api/items", 0),
            _ => server.request("1k.bin"),
        };
        server.wait();
        server
    }

    /// A request for a file.
    pub fn request(&self, name: &str) -> Vec<u8> {
        self.request_of(name, 0)
    }

    /// A request for a file by one of several people.
    pub fn request_of(&self, name: &str, person: usize) -> Vec<u8> {
        self.get(&format!("{}{name}", self.prefix), person)
    }

    fn get(&self, path: &str, person: usize) -> Vec<u8> {
        let cookie = match self.cookies.get(person % PEOPLE) {
            None => String::new(),
            Some(cookie) => format!("Cookie: {cookie}\r\n"),
        };
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n").into_bytes()
    }

    pub fn cpu(&self) -> f64 {
        let pids = self.processes.iter().map(Child::id);
        pids.map(usage::cpu).sum()
    }

    pub fn peak_memory(&self) -> f64 {
        let pids = self.processes.iter().map(Child::id);
        pids.map(usage::peak_memory).sum()
    }

    /// Until the probe is answered with 200: the portal says 503 before its database's first heartbeat.
    fn wait(&self) {
        use std::io::{Read, Write};
        let began = Instant::now();
        let is_up = || {
            let Ok(mut stream) = TcpStream::connect(self.address) else {
                return false;
            };
            let mut start = [0; 12];
            stream.write_all(&self.probe).is_ok()
                && stream.read_exact(&mut start).is_ok()
                && start.ends_with(b" 200")
        };
        while !is_up() {
            assert!(began.elapsed() < Duration::from_secs(20), "not up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // TERM, so that nginx ends its workers, too.
            let pid = process.id().to_string();
            let _ = Command::new("kill").arg(pid).status();
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn stock_process(files: &Path, port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["stock", &port.to_string()])
        .arg(files)
        .spawn()
        .unwrap()
}

/// The server that a reader of actix-files' documentation would write.
pub fn stock(port: &str, files: &str) {
    use actix_web::{App, HttpServer};
    let files = files.to_owned();
    let address = ("127.0.0.1", port.parse().unwrap());
    let serve = async {
        HttpServer::new(move || App::new().service(actix_files::Files::new("/", files.clone())))
            .bind(address)
            .unwrap()
            .run()
            .await
    };
    actix_web::rt::System::new().block_on(serve).unwrap();
}

/// nginx as Debian configures it (sendfile, tcp_nopush, an access log), without a limit on requests of one connection.
fn nginx(folder: &Path, files: &Path, port: u16) -> Child {
    let path = folder.display();
    let config = format!(
        "user root; daemon off; worker_processes auto; pid {path}/nginx.pid; error_log {path}/error.log;
         events {{ worker_connections 768; }}
         http {{ sendfile on; tcp_nopush on; types_hash_max_size 2048; default_type application/octet-stream;
           access_log {path}/access.log; keepalive_requests 1000000000;
           client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
           fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
           server {{ listen 127.0.0.1:{port}; root {}; }} }}",
        files.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    Command::new("nginx")
        .arg("-e")
        .arg(folder.join("start.log"))
        .arg("-c")
        .arg(&file)
        .spawn()
        .unwrap()
}

/// The portal over SQLite, and the cookies of people who are signed in.
fn portal(folder: &Path, files: &Path, port: u16, runtime: &Runtime) -> (Child, Vec<String>) {
    let data = tempfile::tempdir_in(folder).unwrap().keep();
    let variables = [
        ("AZURE_TENANT_ID", "contoso.example".to_owned()),
        ("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1".to_owned()),
        ("APP_REG_CLIENT_ID", "client".to_owned()),
        ("APP_REG_CLIENT_SECRET", "secret".to_owned()),
        ("API_COOKIE_SECRET", "ab".repeat(32)),
        (
            "DATABASE_URL",
            format!("sqlite://{}", data.join("portal.db").display()),
        ),
        ("FILES_DIR", files.display().to_string()),
        ("PORT", port.to_string()),
    ];
    let pairs = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    let settings = Settings::read(&Variables::from_pairs(pairs), Problems::default()).unwrap();
    let cookies = runtime.block_on(signed_in(&settings));
    let process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .env_clear()
        .envs(variables)
        .current_dir(&data)
        .stdout(Stdio::null())
        .stderr(File::create(data.join("log")).unwrap())
        .spawn()
        .unwrap();
    (process, cookies)
}

async fn signed_in(settings: &Settings) -> Vec<String> {
    let db = Db::open(&settings.database).unwrap();
    migrate::run(&db).await.unwrap();
    let keys = Keyring::derive(&settings.session.secrets, "session").unwrap();
    let mut cookies = Vec::new();
    for number in 0..PEOPLE {
        let ticket = begin_session(&db, format!("person{number}@contoso.example")).await;
        let inner = serde_json::to_string(&ticket).unwrap();
        let content = serde_json::json!({ "ticket": inner }).to_string();
        let cookie: Cookie<'static> = keys.seal(Cookie::new("session", content));
        cookies.push(cookie.encoded().to_string());
    }
    db.close();
    cookies
}

async fn begin_session(db: &Db, email: String) -> Ticket {
    let now = portcullis::clock::now();
    let ticket = Ticket {
        id: format!("session of {email}"),
        email: email.clone(),
        started_at: now,
        seen_at: now,
    };
    let identity = Identity {
        email: email.clone(),
        name: None,
        tid: "tenant".to_owned(),
        oid: email.clone(),
        sid: None,
        logout_hint: None,
    };
    let actor = Actor::command_line();
    let begun = db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
        change::grant(conn, &actor, &email, Role::Reader).await?;
        Ok(store::begin(conn, &actor, &ticket, &identity, &store::Place::default()).await?)
    });
    assert!(begun.await.unwrap(), "the session was not begun");
    ticket
}
