//! The worst night: what operations bring, on real processes. Nothing is lost that was answered, nobody is let in who may
//! not, and everything heals by itself within ten seconds of the cause's end.

mod clock;
mod killed;
mod limits;
mod postgres;
mod soak;

use std::time::{Duration, Instant};

use portcullis::roles::Role;

use crate::support::app::{COOKIE_SECRET, account};
use crate::support::client::Browser;
use crate::support::database::free_port;
use crate::support::emulator::{Emulator, PICKED};
use crate::support::process::{Running, run};

/// How long a cure may take to work.
pub const HEALED_WITHIN: Duration = Duration::from_secs(10);

/// A portal in a process of its own, with a tenant beside it.
pub struct Scene {
    _emulator: Emulator,
    pub portal: Running,
    pub folder: tempfile::TempDir,
    port: u16,
    settings: Vec<(String, String)>,
}

impl Scene {
    /// Starts it, with these settings beside the tenant's; Karl is a reader, Grace an editor, and Ada an admin.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let (emulator, folder, port) = (
            Emulator::start(0).await.unwrap(),
            tempfile::tempdir().unwrap(),
            free_port(),
        );
        emulator.register_redirect_uri(&format!("http://localhost:{port}/callback"));
        let files = folder.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let own = [
            ("AZURE_AUTHORITY_HOST", emulator.url()),
            ("AZURE_TENANT_ID", emulator.tenant().to_owned()),
            ("APP_REG_CLIENT_ID", emulator.client_id().to_owned()),
            ("APP_REG_CLIENT_SECRET", emulator.client_secret()),
            ("API_COOKIE_SECRET", COOKIE_SECRET[..64].to_owned()),
            ("FILES_DIR", files.display().to_string()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let given = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: Vec<(String, String)> = own.into_iter().chain(given).collect();
        for role in Role::ALL {
            let arguments = ["roles", "grant", account(Some(role)), role.as_str()];
            let (code, text) = run(folder.path(), &pairs(&settings), &arguments);
            assert_eq!(code, 0, "{text}");
        }
        let portal = Running::start_at(folder.path(), port, &pairs(&settings)).await;
        Self {
            _emulator: emulator,
            portal,
            folder,
            port,
            settings,
        }
    }

    /// Starts another process in the place of the one that ended.
    pub async fn start_again(&mut self) {
        let settings = pairs(&self.settings);
        let began = Instant::now();
        self.portal = Running::start_at(self.folder.path(), self.port, &settings).await;
        assert!(began.elapsed() < HEALED_WITHIN, "{:?}", began.elapsed());
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name of the Postgres database.
    pub fn database(&self) -> String {
        self.postgres().unwrap()
    }

    /// The same, where there is one.
    pub fn postgres(&self) -> Option<String> {
        let mut settings = self.settings.iter();
        let (_, url) = settings.find(|(name, _)| name == "DATABASE_URL")?;
        Some(url.rsplit('/').next()?.to_owned())
    }

    /// Runs a command with the portal's settings.
    pub fn command(&self, arguments: &[&str]) -> (i32, String) {
        run(self.folder.path(), &pairs(&self.settings), arguments)
    }

    /// A browser in which that person signed in.
    pub async fn signed_in_as(&self, role: impl Into<Option<Role>>) -> Browser {
        let browser = Browser::new(&self.portal.url);
        let status = self.sign_in(&browser, account(role.into())).await;
        assert_eq!(status, 200, "{}", self.portal.log());
        browser
    }

    /// Signs somebody in, and returns the status of what that led to.
    pub async fn sign_in(&self, browser: &Browser, email: &str) -> u16 {
        let login = browser.navigate("/login?redirect_uri=/api/me").await;
        if login.status != 303 {
            return login.status;
        }
        let mut picked = url::Url::parse(login.location()).unwrap();
        picked.query_pairs_mut().append_pair(PICKED, email);
        browser.follow(picked.as_str()).await.status
    }

    /// FILES_DIR.
    pub fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("files")
    }
}

fn pairs(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// Waits until it is so, as long as a cure may take.
pub async fn healed(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // An answer that comes after that is none.
    let healed = tokio::time::timeout(HEALED_WITHIN, waiting).await;
    assert!(healed.is_ok(), "not within {HEALED_WITHIN:?}: {what}");
}
