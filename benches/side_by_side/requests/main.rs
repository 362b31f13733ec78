//! Requests side by side: the FastAPI recipe that Portcullis succeeds, a bare Actix handler, nginx without and with
//! `auth_request`, Apache with mod_auth_openidc, and the portal, each answering people who are signed in, interleaved.
//! `cargo bench --bench requests` prints a table and draws a chart (`docs/requests.svg`); `-- --rounds 5` takes more
//! rounds, `-- --only portcullis` fewer servers. It needs wrk, nginx, Apache with mod_auth_openidc, Postgres, and Python.
//!
//! Every server has the first core, wrk the second. The machine is shared, so only the ratios of one run mean anything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    dead_code,
    unused_imports,
    unused_macros,
    missing_docs,
    reason = "a benchmark that cannot go on stops, and uses some of what the tests stand on"
)]

mod chart;
mod figures;
mod servers;
mod stage;
#[path = "../../../tests/support/mod.rs"]
mod support;
mod wrk;

use std::time::Duration;

use figures::{Figures, Row};
use servers::{Kind, Server};
use stage::Stage;

const SPAN: Duration = Duration::from_secs(4);
const CHART: &str = "docs/requests.svg";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|name| name == "bare") {
        return servers::bare(&arguments[2], &arguments[3]);
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let rounds = value("--rounds").map_or(3, |text| text.parse().unwrap());
    let only = value("--only").map_or("", String::as_str);
    let stage = Stage::new();
    let mut figures = Figures::default();
    for round in 0..rounds {
        for kind in Kind::ALL {
            if !only.is_empty() && !kind.name().to_lowercase().contains(only) {
                continue;
            }
            eprintln!("round {} of {rounds}: {}", round + 1, kind.name());
            measure(kind, &stage, &mut figures);
        }
    }
    println!("{}", figures.markdown());
    if only.is_empty() {
        std::fs::write(CHART, chart::draw(&figures)).unwrap();
        println!("\nThe chart is in {CHART}.");
    }
}

fn measure(kind: Kind, stage: &Stage, figures: &mut Figures) {
    let mut server = Server::start(kind, stage);
    figures.add(Row::Start, kind, server.started_in.as_secs_f64() * 1000.0);
    server.sign_in(stage);
    // What a program holds when it has answered everything once.
    for path in server.paths() {
        wrk::run(&server, &path, true, 2, Duration::from_secs(1));
    }
    figures.add(Row::IdleMemory, kind, server.memory());
    let signed_in = [
        (Row::Me, Some(server.me.clone())),
        (Row::Items, server.items.clone()),
        (Row::Page, server.page.clone()),
    ];
    for (row, path) in signed_in {
        let Some(path) = path else { continue };
        let answers = wrk::run(&server, &path, true, 32, SPAN);
        answers.assert_all_good(kind);
        figures.add(row, kind, answers.per_second);
    }
    for (row, path) in [
        (Row::Unauthorized, server.unauthorized.clone()),
        (Row::Redirect, server.redirect.clone()),
    ] {
        let Some(path) = path else { continue };
        let answers = wrk::run(&server, &path, false, 32, SPAN);
        figures.add(row, kind, answers.per_second);
    }
    let crowd = wrk::run(&server, &server.me, true, 256, SPAN);
    figures.add(Row::Slowest, kind, crowd.p99_ms);
    figures.add(Row::Failed, kind, crowd.failed as f64);
    figures.add(Row::Memory, kind, server.memory());
}
