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

use std::time::{Duration, Instant};

use figures::{Figures, Row};
use servers::{Kind, Server};
use stage::Stage;
use wrk::Asked;

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
    fill(&stage);
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

/// The portal reads the files into the table that the recipe answers from as well.
fn fill(stage: &Stage) {
    let mut portal = Server::start(Kind::Portal, stage);
    portal.sign_in(stage);
    let began = Instant::now();
    while rows(&portal) != stage::FILES {
        assert!(began.elapsed() < Duration::from_secs(30), "no index");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn by_program(path: &str) -> Asked<'_> {
    Asked {
        path,
        accept: wrk::PROGRAM,
        signed_in: true,
    }
}

fn rows(server: &Server) -> usize {
    let Some(path) = &server.items else { return 0 };
    let (status, body) = wrk::once(server, &by_program(path));
    assert_eq!(status, 200, "{body}");
    body.matches("\"path\"").count()
}

fn measure(kind: Kind, stage: &Stage, figures: &mut Figures) {
    let mut server = Server::start(kind, stage);
    figures.add(Row::Start, kind, server.started_in.as_secs_f64() * 1000.0);
    server.sign_in(stage);
    // What a program holds when it has answered everything once.
    for path in server.paths() {
        wrk::run(&server, &by_program(&path), 2, Duration::from_secs(1));
    }
    figures.add(Row::IdleMemory, kind, server.memory());
    if server.items.is_some() && kind != Kind::Bare {
        assert_eq!(rows(&server), stage::FILES, "{}", kind.name());
    }
    for (row, path, accept) in [
        (Row::Me, Some(server.me.clone()), wrk::PROGRAM),
        (Row::Items, server.items.clone(), wrk::PROGRAM),
        (Row::Page, server.page.clone(), wrk::BROWSER),
    ] {
        let Some(path) = path else { continue };
        let asked = Asked {
            path: &path,
            accept,
            signed_in: true,
        };
        let answers = wrk::run(&server, &asked, 32, SPAN);
        answers.assert_all_good(kind);
        figures.add(row, kind, answers.per_second);
    }
    for (row, path, accept, statuses) in [
        (
            Row::Unauthorized,
            server.unauthorized.clone(),
            wrk::PROGRAM,
            &[401][..],
        ),
        (
            Row::Redirect,
            server.redirect.clone(),
            wrk::BROWSER,
            &[302, 303, 307],
        ),
    ] {
        let Some(path) = path else { continue };
        let asked = Asked {
            path: &path,
            accept,
            signed_in: false,
        };
        let (status, body) = wrk::once(&server, &asked);
        assert!(
            statuses.contains(&status),
            "{} {path}: {status} {body}",
            kind.name()
        );
        let answers = wrk::run(&server, &asked, 32, SPAN);
        figures.add(row, kind, answers.per_second);
    }
    let crowd = wrk::run(&server, &by_program(&server.me), 256, SPAN);
    figures.add(Row::Slowest, kind, crowd.p99_ms);
    figures.add(Row::Failed, kind, crowd.failed as f64);
    figures.add(Row::Memory, kind, server.peak());
}
