//! Fills a database with people, their accounts, sessions and requests, and audit rows, to see how the portal does with many of both:
//! `DATABASE_URL=postgres://… cargo run --release --example seed -- 100000 10000000`.
//! It adds to what is there; give it a database of its own.

use std::process::ExitCode;

use portcullis::db::{Db, migrate};
use portcullis::settings::{DatabaseSettings, Problems, Variables};

mod seed;

#[tokio::main]
async fn main() -> ExitCode {
    let numbers: Vec<i64> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let [people, rows] = numbers[..] else {
        eprintln!("usage: DATABASE_URL=… seed PEOPLE ROWS");
        return ExitCode::FAILURE;
    };
    match run(people, rows).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn run(people: i64, rows: i64) -> Result<(), String> {
    let mut problems = Problems::default();
    let variables = Variables::from_process(&mut problems);
    let settings =
        DatabaseSettings::read(&variables, problems).map_err(|problems| problems.to_string())?;
    let db = Db::open(&settings)?;
    migrate::run(&db).await.map_err(|error| error.to_string())?;
    seed::seed(&db, people, rows)
        .await
        .map_err(|error| error.to_string())
}
