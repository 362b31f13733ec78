//! A small file system in memory, mounted somewhere for one test; for which the tests have to run as root.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Gone when this is dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one of that size (`1m`) and with room for that many files.
    pub fn mount(place: &Path, size: &str, files: u32) -> Result<Self, String> {
        let options = format!("size={size},nr_inodes={files},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "portcullis-test"]);
        let output = mount
            .arg(place)
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(Self(place.to_owned())),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the portal may still hold a file open.
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}
