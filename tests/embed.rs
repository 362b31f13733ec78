//! `examples/embed.rs` as somebody runs it: a program of its own in front of a real provider, on both databases. What it shows
//! holds for every program that embeds us.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use portcullis::audit::Actor;
use portcullis::db::{Conn, Db};
use portcullis::embed::{Reader, Setup, StartError};
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{Role, Wanted};
use portcullis::settings::{Problems, Settings, Variables};
use reqwest::Method;

use crate::support::app::{COOKIE_SECRET, account};
use crate::support::client::{Browser, Reply};
use crate::support::database::{self, Backend, free_port};
use crate::support::emulator::{Emulator, PICKED};

const SOURCE: &str = include_str!("../examples/embed.rs");

/// Cargo builds examples for `cargo test`, but not for a single suite of it.
static BUILT: LazyLock<()> = LazyLock::new(|| {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--quiet", "--example", "embed"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success());
});

/// The example in a process of its own.
struct Program {
    child: Child,
    url: String,
    _emulator: Emulator,
    db: Db,
    _folder: tempfile::TempDir,
}

impl Program {
    async fn start(backend: Backend) -> Self {
        LazyLock::force(&BUILT);
        let (port, emulator) = (free_port(), Emulator::start(0).await.unwrap());
        let url = format!("http://localhost:{port}");
        emulator.register_redirect_uri(&format!("{url}/callback"));
        let folder = tempfile::tempdir().unwrap();
        let database_url = match backend {
            Backend::Sqlite => format!("sqlite://{}", folder.path().join("notes.db").display()),
            Backend::Postgres => database::postgres().unwrap().database().await,
        };
        let variables = [
            ("AZURE_AUTHORITY_HOST", emulator.url()),
            ("AZURE_TENANT_ID", emulator.tenant().to_owned()),
            ("APP_REG_CLIENT_ID", emulator.client_id().to_owned()),
            ("APP_REG_CLIENT_SECRET", emulator.client_secret()),
            ("API_COOKIE_SECRET", COOKIE_SECRET[..64].to_owned()),
            ("DATABASE_URL", database_url.clone()),
            ("PORT", port.to_string()),
        ];
        let binary = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let child = Command::new(binary.with_file_name("examples").join("embed"))
            .env_clear()
            .envs(variables.clone())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pairs = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let settings = Settings::read(&Variables::from_pairs(pairs), Problems::default()).unwrap();
        let mut program = Self {
            child,
            url,
            _emulator: emulator,
            db: Db::open(&settings.database).unwrap(),
            _folder: folder,
        };
        program.wait_until_it_listens(port).await;
        program
    }

    async fn wait_until_it_listens(&mut self, port: u16) {
        let began = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the program ended: {ended:?}");
            assert!(began.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sign_in(&self, role: Option<Role>, target: &str) -> (Browser, Reply) {
        let (browser, email) = (Browser::new(&self.url), account(role));
        if let Some(role) = role {
            self.grant(email, role).await;
        }
        let login = browser.navigate(target).await.expect(303);
        let login = browser.navigate(login.location()).await.expect(303);
        let mut authorize = url::Url::parse(login.location()).unwrap();
        authorize.query_pairs_mut().append_pair(PICKED, email);
        let arrived = browser.follow(authorize.as_str()).await;
        (browser, arrived)
    }

    /// As another process does it.
    async fn grant(&self, email: &str, wanted: impl Into<Wanted>) {
        let wanted = wanted.into();
        self.db
            .transaction::<_, ChangeError>(async |conn: &mut Conn| {
                change::grant(conn, &Actor::command_line(), email, wanted).await
            })
            .await
            .unwrap();
    }

    async fn revoke(&self, email: &str) {
        self.db
            .transaction::<_, ChangeError>(async |conn: &mut Conn| {
                change::revoke(conn, &Actor::command_line(), email).await
            })
            .await
            .unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until `browser` gets that status for the program's own page.
async fn until(browser: &Browser, status: u16) {
    let began = Instant::now();
    while browser.get("/notes").await.status != status {
        assert!(began.elapsed() < Duration::from_secs(10), "no {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn walk_through(backend: Backend) {
    let program = Program::start(backend).await;
    let visitor = Browser::new(&program.url);

    // The open page is open, everything else is closed, whether it is there or not.
    let front = visitor.navigate("/").await.expect(200);
    assert!(front.text().contains("<h1>Notes</h1>"));
    for path in ["/notes", "/absent"] {
        let reply = visitor.navigate(path).await.expect(303);
        let login = format!("/login?redirect_uri=%2F{}", &path[1..]);
        assert_eq!(reply.location(), login);
        visitor.post(path, "text/plain", "x").await.expect(401);
    }
    let refused = visitor.get("/api/absent").await.expect(401);
    assert_eq!(refused.header("content-type"), "application/problem+json");

    // Own page, own table, and the roles.
    let (admin, page) = program.sign_in(Some(Role::Admin), "/notes").await;
    assert!(page.expect(200).text().starts_with("ada.byron@"));
    admin
        .post("/notes", "text/plain", "Buy milk")
        .await
        .expect(200);
    let (reader, page) = program.sign_in(Some(Role::Reader), "/notes").await;
    assert!(page.expect(200).text().ends_with(":\nBuy milk"));
    reader
        .post("/notes", "text/plain", "More")
        .await
        .expect(403);
    let foreign = [("sec-fetch-site", "cross-site"), ("accept", "text/html")];
    let refused = admin.send(Method::POST, "/notes", &foreign, b"Evil".to_vec());
    assert!(
        refused
            .await
            .expect(403)
            .text()
            .contains("came from elsewhere")
    );

    // What we say stands in the program's frame, and speaks of no files.
    let absent = admin.navigate("/absent").await.expect(404);
    assert!(absent.text().starts_with("<title>Notes</title>"));
    assert!(absent.text().contains("Start page") && !absent.text().contains("file"));
    assert!(
        absent
            .header("content-security-policy")
            .contains("default-src 'none'")
    );

    // A role that changes, changes at once.
    program.revoke(account(Some(Role::Reader))).await;
    until(&reader, 403).await;
    let refused = reader.navigate("/notes").await.expect(403);
    assert!(refused.text().contains("<title>Notes</title>"));
    assert!(!refused.text().contains("/account"), "{}", refused.text());
    program
        .grant(account(Some(Role::Reader)), Role::Admin)
        .await;
    until(&reader, 200).await;
    reader
        .post("/notes", "text/plain", "More")
        .await
        .expect(200);

    // Without a role nobody passes, not even to what is not there.
    let (nobody, page) = program.sign_in(None, "/notes").await;
    page.expect(403);
    nobody.navigate("/absent").await.expect(403);

    // Signed out here means signed out on the server.
    let copy = reader.copy();
    let ended = reader.follow("/logout").await;
    assert!(ended.text().contains("You are signed out"));
    assert!(ended.text().starts_with("<title>Notes</title>"));
    copy.navigate("/notes").await.expect(303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_program_has_sign_in_gate_and_roles_on_sqlite() {
    walk_through(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_program_has_sign_in_gate_and_roles_on_postgres() {
    if database::postgres().is_some() {
        walk_through(Backend::Postgres).await;
    }
}

#[test]
fn the_example_has_less_than_forty_lines_of_code() {
    let lines = SOURCE.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() < 40);
}

/// Settings in code, in a folder where there is nothing else.
fn in_code(folder: &Path) -> Setup {
    let database = format!("sqlite://{}", folder.join("own.db").display());
    Setup::from_pairs([("TEST_MODE", "true"), ("DATABASE_URL", &database)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_ask_for_nobody_are_closed_as_well_and_no_files_are_needed() {
    use actix_web::{App, HttpServer, web};
    let folder = tempfile::tempdir().unwrap();
    let portcullis = in_code(folder.path()).name("Desk").start().await.unwrap();
    let actor = Actor::command_line();
    portcullis
        .db()
        .transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::grant(conn, &actor, "somebody@x.example", Role::Admin).await
        })
        .await
        .unwrap();
    let inside = portcullis.clone();
    let app = move || {
        App::new().service(inside.scope(|inside| {
            inside
                .route("/careless", web::to(async || "careless"))
                .route("/greeting", web::to(async |_: Reader| "hello"));
        }))
    };
    let server = HttpServer::new(app).bind("127.0.0.1:0").unwrap();
    let browser = Browser::new(&format!("http://{}", server.addrs()[0]));
    let server = server.disable_signals().run();
    let handle = server.handle();
    tokio::spawn(server);
    let ask = async |who: &str, path: &str| {
        let headers = [("x-test-user", who), ("accept", "text/html")];
        browser.send(Method::GET, path, &headers, Vec::new()).await
    };
    let began = Instant::now();
    while ask("somebody@x.example", "/careless").await.status == 503 {
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    ask("somebody@x.example", "/careless").await.expect(200);
    ask("somebody@x.example", "/greeting").await.expect(200);
    // A site of others may open a WebSocket with our cookies; whether it gets one is for the server to say.
    let own = portcullis.origin().to_owned();
    for (path, origin, status) in [
        ("/careless", Some("https://evil.example"), 403),
        ("/careless", Some("null"), 403),
        ("/careless", None, 403),
        ("/careless", Some(own.as_str()), 200),
    ] {
        let mut headers = vec![
            ("x-test-user", "somebody@x.example"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let reply = browser.send(Method::GET, path, &headers, Vec::new()).await;
        assert_eq!(reply.status, status, "{path} from {origin:?}");
    }
    for path in ["/careless", "/greeting", "/absent"] {
        let refused = ask("stranger@x.example", path).await.expect(403);
        let text = refused.text();
        assert!(text.contains("· Desk</title>"), "{text}");
        assert!(
            !text.contains("/account") && !text.contains("All files"),
            "{text}"
        );
    }
    handle.stop(false).await;
    portcullis.finish().await;
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .collect();
    assert!(left.iter().all(|entry| !entry.path().is_dir()), "{left:?}");
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_typed_and_names_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = Setup::from_pairs([("HOST", "everywhere"), ("SESSION_TTL", "soon")]);
    let Err(StartError::Settings(problems)) = wrong.start().await else {
        panic!("it started");
    };
    let named: Vec<&str> = problems
        .iter()
        .map(|problem| problem.variable.as_str())
        .collect();
    assert!(
        named.contains(&"HOST") && named.contains(&"SESSION_TTL"),
        "{named:?}"
    );
    let nowhere = format!("sqlite://{}/absent/own.db", folder.path().display());
    let wrong = Setup::from_pairs([("TEST_MODE", "true"), ("DATABASE_URL", &nowhere)]);
    let Err(StartError::Database(sentence)) = wrong.start().await else {
        panic!("it started");
    };
    assert!(sentence.contains("not a folder"), "{sentence}");
}
