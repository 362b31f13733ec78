//! A whole portal for one test: own database, own files, own emulator, the real application on a real socket.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use diesel_async::SimpleAsyncConnection;
use portcullis::app::{self, State};
use portcullis::audit::{self, Actor};
use portcullis::db::{Conn, Db, migrate};
use portcullis::roles::change::{self, ChangeError};
use portcullis::roles::{Role, Wanted};
use portcullis::settings::{Problems, Settings, Variables};

use super::client::{Browser, Reply};
use super::database::{self, Backend};
use super::emulator::{Emulator, accounts};

/// The portal under test.
pub struct TestApp {
    /// `http://localhost:PORT`
    pub url: String,
    pub port: u16,
    pub emulator: Emulator,
    pub db: Db,
    pub state: Data<State>,
    pub database_url: String,
    server: ServerHandle,
    folder: tempfile::TempDir,
}

/// What a test changes before the portal starts.
pub struct Builder {
    backend: Backend,
    variables: BTreeMap<String, String>,
    database_url: Option<String>,
    emulator: Option<Emulator>,
}

/// A secret for tests; the second half of the README's example would do as well.
pub const COOKIE_SECRET: &str = "5f0c6b1fd1a3f1f2c5a5d3b6a7e8f90112233445566778899aabbccddeeff0011";

impl Builder {
    /// Sets a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a database that is there already.
    pub fn on(mut self, database_url: &str) -> Self {
        self.database_url = Some(database_url.to_owned());
        self
    }

    /// Uses an emulator that is there already.
    pub fn beside(mut self, emulator: &Emulator) -> Self {
        self.emulator = Some(emulator.clone());
        self
    }

    /// Starts it.
    pub async fn start(self) -> TestApp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let emulator = match self.emulator {
            Some(emulator) => emulator,
            None => Emulator::start(0).await.unwrap(),
        };
        emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
        let database_url = match (self.database_url, self.backend) {
            (Some(url), _) => url,
            (None, Backend::Sqlite) => {
                format!("sqlite://{}", folder.path().join("portal.db").display())
            }
            (None, Backend::Postgres) => database::postgres().unwrap().database().await,
        };
        let mut variables = BTreeMap::from([
            ("AZURE_AUTHORITY_HOST".to_owned(), emulator.url()),
            ("AZURE_TENANT_ID".to_owned(), emulator.tenant().to_owned()),
            (
                "APP_REG_CLIENT_ID".to_owned(),
                emulator.client_id().to_owned(),
            ),
            ("APP_REG_CLIENT_SECRET".to_owned(), emulator.client_secret()),
            (
                "API_COOKIE_SECRET".to_owned(),
                COOKIE_SECRET[..64].to_owned(),
            ),
            ("DATABASE_URL".to_owned(), database_url.clone()),
            ("FILES_DIR".to_owned(), files.display().to_string()),
            ("PORT".to_owned(), port.to_string()),
        ]);
        variables.extend(self.variables);
        let pairs = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let settings = Settings::read(&Variables::from_pairs(pairs), Problems::default())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let db = Db::open(&settings.database).unwrap();
        migrate::run(&db).await.unwrap();
        let state = State::start(settings, db.clone(), true).unwrap();
        let server = app::server(state.clone(), vec![listener], None).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        let app = TestApp {
            url: format!("http://localhost:{port}"),
            port,
            emulator,
            db,
            state,
            database_url,
            server: handle,
            folder,
        };
        app.eventually("the portal is ready", async || {
            app.visitor().get("/health/ready").await.status == 200
        })
        .await;
        app
    }
}

impl TestApp {
    /// A portal with the usual settings.
    pub async fn start(backend: Backend) -> Self {
        Self::builder(backend).start().await
    }

    /// A portal with other settings.
    pub fn builder(backend: Backend) -> Builder {
        Builder {
            backend,
            variables: BTreeMap::new(),
            database_url: None,
            emulator: None,
        }
    }

    /// A browser that is not signed in.
    pub fn visitor(&self) -> Browser {
        Browser::new(&self.url)
    }

    /// A browser in which somebody with that role walked through the real sign-in.
    pub async fn signed_in_as(&self, role: impl Into<Option<Role>>) -> Browser {
        let role = role.into();
        let email = account(role);
        if let Some(role) = role {
            self.grant(email, role).await;
        }
        let browser = self.visitor();
        let reply = self.sign_in(&browser, email, "/api/me").await;
        assert_eq!(reply.expect(200).json()["email"], email);
        browser
    }

    /// Signs `email` in, by the emulator's picker, and returns where that led.
    pub async fn sign_in(&self, browser: &Browser, email: &str, target: &str) -> Reply {
        let login = browser
            .navigate(&portcullis::auth::return_to::login_url(target))
            .await
            .expect(303);
        browser.follow(&self.picked(login.location(), email)).await
    }

    /// The emulator's address with somebody picked.
    pub fn picked(&self, authorize: &str, email: &str) -> String {
        let mut url = url::Url::parse(authorize).unwrap();
        url.query_pairs_mut()
            .append_pair(super::emulator::PICKED, email);
        url.into()
    }

    /// Gives a role as the command line does.
    pub async fn grant(&self, email: &str, wanted: impl Into<Wanted>) {
        let (actor, wanted) = (Actor::command_line(), wanted.into());
        self.db
            .transaction::<_, ChangeError>(async |conn: &mut Conn| {
                change::grant(conn, &actor, email, wanted).await
            })
            .await
            .unwrap();
        self.state.people.forget(email);
    }

    /// Runs SQL as another program would, past the portal's own code.
    pub async fn execute(&self, sql: &str) {
        match self.db.conn().await.unwrap() {
            Conn::Postgres(mut conn) => conn.batch_execute(sql).await.unwrap(),
            Conn::Sqlite(mut conn) => conn.batch_execute(sql).await.unwrap(),
        }
    }

    /// Writes a file that people may download.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.files().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Waits until the index has seen all that is on the disk, as a program that needs a complete search may have to.
    pub async fn indexed(&self) {
        self.state.index.scan().await.unwrap();
    }

    /// Has the trash tended and changes settled. The portal does so as well, and whoever comes second does nothing.
    pub async fn tended(&self) -> portcullis::error::AppResult<()> {
        let began = std::time::Instant::now();
        while !portcullis::trash::keeper::tend(&self.db, &self.state.files).await? {
            assert!(began.elapsed().as_secs() < 60, "the portal tends for ever");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// FILES_DIR.
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// A folder that is gone with the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until hardly any row of the audit waits for its seal, without looking at all that are sealed.
    pub async fn sealed_soon(&self) {
        let began = Instant::now();
        while audit::seal::seal(&self.db).await.unwrap() > 0 || !self.nothing_waits().await {
            assert!(began.elapsed() < Duration::from_secs(3600));
            // The portal's own sealer is at it.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn nothing_waits(&self) -> bool {
        use diesel::{OptionalExtension, QueryDsl};
        use diesel_async::RunQueryDsl;
        use portcullis::db::schema::dim::audit_unsealed;
        let one = audit_unsealed::table.select(audit_unsealed::id).limit(1);
        let waits: Option<i64> = match self.db.conn().await.unwrap() {
            Conn::Postgres(mut conn) => one.get_result(&mut **conn).await.optional().unwrap(),
            Conn::Sqlite(mut conn) => one.get_result(&mut *conn).await.optional().unwrap(),
        };
        waits.is_none()
    }

    /// Waits until every row of the audit is sealed.
    pub async fn sealed(&self) {
        self.eventually("all rows are sealed", async || {
            audit::seal::seal(&self.db).await.unwrap();
            let report = audit::verify::verify(&self.db, None).await.unwrap();
            report.waiting == 0
        })
        .await;
    }

    /// The newest audit rows, newest first.
    pub async fn audit(&self) -> Vec<audit::store::Entry> {
        let mut conn = self.db.conn().await.unwrap();
        audit::store::newest(&mut conn, 100).await.unwrap()
    }

    /// Waits for an audit row with that action, and returns the newest such.
    pub async fn audited(&self, action: &str) -> audit::store::Entry {
        let mut found = None;
        self.eventually(&format!("an audit row {action}"), async || {
            found = self
                .audit()
                .await
                .into_iter()
                .find(|entry| entry.action == action);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Asks until the answer is yes, for ten seconds at most.
    pub async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !is_so().await {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "not within 10 s: {what}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Asking is enough: the runtime ends with the test.
        drop(self.server.stop(false));
    }
}

/// Who has which role in the tests.
pub fn account(role: Option<Role>) -> &'static str {
    match role {
        None => accounts::NO_ROLE,
        Some(Role::Reader) => accounts::KARL,
        Some(Role::Editor) => accounts::GRACE,
        Some(Role::Admin) => accounts::ADA,
    }
}
