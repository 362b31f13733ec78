//! Whether FILES_DIR is still the folder that the index knows. A share that is not mounted leaves an empty folder
//! behind, and nothing must be concluded from that.

use cap_std::fs::Dir;

use super::{Index, state};
use crate::db::Conn;
use crate::error::{AppError, AppResult};
use crate::files::look;

/// Known files that are looked for, half of them the first that were found and half the last.
const SAMPLE: i64 = 100;

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// The same folder will do; for a look at what somebody asked for.
    Usual,
    /// It must not be empty either, while the index knows files; before everything is read anew, and before anything
    /// counts as gone.
    Scan,
}

/// Says yes when FILES_DIR is the folder that it was, or another one in which at least one known file is.
///
/// # Errors
/// [`AppError::FilesAway`], which also becomes the warning of the index; 500 when FILES_DIR cannot be opened.
pub async fn check(index: &Index, care: Care) -> AppResult<()> {
    let identity = index.files.run(look::identity).await?;
    let is_trusted = |trusted: &Option<String>| trusted.as_ref() == Some(&identity);
    if care == Care::Usual
        && index
            .trusted
            .lock()
            .is_ok_and(|trusted| is_trusted(&trusted))
    {
        return Ok(());
    }
    let mut conn = index.db.conn().await?;
    let known_root = state::of(&mut conn).await?.root;
    let is_same = known_root.as_ref() == Some(&identity);
    let problem = match (is_same, care) {
        (true, Care::Usual) => None,
        (true, Care::Scan) => emptied(index, &mut conn).await?,
        (false, _) => another(index, &mut conn).await?,
    };
    if let Some(problem) = problem {
        state::warn(&mut conn, &problem).await?;
        index.metrics.index_warning.set(1);
        return Err(AppError::FilesAway(problem));
    }
    if !is_same {
        state::set_root(&mut conn, &identity).await?;
    }
    if let Ok(mut trusted) = index.trusted.lock() {
        *trusted = Some(identity);
    }
    Ok(())
}

/// Runs `work` on FILES_DIR, but on none that is not the one that was found to be right: it may be taken away and come
/// back at any moment.
///
/// # Errors
/// As [`check`], and what the work returned.
pub async fn on_disk<T: Send + 'static>(
    index: &Index,
    work: impl Fn(&Dir) -> AppResult<T> + Clone + Send + 'static,
) -> AppResult<T> {
    for _ in 0..2 {
        let trusted = index
            .trusted
            .lock()
            .ok()
            .and_then(|trusted| trusted.clone());
        let work = work.clone();
        let done = index.files.run(move |dir| {
            let is_trusted = trusted == Some(look::identity(dir)?);
            is_trusted.then(|| work(dir)).transpose()
        });
        if let Some(done) = done.await? {
            return Ok(done);
        }
        check(index, Care::Usual).await?;
    }
    Err(AppError::FilesAway(
        "FILES_DIR was exchanged while it was being read".to_owned(),
    ))
}

async fn emptied(index: &Index, conn: &mut Conn) -> AppResult<Option<String>> {
    let alone = index.files.alone;
    let read = move |dir: &Dir| look::names(dir, None, 1, alone);
    let root = index.files.run(read).await?;
    if root.is_some_and(|root| !root.names.is_empty()) {
        return Ok(None);
    }
    let known = state::files(conn).await?;
    Ok((known > 0).then(|| {
        format!(
            "FILES_DIR is empty, but the index knows {known} files there. Nothing is read or forgotten until they are back. \
             If they are gone on purpose, run: portcullis index reset"
        )
    }))
}

async fn another(index: &Index, conn: &mut Conn) -> AppResult<Option<String>> {
    let sample = state::sample(conn, SAMPLE / 2).await?;
    if sample.is_empty() {
        return Ok(None);
    }
    let count = sample.len();
    let any = index
        .files
        .run(move |dir| Ok(sample.iter().any(|path| dir.metadata(path).is_ok())))
        .await?;
    Ok((!any).then(|| {
        format!(
            "FILES_DIR is another folder or file system than before, and none of {count} known files is in it: is the share \
             mounted? Nothing is read or forgotten until it is back. If it was exchanged on purpose, run: portcullis index reset"
        )
    }))
}
