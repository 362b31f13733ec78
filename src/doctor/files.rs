//! FILES_DIR: readable, writable, with space, and with the kind of rename that publishing stands on.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};

use super::Finding;
use crate::files::incoming::human_size;
use crate::files::{WORKROOM, random_name};
use crate::settings::FilesSettings;

const CHECK: &str = "files";
/// A share that hangs does so for ever.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn examine(settings: &FilesSettings) -> Vec<Finding> {
    let own = settings.clone();
    let looking = tokio::task::spawn_blocking(move || look(&own));
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::fail(
            CHECK,
            format!("FILES_DIR could not be looked at: {error}"),
            "try again",
        )],
        Err(_) => vec![Finding::fail(
            CHECK,
            format!(
                "FILES_DIR: {} does not answer within {} s",
                settings.dir.display(),
                PATIENCE.as_secs()
            ),
            "see to the disk or the network share below it; whatever touches its files waits for it",
        )],
    }
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
    // Several may look at the same moment, from containers whose processes all have the same number.
    let name = random_name().map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!("doctor-{name}");
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
