//! The database and the place of the files.

use std::path::{Path, PathBuf};

use super::super::problems::Problems;
use super::super::secret::Secret;
use super::super::variables::Variables;
use super::super::{DatabaseSettings, FilesSettings, Sendfile, SendfileHeader, parse};
use super::{duration, object_storage};

const DEFAULT_DATABASE: &str = "sqlite://data/portcullis.db";
const DEFAULT_FILES: &str = "data/files";
/// The location of the nginx configuration in the README.
const DEFAULT_PREFIX: &str = "/protected-files/";

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
    let storage = object_storage::object_storage(variables, problems);
    let in_storage = variables.get("FILES_URL").is_some();
    let dir = PathBuf::from(variables.get("FILES_DIR").unwrap_or(DEFAULT_FILES));
    let is_default = variables.get("FILES_DIR").is_none() && !in_storage;
    if !is_default && !in_storage && !dir.is_dir() {
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
    let sendfile = sendfile(variables, &dir, problems);
    if sendfile.is_some() && in_storage {
        problems.add(
            "SENDFILE_HEADER",
            "needs a folder that the front server can read; with FILES_URL, set FILES_DOWNLOADS=redirect instead",
        );
    }
    FilesSettings {
        dir,
        storage,
        is_default,
        upload_limit,
        upload_kinds: kinds(variables, problems),
        sendfile,
        rescan_interval: duration(variables, "RESCAN_INTERVAL", 900, 1, 86_400, problems),
    }
}

/// `pdf, .DOCX,tar.gz` and the like.
fn kinds(variables: &Variables, problems: &mut Problems) -> Vec<String> {
    const NAME: &str = "UPLOAD_KINDS";
    let kinds = variables.get(NAME).unwrap_or("").split(',');
    let kinds = kinds.map(|kind| kind.trim().trim_start_matches('.').to_lowercase());
    let kinds: Vec<String> = kinds.filter(|kind| !kind.is_empty()).collect();
    let is_ending = |kind: &String| {
        kind.chars()
            .all(|c| c.is_alphanumeric() || "._-+".contains(c))
    };
    let is_set = variables.get(NAME).is_some();
    if !kinds.iter().all(is_ending) || (is_set && kinds.is_empty()) {
        problems.add(
            NAME,
            "must be endings of file names with commas between, such as pdf,docx,xlsx",
        );
    }
    kinds
}

/// Whatever lies in FILES_DIR can be downloaded; a database must not.
pub(super) fn apart(
    database: Option<&DatabaseSettings>,
    files: &FilesSettings,
    problems: &mut Problems,
) {
    let Some(DatabaseSettings::Sqlite { path, .. }) = database else {
        return;
    };
    if files.storage.is_some() {
        return;
    }
    let folder = match path.parent() {
        None => Path::new("."),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    if real(folder).starts_with(real(&files.dir)) {
        problems.add(
            "DATABASE_URL",
            "names a file inside FILES_DIR, where people could download it; put it elsewhere",
        );
    }
}

/// Without links where it is there, else as it is written.
fn real(folder: &Path) -> PathBuf {
    folder
        .canonicalize()
        .or_else(|_| std::path::absolute(folder))
        .unwrap_or_else(|_| folder.to_owned())
}

fn sendfile(variables: &Variables, dir: &Path, problems: &mut Problems) -> Option<Sendfile> {
    const PREFIX: &str = "SENDFILE_PREFIX";
    let prefix = variables.get(PREFIX);
    let Some(name) = variables.get("SENDFILE_HEADER") else {
        if prefix.is_some() {
            problems.add(PREFIX, "means nothing without SENDFILE_HEADER; set both");
        }
        return None;
    };
    let header = match name.to_ascii_lowercase().as_str() {
        "x-accel-redirect" => SendfileHeader::XAccelRedirect,
        "x-sendfile" => SendfileHeader::XSendfile,
        _ => {
            problems.add(
                "SENDFILE_HEADER",
                "must be X-Accel-Redirect (nginx) or X-Sendfile (Apache, Caddy, lighttpd)",
            );
            return None;
        }
    };
    let prefix = match (prefix, header) {
        (Some(prefix), _) => prefix.to_owned(),
        (None, SendfileHeader::XAccelRedirect) => DEFAULT_PREFIX.to_owned(),
        // A path that is no text is refused with the rest below.
        (None, SendfileHeader::XSendfile) => std::path::absolute(dir)
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .unwrap_or_default(),
    };
    if !prefix.starts_with('/') || prefix.contains(|c: char| c.is_control()) {
        problems.add(PREFIX, "must be a path such as /protected-files/");
    }
    Some(Sendfile {
        header,
        prefix: format!("{}/", prefix.trim_end_matches('/')),
    })
}
