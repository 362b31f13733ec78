//! Beyond what the first zips could hold: 4 GiB and 65,535 files. `PORTCULLIS_ZIP=full` runs with both; every run with less.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Instant;

use portcullis::roles::Role;

use super::{begin, read};
use crate::downloads::noise;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::left_out;

const PIECE: usize = 1 << 20;

fn is_full() -> bool {
    std::env::var("PORTCULLIS_ZIP").is_ok_and(|value| value == "full")
}

/// Receives the zip into a file that has holes where there are only zeros, and tells how long it took.
async fn receive(app: &TestApp, reader: &Browser, address: &str) -> (PathBuf, u64) {
    let began = Instant::now();
    let (mut wire, length) = begin(app, reader, address).await;
    println!("{address}: begins after {:?}", began.elapsed());
    let path = app.folder().join("large.zip");
    let mut file = std::fs::File::create(&path).unwrap();
    let zeros = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = wire.take(size).await;
        match piece == zeros {
            true => drop(file.seek(SeekFrom::Current(PIECE as i64)).unwrap()),
            false => file.write_all(&piece).unwrap(),
        }
        left -= size as u64;
    }
    assert!(wire.rest().await.is_empty(), "more came than was announced");
    file.set_len(length).unwrap();
    println!("{address}: {length} bytes in {:?}", began.elapsed());
    (path, length)
}

/// Resident memory of this process, the portal in it, in MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kibibytes / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_beyond_four_gibibytes_is_sound_and_takes_no_memory() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let (large, many) = match is_full() {
        true => (5 << 30, 9),
        false => (200 << 20, 3),
    };
    app.write("z/0 first.bin", noise(100_000));
    let sparse = |name: &str, size: u64| {
        let file = std::fs::File::create(app.files().join("z").join(name)).unwrap();
        file.set_len(size).unwrap();
    };
    sparse("1 large.bin", large);
    // Headers on both sides of the limit, and behind it a file that is itself small.
    for number in 0..many {
        sparse(&format!("2 half {number}.bin"), large / 10);
    }
    app.write("z/3 last.bin", noise(70_000));
    let before = memory();
    let (file, length) = receive(&app, &reader, "/api/zip?folder=z").await;
    let grown = memory().saturating_sub(before);
    println!("memory grew by {grown} MiB");
    assert!(grown < 64, "memory grew by {grown} MiB");
    assert!(length > large + many * (large / 10));
    let entries = read(&file);
    assert_eq!(entries.len() as u64, many + 3);
    assert_eq!(entries[1].size, large);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_of_more_than_65535_files_is_sound() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let count = if is_full() { 70_000 } else { 3_000 };
    for number in 0..count {
        if number % 1_000 == 0 {
            std::fs::create_dir_all(app.files().join(format!("z/{}", number / 1_000))).unwrap();
        }
        let path = format!("z/{}/file number {number}.txt", number / 1_000);
        std::fs::write(app.files().join(path), format!("{number}")).unwrap();
    }
    let before = memory();
    let (file, _) = receive(&app, &reader, "/api/zip?folder=z").await;
    println!("memory grew by {} MiB", memory().saturating_sub(before));
    assert_eq!(read(&file).len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_hundred_thousand_files_are_refused_with_a_sentence() {
    if !is_full() {
        return left_out("zip-full", "PORTCULLIS_ZIP=full is not set");
    }
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    std::fs::create_dir_all(app.files().join("z")).unwrap();
    for number in 0..100_001 {
        std::fs::File::create(app.files().join(format!("z/{number}"))).unwrap();
    }
    let refused = reader.get("/api/zip?folder=z").await.expect(413);
    assert!(
        refused.text().contains("100,000 files"),
        "{}",
        refused.text()
    );
}
