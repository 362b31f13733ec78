//! The servers that are compared, each on the first core, in processes of its own.

use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::{self, Stage};
use crate::support::client::Browser;
use crate::support::database::free_port;
use crate::support::emulator::PICKED;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Recipe,
    Bare,
    Nginx,
    AuthRequest,
    OpenIdc,
    Portal,
}

/// The answer of all that ask no database.
const ME: &str = r#"{"email":"ada.byron@contoso.example","name":"Ada Byron","role":"reader","expires_at":"2026-11-27T08:00:00Z"}"#;

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Recipe,
        Self::Bare,
        Self::Nginx,
        Self::AuthRequest,
        Self::OpenIdc,
        Self::Portal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recipe => "FastAPI recipe",
            Self::Bare => "bare Actix",
            Self::Nginx => "nginx, no auth",
            Self::AuthRequest => "nginx + `auth_request`",
            Self::OpenIdc => "Apache + mod_auth_openidc",
            Self::Portal => "Portcullis",
        }
    }
}

/// A server that runs, and is ended when dropped.
pub struct Server {
    kind: Kind,
    pub port: u16,
    pub started_in: Duration,
    /// The `Cookie` header of somebody who is signed in.
    pub cookie: Option<String>,
    pub me: String,
    pub items: Option<String>,
    pub page: Option<String>,
    pub unauthorized: Option<String>,
    pub redirect: Option<String>,
    processes: Vec<Child>,
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start(kind: Kind, stage: &Stage) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir_in(stage.folder.path()).unwrap().keep();
        let began = Instant::now();
        let processes = match kind {
            Kind::Recipe => vec![recipe(stage, &folder, port)],
            Kind::Bare => vec![bare_process(&folder, port)],
            Kind::Nginx => vec![nginx(&folder, port, &returning())],
            Kind::AuthRequest => {
                let judge = free_port();
                vec![
                    bare_process(&folder, judge),
                    nginx(&folder, port, &asking(judge)),
                ]
            }
            Kind::OpenIdc => vec![apache(stage, &folder, port)],
            Kind::Portal => vec![portal(stage, &folder, port)],
        };
        let some = |path: &str| Some(path.to_owned());
        let knows_people = matches!(kind, Kind::Recipe | Kind::OpenIdc | Kind::Portal);
        let is_app = matches!(kind, Kind::Recipe | Kind::Bare | Kind::Portal);
        let mut server = Self {
            kind,
            port,
            started_in: Duration::ZERO,
            cookie: None,
            me: "/api/me".to_owned(),
            items: match kind {
                Kind::Portal => some("/api/items?per_page=20"),
                _ => some("/api/items").filter(|_| is_app),
            },
            page: some("/").filter(|_| is_app),
            unauthorized: match kind {
                Kind::Bare => some("/401"),
                _ => some("/api/me").filter(|_| knows_people),
            },
            redirect: match kind {
                Kind::Bare => some("/303"),
                _ => some("/").filter(|_| knows_people),
            },
            processes,
        };
        let first = match kind {
            Kind::Recipe => "/docs",
            Kind::Portal => "/health/ready",
            Kind::OpenIdc => "/open.json",
            Kind::Bare | Kind::Nginx | Kind::AuthRequest => "/api/me",
        };
        server.wait(first);
        server.started_in = began.elapsed();
        server
    }

    /// Everything that is asked for by somebody who is signed in.
    pub fn paths(&self) -> Vec<String> {
        let some = [&self.items, &self.page];
        let mut paths = vec![self.me.clone()];
        paths.extend(some.into_iter().flatten().cloned());
        paths
    }

    /// Gets a cookie, by a real sign-in where that can be had.
    pub fn sign_in(&mut self, stage: &Stage) {
        self.cookie = match self.kind {
            Kind::Recipe => {
                let app = stage::recipe().join("app.py");
                let printed = Command::new(&stage.python).arg(app).arg("cookie").output();
                Some(
                    String::from_utf8(printed.unwrap().stdout)
                        .unwrap()
                        .trim()
                        .to_owned(),
                )
            }
            Kind::OpenIdc => Some(self.walk_in(stage, "/index.html", "mod_auth_openidc_session")),
            Kind::Portal => Some(self.walk_in(stage, "/login?redirect_uri=/api/me", "session")),
            Kind::Bare | Kind::Nginx | Kind::AuthRequest => None,
        };
    }

    fn walk_in(&self, stage: &Stage, path: &str, name: &str) -> String {
        let browser = Browser::new(&format!("http://localhost:{}", self.port));
        stage.runtime.block_on(async {
            let led = browser.navigate(path).await;
            let mut url = url::Url::parse(led.location()).unwrap();
            url.query_pairs_mut().append_pair(PICKED, stage.email());
            let arrived = browser.follow(url.as_str()).await.expect(200);
            assert!(arrived.text().contains(stage.email()), "{}", arrived.text());
        });
        format!("{name}={}", browser.cookie(name).unwrap())
    }

    /// Resident memory of all its processes, in mebibytes; what they share counts once for each.
    pub fn memory(&self) -> f64 {
        self.sum("VmRSS:")
    }

    /// The most that each of them ever held, added up.
    pub fn peak(&self) -> f64 {
        self.sum("VmHWM:")
    }

    fn sum(&self, line: &str) -> f64 {
        let all = self.processes.iter().flat_map(|child| family(child.id()));
        all.map(|pid| mebibytes(pid, line)).sum()
    }

    fn wait(&self, path: &str) {
        use std::io::{Read, Write};
        let began = Instant::now();
        let is_up = || {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
                return false;
            };
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
                self.port
            );
            let mut start = [0; 12];
            stream.write_all(request.as_bytes()).is_ok()
                && stream.read_exact(&mut start).is_ok()
                && start.ends_with(b" 200")
        };
        while !is_up() {
            let name = self.kind.name();
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{name} is not up"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // TERM, so that those with workers end them, too.
            let pid = process.id().to_string();
            let _ = Command::new("kill").arg(pid).status();
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}

/// A program on the first core.
fn pinned(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).current_dir(folder);
    let log = File::create(folder.join("log")).unwrap();
    command.stdout(Stdio::null()).stderr(log);
    command
}

/// Granian with two workers, as the recipe is run.
fn recipe(stage: &Stage, folder: &Path, port: u16) -> Child {
    pinned(stage.python.with_file_name("granian"), folder)
        .args([
            "--interface",
            "asgi",
            "--workers",
            "2",
            "--host",
            "127.0.0.1",
            "--port",
        ])
        .arg(port.to_string())
        .args(["--working-dir"])
        .arg(stage::recipe())
        .args(["--access-log", "app:app"])
        .env("DATABASE_URL", &stage.database_url)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .spawn()
        .unwrap()
}

fn bare_process(folder: &Path, port: u16) -> Child {
    let mut command = pinned(std::env::current_exe().unwrap(), folder);
    command.args(["bare", &port.to_string(), &super::stage::FILES.to_string()]);
    command.spawn().unwrap()
}

/// Handlers that know the answer beforehand: what Actix itself costs.
pub fn bare(port: &str, files: &str) {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let item = serde_json::json!({
        "path": "Quarterly report 00.pdf", "name": "Quarterly report 00.pdf", "size": 1000, "modified": "2026-11-26T08:00:00Z",
        "sha256": "ab".repeat(32), "title": null, "owner": null, "downloads": 0,
        "download_url": "/api/files/Quarterly%20report%2000.pdf",
    });
    let items = serde_json::to_string(&vec![item; files.parse().unwrap()]).unwrap();
    let items: &'static str = items.leak();
    let page: &'static str = "<p>A line of the catalogue, as long as others.</p>\n"
        .repeat(400)
        .leak();
    let text = |kind: &'static str, body: &'static str| {
        move || async move { HttpResponse::Ok().content_type(kind).body(body) }
    };
    let address = ("127.0.0.1", port.parse().unwrap());
    let serve = async {
        HttpServer::new(move || {
            App::new()
                .route("/api/me", web::get().to(text("application/json", ME)))
                .route("/api/items", web::get().to(text("application/json", items)))
                .route("/", web::get().to(text("text/html; charset=utf-8", page)))
                .route(
                    "/401",
                    web::get().to(async || HttpResponse::Unauthorized().finish()),
                )
                .route(
                    "/303",
                    web::get().to(async || {
                        HttpResponse::SeeOther()
                            .insert_header(("Location", "/login"))
                            .finish()
                    }),
                )
        })
        .workers(1)
        .bind(address)
        .unwrap()
        .run()
        .await
    };
    actix_web::rt::System::new().block_on(serve).unwrap();
}

fn returning() -> String {
    format!("location / {{ default_type application/json; return 200 '{ME}'; }}")
}

/// Every request is first shown to a bare handler that always agrees: the least that a sign-in service can cost.
/// (`return` would answer before the question is put, so the answer is a file.)
fn asking(judge: u16) -> String {
    format!(
        "location / {{ auth_request /judge; default_type application/json; try_files /me.json =404; }}
         location = /judge {{ internal; proxy_pass http://judge/api/me; proxy_http_version 1.1; proxy_set_header Connection '';
           proxy_pass_request_body off; proxy_set_header Content-Length ''; }}
         #UPSTREAM upstream judge {{ server 127.0.0.1:{judge}; keepalive 32; }}"
    )
}

/// nginx as Debian configures it, with an access log, without a limit on requests of one connection.
fn nginx(folder: &Path, port: u16, server: &str) -> Child {
    let (server, upstream) = server.split_once("#UPSTREAM").unwrap_or((server, ""));
    let path = folder.display();
    std::fs::write(folder.join("me.json"), ME).unwrap();
    let config = format!(
        "user root; daemon off; worker_processes 1; pid {path}/nginx.pid; error_log {path}/error.log;
         events {{ worker_connections 1024; }}
         http {{ sendfile on; tcp_nopush on; types_hash_max_size 2048; access_log {path}/access.log;
           keepalive_requests 1000000000; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
           fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s; {upstream}
           server {{ listen 127.0.0.1:{port}; root {path}; {server} }} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = pinned("nginx", folder);
    command.arg("-e").arg(folder.join("start.log"));
    command.arg("-c").arg(&file).spawn().unwrap()
}

/// Apache's event module with mod_auth_openidc and its session in a cookie.
fn apache(stage: &Stage, folder: &Path, port: u16) -> Child {
    let modules: String = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "auth_openidc",
        "dir",
        "mime",
        "alias",
        "unixd",
        "log_config",
    ]
    .iter()
    .filter(|name| {
        Path::new("/usr/lib/apache2/modules")
            .join(format!("mod_{name}.so"))
            .exists()
    })
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .collect();
    let site = folder.join("site");
    std::fs::create_dir_all(site.join("api")).unwrap();
    for place in ["api/me", "index.html", "open.json"] {
        std::fs::write(site.join(place), ME).unwrap();
    }
    let redirect = format!("http://localhost:{port}/oidc");
    stage.emulator.register_redirect_uri(&redirect);
    let (authority, tenant) = (stage.emulator.url(), stage.emulator.tenant());
    let (id, secret) = (stage.emulator.client_id(), stage.emulator.client_secret());
    let (folder_text, site) = (folder.display(), site.display());
    let config = format!(
        "ServerName localhost\nServerRoot {folder_text}\nPidFile {folder_text}/pid\nDefaultRuntimeDir {folder_text}\nListen 127.0.0.1:{port}\n{modules}
         User www-data\nGroup www-data\nErrorLog {folder_text}/error.log\nCustomLog {folder_text}/access.log common\n
         MaxKeepAliveRequests 0\nServerLimit 8\nThreadsPerChild 64\nMaxRequestWorkers 512\nStartServers 2\n
         TypesConfig /etc/mime.types\nDocumentRoot {site}\n
         OIDCProviderMetadataURL {authority}/{tenant}/v2.0/.well-known/openid-configuration\n
         OIDCClientID {id}\nOIDCClientSecret {secret}\nOIDCRedirectURI {redirect}\nOIDCCryptoPassphrase a-passphrase-of-the-benchmark\n
         OIDCScope \"openid profile email\"\nOIDCPKCEMethod S256\nOIDCRemoteUserClaim email\nOIDCSessionType client-cookie\nOIDCResponseMode query\n
         OIDCProviderTokenEndpointAuth client_secret_post\nOIDCCookieHTTPOnly On\nOIDCSessionInactivityTimeout 86400\n
         <Directory {site}>\nRequire all granted\n</Directory>\n
         <Location /api>\nAuthType openid-connect\nRequire valid-user\nOIDCUnAuthAction 401\nForceType application/json\n</Location>\n
         <Location /index.html>\nAuthType openid-connect\nRequire valid-user\n</Location>\n
         <Location /oidc>\nAuthType openid-connect\nRequire valid-user\n</Location>\n"
    );
    let file = folder.join("apache.conf");
    std::fs::write(&file, config).unwrap();
    let opened = Command::new("chmod")
        .arg("-R")
        .arg("a+rX")
        .arg(folder)
        .arg(stage.folder.path())
        .status();
    assert!(opened.unwrap().success());
    pinned("apache2", folder)
        .arg("-DFOREGROUND")
        .arg("-f")
        .arg(&file)
        .spawn()
        .unwrap()
}

fn portal(stage: &Stage, folder: &Path, port: u16) -> Child {
    stage
        .emulator
        .register_redirect_uri(&format!("http://localhost:{port}/callback"));
    pinned(env!("CARGO_BIN_EXE_portcullis"), folder)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .envs(stage.variables(port))
        .spawn()
        .unwrap()
}

/// A number of the process' status.
fn mebibytes(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) / 1024.0
}

/// A process and everything below it.
fn family(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children = tasks.flat_map(|task| {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect::<Vec<u32>>()
    });
    std::iter::once(pid)
        .chain(children.flat_map(family))
        .collect()
}
