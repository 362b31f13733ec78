//! Makes a tree of files to try the catalogue with: `cargo run --release --example tree -- FOLDER 100000`.
//!
//! That many files lie in one folder, `Archive`, as nobody would like but everybody has; a tenth as many more are spread
//! over folders three deep. Names repeat words, so that a search finds a few of them, many or none. Contents are a line each.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const WORDS: [&str; 16] = [
    "Report",
    "Invoice",
    "Übersicht",
    "Budget",
    "Minutes",
    "Contract",
    "Draft",
    "Photo",
    "Protocol",
    "Plan",
    "Letter",
    "Offer",
    "Order",
    "Survey",
    "Notice",
    "Summary",
];
const ENDINGS: [&str; 8] = ["pdf", "xlsx", "docx", "txt", "png", "zip", "csv", "pptx"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match arguments.as_slice() {
        [folder, files] => files
            .parse()
            .ok()
            .map(|files| (PathBuf::from(folder), files)),
        _ => None,
    };
    let Some((folder, files)) = parsed else {
        eprintln!("Usage: tree FOLDER FILES");
        return ExitCode::FAILURE;
    };
    match make(&folder, files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn make(root: &Path, files: usize) -> io::Result<()> {
    let archive = root.join("Archive");
    std::fs::create_dir_all(&archive)?;
    for number in 0..files {
        write(&archive, number)?;
    }
    for number in files..files + files / 10 {
        // Twenty files to a folder, ten folders to each above it.
        let group = (number - files) / 20;
        let folder = root
            .join(format!("Department {}", group / 100))
            .join(format!("Year {}", 2010 + group / 10 % 10))
            .join(format!("Case {group}"));
        std::fs::create_dir_all(&folder)?;
        write(&folder, number)?;
    }
    Ok(())
}

fn write(folder: &Path, number: usize) -> io::Result<()> {
    let pick = |factor: usize, of: usize| number.wrapping_mul(factor) / 7 % of;
    let name = format!(
        "{} {} {number}.{}",
        WORDS[pick(31, WORDS.len())],
        WORDS[pick(101, WORDS.len())],
        ENDINGS[pick(17, ENDINGS.len())]
    );
    std::fs::write(folder.join(name), format!("File number {number}.\n"))
}
