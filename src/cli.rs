//! The command line: reads the settings that a command needs, says what is wrong with them, and runs it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::db::Db;
use crate::settings::{
    DatabaseSettings, FilesSettings, LogSettings, Problems, Settings, Variables, WebSettings,
};

mod accepted;
mod audit;
mod doctor;
mod folders;
mod health;
mod index;
mod lifecycle;
mod lists;
mod logger;
mod people;
mod print;
mod reload;
mod requests;
mod roles;
mod samples;
mod serve;

/// A self-hosted portal: people sign in with Microsoft Entra ID, and plain download links work.
#[derive(Parser)]
#[command(name = "portcullis", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the portal (what happens without a command).
    Serve,
    /// Bring the database's schema up to date.
    Migrate {
        /// Undo the newest migration instead. The role table always stays.
        #[arg(long)]
        undo: bool,
    },
    /// Show and change who may do what.
    Roles {
        #[command(subcommand)]
        task: roles::Roles,
        /// Print JSON, one object a line, and nothing else.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Look at a person; end their sessions; let an address change hands.
    People {
        #[command(subcommand)]
        task: people::People,
        /// Print JSON, one object a line, and nothing else.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Answer people who ask for access.
    Requests {
        #[command(subcommand)]
        task: requests::Requests,
        /// Print JSON, one object a line, and nothing else.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Read, export and check the audit.
    Audit {
        #[command(subcommand)]
        task: audit::Audit,
        /// Print JSON, one object a line, and nothing else.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Look at everything around the portal that can be wrong, and say what to do about it.
    Doctor(doctor::Doctor),
    /// Ask the portal that runs on this machine whether it is ready.
    Health,
    /// Show and change who may see which folder.
    Folders {
        #[command(subcommand)]
        task: folders::Folders,
        /// Print JSON, one object a line, and nothing else.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Look at the index of files; begin it anew.
    Index {
        #[command(subcommand)]
        task: index::IndexTask,
    },
    /// Print a new value for API_COOKIE_SECRET.
    Secret,
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let mut problems = Problems::default();
    let variables = Variables::from_process(&mut problems);
    logger::start(&LogSettings::read(&variables, &mut problems));
    let done = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => Settings::read(&variables, problems)
            .map_err(|problems| problems.to_string())
            .and_then(serve::run),
        Command::Migrate { undo } => {
            with_database(&variables, problems, async |db, _| match undo {
                true => undo_migration(&db).await,
                false => migrate(&db).await,
            })
        }
        Command::Roles { task, json } => with_database(&variables, problems, async |db, _| {
            roles::run(&db, task, json).await
        }),
        Command::People { task, json } => {
            let (files, problems) = match task.needs_files() {
                true => {
                    let (files, problems) = FilesSettings::read(&variables, problems);
                    (Some(files), problems)
                }
                false => (None, problems),
            };
            with_database(&variables, problems, async |db, _| {
                people::run(&db, files.as_ref(), task, json).await
            })
        }
        Command::Requests { task, json } => with_database(&variables, problems, async |db, _| {
            requests::run(&db, task, json).await
        }),
        Command::Audit { task, json } => with_database(&variables, problems, async |db, _| {
            audit::run(&db, task, json).await
        }),
        Command::Doctor(doctor) => doctor.run(&variables, problems),
        Command::Health => WebSettings::read(&variables, problems)
            .map_err(|problems| problems.to_string())
            .and_then(|settings| runtime()?.block_on(health::run(&settings))),
        Command::Folders { task, json } => {
            let (files, problems) = FilesSettings::read(&variables, problems);
            with_database(&variables, problems, async |db, _| {
                folders::run(&db, &files, task, json).await
            })
        }
        Command::Index { task } => with_database(&variables, problems, async |db, _| {
            index::run(&db, task).await
        }),
        Command::Secret => secret(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that needs nothing but the database.
fn with_database(
    variables: &Variables,
    problems: Problems,
    work: impl AsyncFnOnce(Db, DatabaseSettings) -> Result<(), String>,
) -> Result<(), String> {
    let settings =
        DatabaseSettings::read(variables, problems).map_err(|problems| problems.to_string())?;
    runtime()?.block_on(async {
        let db = Db::open(&settings)?;
        let done = work(db.clone(), settings).await;
        db.close();
        done
    })
}

/// Migrations use `block_in_place`, which a single-threaded runtime does not have.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))
}

async fn migrate(db: &Db) -> Result<(), String> {
    let done = crate::db::migrate::run(db)
        .await
        .map_err(|error| error.to_string())?;
    match done.is_empty() {
        true => print::line("The schema is up to date."),
        false => print::line(&format!("Migrated: {}", done.join(", "))),
    }
}

async fn undo_migration(db: &Db) -> Result<(), String> {
    let undone = crate::db::migrate::undo(db)
        .await
        .map_err(|error| error.to_string())?;
    print::line(&format!("Undone: {undone}"))
}

fn secret() -> Result<(), String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
    print::line(&crate::settings::certificate::hex(&bytes))
}
