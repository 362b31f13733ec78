//! Downloads side by side: nginx without sign-in, a bare stock `actix-files` server, and the portal with session, role,
//! audit and access log, on the same page-cached files, interleaved, medians of the rounds.
//! `cargo bench --bench side_by_side` prints the table that the README shows; `-- --rounds 5` takes more rounds.
//! The machine is shared by servers and clients, so only the ratios of one run mean anything.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

mod load;
mod servers;
mod table;
mod usage;

use std::path::Path;

use servers::{Kind, Server};
use table::Table;

const LARGE: u64 = 1 << 30;
/// Enough gigabytes that the kernel's count of CPU time (hundredths of a second) is exact to a few per cent.
const LARGE_TIMES: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|name| name == "stock") {
        return servers::stock(&arguments[2], &arguments[3]);
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let rounds = value("--rounds").map_or(3, |text| text.parse().unwrap());
    let only = value("--only").map_or("", String::as_str);
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    make_files(&files);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut table = Table::default();
    for round in 0..rounds {
        for kind in Kind::ALL {
            eprintln!("round {} of {rounds}: {}", round + 1, kind.name());
            let started = |name: &str| {
                let wanted = only.is_empty() || name.contains(only);
                wanted.then(|| {
                    warm(&files);
                    Server::start(kind, folder.path(), &files, &runtime)
                })
            };
            measure(kind, &mut table, started);
        }
    }
    println!("{}", table.markdown());
}

/// Reads all files, so that they are in the page cache, even on a machine that takes from it what is not in use.
fn warm(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut file = std::fs::File::open(entry.unwrap().path()).unwrap();
        std::io::copy(&mut file, &mut std::io::sink()).unwrap();
    }
}

/// Files without a pattern.
fn make_files(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let mut state = 1_u64;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    })
    .take(1 << 20)
    .collect();
    std::fs::write(folder.join("1k.bin"), &block[..1024]).unwrap();
    std::fs::write(folder.join("1m.bin"), &block).unwrap();
    let mut large = std::fs::File::create(folder.join("1g.bin")).unwrap();
    for _ in 0..LARGE / (1 << 20) {
        std::io::Write::write_all(&mut large, &block).unwrap();
    }
}

fn measure(kind: Kind, table: &mut Table, start: impl Fn(&str) -> Option<Server>) {
    if let Some(server) = start("large one") {
        let before = server.cpu();
        let seconds = load::large(&server, 1, LARGE_TIMES);
        let gigabytes = (LARGE * LARGE_TIMES as u64) as f64 / 1e9;
        table.add("1 GiB, one client, GB/s", kind, gigabytes / seconds);
        let cpu = (server.cpu() - before) / gigabytes;
        table.add("server CPU seconds per GB, one client", kind, cpu);
    }
    if let Some(server) = start("large eight") {
        let before = server.cpu();
        let seconds = load::large(&server, 8, 1);
        let gigabytes = (LARGE * 8) as f64 / 1e9;
        table.add("1 GiB, eight clients, GB/s", kind, gigabytes / seconds);
        let cpu = (server.cpu() - before) / gigabytes;
        table.add("server CPU seconds per GB, eight clients", kind, cpu);
    }
    if let Some(server) = start("small") {
        table.add(
            "1 KiB file, requests/s",
            kind,
            load::requests(&server, "1k.bin", 1024, 32),
        );
    }
    if let Some(server) = start("medium") {
        table.add(
            "1 MiB file, requests/s",
            kind,
            load::requests(&server, "1m.bin", 1 << 20, 8),
        );
    }
    if let Some(server) = start("slow") {
        let (first, later) = load::beside_slow_clients(&server);
        table.add("p99 ms beside 200 slow clients, first 3 s", kind, first);
        table.add("p99 ms beside 200 slow clients, later", kind, later);
        table.add("peak memory then, MB", kind, server.peak_memory());
    }
}
