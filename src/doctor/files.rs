//! FILES_DIR: readable, writable, with space, and with the kind of rename that publishing stands on.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};

use super::Finding;
use crate::files::WORKROOM;
use crate::files::incoming::human_size;
use crate::settings::FilesSettings;

const CHECK: &str = "files";

pub async fn examine(settings: &FilesSettings) -> Vec<Finding> {
    let settings = settings.clone();
    let examined = tokio::task::spawn_blocking(move || look(&settings)).await;
    examined.unwrap_or_else(|error| {
        vec![Finding::fail(
            CHECK,
            format!("FILES_DIR could not be looked at: {error}"),
            "try again",
        )]
    })
}

fn look(settings: &FilesSettings) -> Vec<Finding> {
    let dir = &settings.dir;
    if let Err(error) = fs::read_dir(dir) {
        return vec![Finding::fail(
            CHECK,
            format!("FILES_DIR: {} cannot be read: {error}", dir.display()),
            "make the folder or mount it, and let the portal's user read it",
        )];
    }
    let mut findings = vec![Finding::ok(CHECK, format!("{} can be read", dir.display()))];
    findings.push(match write_and_rename(dir) {
        Ok(()) => Finding::ok("publishing", "files can be written and renamed in one step"),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Finding::warn(
            "publishing",
            "this file system cannot rename without replacing, so two people who publish one new name at the very same moment may not both be told",
            "use a local file system, or NFS 4.2, for FILES_DIR if that matters",
        ),
        Err(error) => Finding::fail(
            "publishing",
            format!("nothing can be written below FILES_DIR: {error}"),
            "let the portal's user write there; downloads work without",
        ),
    });
    findings.extend(space(dir, settings.upload_limit));
    findings
}

fn write_and_rename(dir: &Path) -> io::Result<()> {
    let room = dir.join(WORKROOM);
    fs::create_dir_all(&room)?;
    let name = format!("doctor-{}", std::process::id());
    let (from, to) = (room.join(&name), room.join(format!("{name}.renamed")));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&from)
        .and_then(|mut file| io::Write::write_all(&mut file, b"portcullis doctor"))
        .and_then(|()| {
            renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE).map_err(Into::into)
        });
    for left in [from, to] {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    written
}

fn space(dir: &Path, upload_limit: u64) -> Option<Finding> {
    const CHECK: &str = "space";
    let found = statvfs(dir).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let says = format!("{} are free in FILES_DIR", human_size(free));
    Some(match free >= upload_limit {
        true => Finding::ok(CHECK, says),
        false => Finding::warn(
            CHECK,
            format!("{says}, less than the largest file that may be published"),
            "make room, or set UPLOAD_LIMIT lower",
        ),
    })
}
