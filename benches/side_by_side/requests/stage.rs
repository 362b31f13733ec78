//! What the servers share: a folder, Postgres with twenty files and one reader, an OpenID provider, Python for the recipe.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use portcullis::audit::Actor;
use portcullis::db::{Conn, Db, migrate};
use portcullis::roles::Role;
use portcullis::roles::change::{self, ChangeError};
use portcullis::settings::{Problems, Settings, Variables};
use tokio::runtime::Runtime;

use crate::support::database;
use crate::support::emulator::{Emulator, accounts};

pub const FILES: usize = 20;

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub runtime: Runtime,
    pub emulator: Emulator,
    pub database_url: String,
    /// The recipe's interpreter, with its packages.
    pub python: PathBuf,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (emulator, database_url) = runtime.block_on(async {
            let server = database::postgres().expect("Postgres is needed");
            (
                Emulator::start(0).await.unwrap(),
                server.empty_database().await,
            )
        });
        let stage = Self {
            python: python(),
            folder,
            runtime,
            emulator,
            database_url,
        };
        stage.make_files();
        stage.runtime.block_on(stage.grant());
        stage
    }

    /// Who signs in everywhere.
    pub fn email(&self) -> &'static str {
        "ada.byron@contoso.example"
    }

    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// The portal's variables.
    pub fn variables(&self, port: u16) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_TENANT_ID", self.emulator.tenant().to_owned()),
            ("AZURE_AUTHORITY_HOST", self.emulator.url()),
            ("APP_REG_CLIENT_ID", self.emulator.client_id().to_owned()),
            ("APP_REG_CLIENT_SECRET", self.emulator.client_secret()),
            ("API_COOKIE_SECRET", "ab".repeat(32)),
            ("DATABASE_URL", self.database_url.clone()),
            ("FILES_DIR", self.files().display().to_string()),
            ("PORT", port.to_string()),
        ]
    }

    fn make_files(&self) {
        std::fs::create_dir(self.files()).unwrap();
        for number in 0..FILES {
            let name = format!("Quarterly report {number:02}.pdf");
            std::fs::write(self.files().join(name), vec![b'x'; 1000 * (number + 1)]).unwrap();
        }
    }

    async fn grant(&self) {
        let variables = self.variables(1);
        let pairs = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let settings = Settings::read(&Variables::from_pairs(pairs), Problems::default()).unwrap();
        let db = Db::open(&settings.database).unwrap();
        migrate::run(&db).await.unwrap();
        let actor = Actor::command_line();
        db.transaction::<_, ChangeError>(async |conn: &mut Conn| {
            change::grant(conn, &actor, self.email(), Role::Reader).await
        })
        .await
        .unwrap();
        db.close();
    }
}

/// A virtual environment beside the build's own output, made once.
fn python() -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("recipe");
    let python = home.join("bin/python");
    if !home.join("bin/granian").exists() {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&home)
            .status();
        assert!(made.unwrap().success(), "python3 -m venv");
        let installed = Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(recipe().join("requirements.txt"))
            .stdout(Stdio::null())
            .status();
        assert!(installed.unwrap().success(), "pip install");
    }
    python
}

/// The recipe's folder.
pub fn recipe() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/side_by_side/requests/recipe")
}
