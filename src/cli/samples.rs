//! What a developer finds at the first `cargo run`: a few files to click on.

use std::fs;
use std::io;
use std::path::Path;

use crate::settings::FilesSettings;

const SAMPLES: [(&str, &str); 4] = [
    (
        "Welcome.txt",
        "This is a sample file of Portcullis.\n\nYou downloaded it by clicking a plain link: no script fetched it, and your browser sent no header\nof its own. The session cookie was enough.\n",
    ),
    (
        "Reports/2026/Revenue Q3.csv",
        "month,revenue\nJuly,1200\nAugust,1340\nSeptember,1275\n",
    ),
    (
        "Reports/2026/Übersicht „Entwurf“.txt",
        "Namen mit Umlauten, Anführungszeichen und Leerzeichen kommen heil an.\n",
    ),
    (
        "Handbook/How to publish.md",
        "# How to publish\n\nEditors and admins open **Publish**, choose a folder and a file, and press the button.\n",
    ),
];

/// Makes FILES_DIR with the samples, if it is the default one and absent.
pub fn files(settings: &FilesSettings) -> io::Result<()> {
    if !settings.is_default || settings.dir.exists() {
        return Ok(());
    }
    for (name, content) in SAMPLES {
        let path = settings.dir.join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, content)?;
    }
    Ok(())
}
