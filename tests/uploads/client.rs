//! A client that is not ours (npm `tus-js-client` in Node) through a line that breaks and a portal that is killed.
//! `PORTCULLIS_TUS_SIZE` is the size in MiB.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use portcullis::roles::Role;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::bad_input::raw;
use crate::downloads::noise;
use crate::faults::Scene;
use crate::support::left_out;
use crate::support::line::Line;

const MIB: u64 = 1 << 20;

/// The largest that the portal's memory ever was, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A file of so many MiB, none of which is like another, and its SHA-256.
fn content(file: &std::path::Path, mebibytes: u64) -> String {
    let mut written = std::fs::File::create(file).unwrap();
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let piece = noise(usize::try_from(MIB).unwrap());
    for number in 0..mebibytes {
        let mut piece = piece.clone();
        piece[..8].copy_from_slice(&number.to_le_bytes());
        written.write_all(&piece).unwrap();
        digest.update(&piece);
    }
    let digest = digest.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_others_brings_a_file_through_five_breaks_and_a_restart() {
    let modules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/node_modules/tus-js-client"
    );
    if !std::path::Path::new(modules).exists() {
        return left_out(
            "axe",
            "tus-js-client is not installed: npm ci --prefix tests",
        );
    }
    let size = std::env::var("PORTCULLIS_TUS_SIZE").unwrap_or_else(|_| "64".to_owned());
    let size: u64 = size.parse().unwrap();
    let mut scene = Scene::start(&[]).await;
    let editor = scene.signed_in_as(Role::Editor).await;
    let file = scene.folder.path().join("large.bin");
    let sha256 = content(&file, size);
    let line = Line::lay().await;
    line.lead_to(scene.port());
    let began = Instant::now();
    let mut client = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tus.cjs"))
        .arg(&file)
        .arg("large.bin")
        .arg(format!("http://127.0.0.1:{}/api/uploads", line.port))
        .arg(raw::cookie(&editor))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let (mut breaks, mut highest, mut published) = (0, 0, None);
    while let Some(told) = lines.next_line().await.unwrap() {
        if let Some(item) = told.strip_prefix("published ") {
            published = Some(item.to_owned());
        }
        assert!(
            !told.starts_with("failed"),
            "{told}\n{}",
            scene.portal.log()
        );
        let Some(sent) = told
            .strip_prefix("sent ")
            .and_then(|sent| sent.parse::<u64>().ok())
        else {
            continue;
        };
        highest = highest.max(sent);
        if breaks < 6 && sent > (breaks + 1) * size * MIB / 8 {
            line.cut();
            if breaks == 3 {
                let most = peak(scene.portal.child.id());
                assert!(most < 150 * MIB, "{} MiB", most / MIB);
                scene.portal.signal("KILL");
                scene.portal.ended().await;
                scene.start_again().await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            line.mend();
            breaks += 1;
        }
    }
    assert!(client.wait().await.unwrap().success());
    assert_eq!(
        breaks, 6,
        "five breaks and a restart; {highest} bytes were sent"
    );
    assert_eq!(published.as_deref(), Some("/api/files/from/tus/large.bin"));
    let listed = editor.get("/api/items").await.expect(200).json();
    assert_eq!(listed[0]["sha256"], sha256);
    assert_eq!(listed[0]["size"], size * MIB);
    let stored = Command::new("sha256sum")
        .arg(scene.files().join("from/tus/large.bin"))
        .output()
        .await
        .unwrap();
    let stored = String::from_utf8(stored.stdout).unwrap();
    assert!(stored.starts_with(&sha256), "{stored}");
    let most = peak(scene.portal.child.id());
    assert!(most < 150 * MIB, "{} MiB", most / MIB);
    println!(
        "{size} MiB through {breaks} breaks in {:.1} s; peak memory of the portal {} MiB",
        began.elapsed().as_secs_f64(),
        most / MIB
    );
}

#[test]
fn the_client_in_static_is_the_one_of_npm() {
    let module = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/node_modules/tus-js-client"
    );
    let Ok(theirs) = std::fs::read(format!("{module}/dist/tus.min.js")) else {
        return left_out(
            "axe",
            "tus-js-client is not installed: npm ci --prefix tests",
        );
    };
    let ours = include_bytes!("../../static/tus.min.js");
    assert!(theirs == ours, "static/tus.min.js is not that of npm");
    let package = std::fs::read_to_string(format!("{module}/package.json")).unwrap();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap();
    let version = package["version"].as_str().unwrap();
    let readme = include_str!("../../static/README.md");
    assert!(
        readme.contains(&format!("tus-js-client) {version} ")),
        "{version}"
    );
    let licence = std::fs::read_to_string(format!("{module}/LICENSE")).unwrap();
    assert_eq!(licence, include_str!("../../static/tus.LICENSE.txt"));
}
