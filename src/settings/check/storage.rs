//! The database and the folder of files.

use std::path::PathBuf;

use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{DatabaseSettings, FilesSettings, parse};
use super::duration;

const DEFAULT_DATABASE: &str = "sqlite://data/portcullis.db";
const DEFAULT_FILES: &str = "data/files";

pub(super) fn database(variables: &Variables, problems: &mut Problems) -> Option<DatabaseSettings> {
    const NAME: &str = "DATABASE_URL";
    let url = variables.get(NAME).unwrap_or(DEFAULT_DATABASE);
    if let Some(path) = url.strip_prefix("sqlite://") {
        if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') {
            problems.add(NAME, "must name one file after sqlite://, such as sqlite:///var/lib/portcullis/portal.db");
            return None;
        }
        return Some(DatabaseSettings::Sqlite {
            path: PathBuf::from(path),
            is_default: url == DEFAULT_DATABASE,
        });
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        if let Err(wrong) = crate::db::PostgresUrl::parse(url) {
            problems.add(NAME, wrong);
            return None;
        }
        return Some(DatabaseSettings::Postgres(Secret::new(url.to_owned())));
    }
    problems.add(NAME, "must begin with postgres:// or sqlite://");
    None
}

pub(super) fn files(variables: &Variables, problems: &mut Problems) -> FilesSettings {
    let dir = PathBuf::from(variables.get("FILES_DIR").unwrap_or(DEFAULT_FILES));
    let is_default = variables.get("FILES_DIR").is_none();
    if !is_default && !dir.is_dir() {
        problems.add(
            "FILES_DIR",
            format!(
                "names {}, which is not a folder; make it, or mount it, first",
                dir.display()
            ),
        );
    }
    let upload_limit = parse::size(variables.get("UPLOAD_LIMIT").unwrap_or("10GiB"))
        .unwrap_or_else(|wrong| {
            problems.add("UPLOAD_LIMIT", wrong);
            0
        });
    FilesSettings {
        dir,
        is_default,
        upload_limit,
        rescan_interval: duration(variables, "RESCAN_INTERVAL", 900, 1, 86_400, problems),
    }
}
