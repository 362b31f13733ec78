//! The index of object storage. A bucket tells nobody what changes in it, so all of its keys are listed at the start and
//! every RESCAN_INTERVAL; what the portal itself publishes or deletes is written down at once. Folders are what stands
//! before the slashes of keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{interval, sleep_until};

use super::seen::Difference;
use super::store::{self, Item};
use super::{Index, LONGEST_PATH, folders, scan, state};
use crate::clock;
use crate::db::schema::dim::items;
use crate::db::{Conn, DbResult, Held, Lock, either};
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::look::Found;
use crate::files::storage::{Listed, Object, Storage};

/// Rows looked at in one step.
const CHUNK: i64 = 5_000;
/// How soon a storage that did not answer is asked again.
const AWAY: Duration = Duration::from_secs(30);
/// Objects that are asked for at once before their rows are taken for missing.
const AT_ONCE: usize = 16;
/// Known files that are looked for in a container that is another one than before.
const SAMPLE: i64 = 20;

/// With the lock: list everything, again and again.
pub(super) async fn lead(index: &Index, storage: &Storage, mut held: Held) -> AppResult<()> {
    let mut check = interval(super::run::LOCK_EVERY);
    loop {
        let mut pause = index.interval;
        match scan(index, storage).await {
            Ok(()) => {}
            // Said once in a while, until it is mended.
            Err(error @ (AppError::FilesAway(_) | AppError::StorageAway(_))) => {
                let cause = error.cause().unwrap_or_else(|| error.to_string());
                log::error!("the storage was not listed: {cause}");
                warn(index, &error, &cause).await?;
                if let AppError::StorageAway(_) = error {
                    pause = pause.min(AWAY);
                }
            }
            Err(error) => return Err(error),
        }
        let next = tokio::time::Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(next) => break,
                _ = check.tick() => held.check().await?,
            }
        }
    }
}

/// A storage that is away for a moment is no matter for people who look at lists; one that has other content is.
async fn warn(index: &Index, error: &AppError, cause: &str) -> AppResult<()> {
    index.metrics.index_warning.set(1);
    if let AppError::FilesAway(_) = error {
        let mut conn = index.db.conn().await?;
        state::warn(&mut conn, cause).await?;
    }
    Ok(())
}

/// Whether there is such a folder; its files are as they were last listed.
///
/// # Errors
/// The database's and the storage's.
pub(super) async fn has_folder(
    index: &Index,
    storage: &Storage,
    folder: &ItemPath,
) -> AppResult<bool> {
    let mut conn = index.db.conn().await?;
    let known = folders::of_paths(&mut conn, &[folder.as_str()]).await?;
    drop(conn);
    match known.is_empty() {
        false => Ok(true),
        true => storage.has_folder(folder).await,
    }
}

/// Lists everything, and writes down what differs.
///
/// # Errors
/// 503 when the container is suddenly empty or another one, or does not answer; the database's.
pub(super) async fn scan(index: &Index, storage: &Storage) -> AppResult<()> {
    let began = Instant::now();
    let mut page = storage.list(None).await?;
    is_ours(index, storage, &page).await?;
    let mut present = Present::default();
    let (mut files, mut changes) = (0_usize, 0_usize);
    let mut strange = Strange::default();
    loop {
        let is_too_long = |(path, _): &mut (ItemPath, Object)| path.as_str().len() > LONGEST_PATH;
        let too_long = page.objects.extract_if(.., is_too_long);
        strange.add(too_long.map(|(path, _)| path.to_string()).collect());
        files += page.objects.len();
        changes += write(index, &page.objects, &mut present).await?;
        strange.add(page.strange);
        let Some(next) = page.next else {
            break;
        };
        page = storage.list(Some(next)).await?;
    }
    changes += missing(index, storage, &present).await?;
    changes += folders_of(index, &present).await?;
    scan::finish(index, changes).await?;
    let seconds = began.elapsed().as_secs_f64();
    index.metrics.index_scan_seconds.set(seconds);
    strange.tell(index).await?;
    log::info!("{files} files were listed in {seconds:.1} s, {changes} changes");
    Ok(())
}

/// Keys that no path can be. They are left out, and pointed out.
#[derive(Default)]
struct Strange {
    count: usize,
    first: Option<String>,
}

impl Strange {
    fn add(&mut self, keys: Vec<String>) {
        self.count += keys.len();
        self.first = self.first.take().or_else(|| keys.into_iter().next());
    }

    async fn tell(self, index: &Index) -> AppResult<()> {
        index.metrics.index_warning.set(self.first.is_some().into());
        let Some(first) = self.first else {
            return Ok(());
        };
        let first = first.escape_debug();
        let (are, more) = match self.count {
            1 => ("an object is".to_owned(), ""),
            count => (format!("{count} objects are"), " and others"),
        };
        let warning = format!(
            "FILES_URL: {are} left out of the list, because no file here can be called so: “{first}”{more}. A key needs a name \
             between any two slashes, and 1,024 bytes at most; give it another with the tools of the storage."
        );
        log::warn!("{warning}");
        let mut conn = index.db.conn().await?;
        Ok(state::warn(&mut conn, &warning).await?)
    }
}

/// Refuses a container that is suddenly empty, or that is another one and has none of the known files.
async fn is_ours(index: &Index, storage: &Storage, first: &Listed) -> AppResult<()> {
    let identity = storage.identity();
    let mut conn = index.db.conn().await?;
    let is_same = state::of(&mut conn).await?.root.as_ref() == Some(&identity);
    let known = state::files(&mut conn).await?;
    let sample = state::sample(&mut conn, SAMPLE / 2).await?;
    drop(conn);
    if is_same && known > 0 && first.objects.is_empty() && first.next.is_none() {
        return Err(AppError::FilesAway(format!(
            "FILES_URL names a place that is empty, but the index knows {known} files there. Nothing is forgotten until they \
             are back. If they are gone on purpose, run: portcullis index reset"
        )));
    }
    if is_same {
        return Ok(());
    }
    let absent = absent(storage, sample.clone()).await?;
    if !sample.is_empty() && sample.iter().all(|path| absent.contains(path)) {
        let count = absent.len();
        return Err(AppError::FilesAway(format!(
            "FILES_URL names another place than before, and none of {count} known files is in it. Nothing is forgotten until \
             it is back. If it was exchanged on purpose, run: portcullis index reset"
        )));
    }
    let mut conn = index.db.conn().await?;
    Ok(state::set_root(&mut conn, &identity).await?)
}

/// What a listing showed.
#[derive(Default)]
struct Present {
    hasher: RandomState,
    /// The paths, hashed, since a million of them shall fit into memory.
    files: HashSet<u64>,
    /// Folders, with the newest change of a file in them or below.
    folders: BTreeMap<String, i64>,
}

impl Present {
    fn add(&mut self, path: &ItemPath, modified_at: i64) {
        self.files.insert(self.hasher.hash_one(path.as_str()));
        let mut folder = path.folder();
        while let Some(above) = folder {
            let newest = self.folders.entry(above.to_string()).or_insert(0);
            *newest = modified_at.max(*newest);
            folder = above.folder();
        }
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains(&self.hasher.hash_one(path))
    }
}

async fn write(
    index: &Index,
    objects: &[(ItemPath, Object)],
    present: &mut Present,
) -> AppResult<usize> {
    let mut conn = index.db.conn().await?;
    let paths: Vec<&str> = objects.iter().map(|(path, _)| path.as_str()).collect();
    let rows = store::of_paths(&mut conn, &paths).await?;
    drop(conn);
    let rows: HashMap<&str, &Item> = rows.iter().map(|row| (row.path.as_str(), row)).collect();
    let mut difference = Difference::default();
    for (path, object) in objects {
        let row = rows.get(path.as_str()).copied();
        present.add(path, object.modified_at);
        let found = Found {
            is_folder: false,
            size: i64::try_from(object.size).unwrap_or(i64::MAX),
            modified_at: object.modified_at,
            target: None,
        };
        difference.of_item(path, Some(&found), row);
    }
    difference.write(index, None).await
}

async fn look(storage: &Storage, path: &ItemPath) -> AppResult<Option<Object>> {
    match storage.look(path).await {
        Ok(object) => Ok(Some(object)),
        Err(AppError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Marks the rows of files that are not there. Each is asked for once more: it may have come during the listing.
async fn missing(index: &Index, storage: &Storage, present: &Present) -> AppResult<usize> {
    let (mut after, mut changes) = (0, 0);
    loop {
        let mut conn = index.db.conn().await?;
        let rows = known(&mut conn, after).await?;
        drop(conn);
        let Some(last) = rows.last() else {
            return Ok(changes);
        };
        after = last.id;
        let unseen = rows.iter().filter(|row| !present.has(&row.path));
        let unseen = unseen.map(|row| row.path.clone()).collect();
        let gone = absent(storage, unseen).await?;
        let mut difference = Difference::default();
        for row in rows.iter().filter(|row| gone.contains(&row.path)) {
            difference.gone_item(row);
        }
        changes += difference.write(index, None).await?;
    }
}

/// Those of the paths at which nothing lies.
async fn absent(storage: &Storage, paths: Vec<String>) -> AppResult<HashSet<String>> {
    let asked = paths.into_iter().map(|text| {
        let storage = storage.clone();
        async move {
            let object = match ItemPath::parse(&text) {
                Some(path) => look(&storage, &path).await?,
                None => None,
            };
            Ok::<_, AppError>(object.is_none().then_some(text))
        }
    });
    let absent = stream::iter(asked)
        .buffered(AT_ONCE)
        .try_filter_map(async |text| Ok(text));
    absent.try_collect().await
}

async fn known(conn: &mut Conn, after: i64) -> DbResult<Vec<Item>> {
    let query = items::table
        .filter(items::missing_since.eq(0).and(items::id.gt(after)))
        .order(items::id)
        .limit(CHUNK);
    Ok(either!(conn, |c| query.load(c).await)?)
}

/// Makes the rows of folders that are there, and removes those of folders that hold nothing any more.
async fn folders_of(index: &Index, present: &Present) -> AppResult<usize> {
    let mut conn = index.db.conn().await?;
    let rows = folders::with_below(&mut conn, "", i64::MAX).await?;
    drop(conn);
    let rows: HashMap<&str, &folders::Folder> =
        rows.iter().map(|row| (row.path.as_str(), row)).collect();
    let mut difference = Difference::default();
    for (folder, modified_at) in &present.folders {
        let Some(path) = ItemPath::parse(folder) else {
            continue;
        };
        let found = Found {
            is_folder: true,
            size: 0,
            modified_at: *modified_at,
            target: None,
        };
        let row = rows.get(folder.as_str()).copied();
        difference.of_folder(&path, Some(&found), row);
    }
    let changes = difference.write(index, None).await?;
    let empty: Vec<String> = rows
        .keys()
        .filter(|path| !path.is_empty() && !present.folders.contains_key(**path))
        .map(|path| (*path).to_owned())
        .collect();
    let removed = empty.len();
    index
        .db
        .exclusive(Lock::Index, async |conn: &mut Conn| {
            for folder in &empty {
                if !holds_files(conn, folder).await? {
                    folders::forget(conn, folder).await?;
                }
            }
            Ok::<_, AppError>(())
        })
        .await?;
    Ok(changes + removed)
}

/// Somebody may have published there since it was listed.
async fn holds_files(conn: &mut Conn, folder: &str) -> DbResult<bool> {
    let (from, to) = store::below(folder);
    let inside = items::path.ge(from).and(items::path.lt(to));
    let query = items::table.filter(items::missing_since.eq(0).and(inside));
    let query = diesel::select(diesel::dsl::exists(query));
    Ok(either!(conn, |c| query.get_result(c).await)?)
}

/// Writes down that something was published at `path`, so that its folders show the time.
///
/// # Errors
/// The database's.
pub async fn touched(conn: &mut Conn, path: &ItemPath) -> DbResult<()> {
    use crate::db::schema::dim::folders as table;
    let mut folder = path.folder();
    while let Some(above) = folder {
        let row = table::table.filter(table::path.eq(above.as_str()));
        let statement = diesel::update(row).set(table::modified_at.eq(clock::now()));
        either!(&mut *conn, |c| statement.execute(c).await)?;
        folder = above.folder();
    }
    Ok(())
}

/// Forgets the file at `path`, which the portal removed.
///
/// # Errors
/// The database's.
pub async fn removed(conn: &mut Conn, path: &ItemPath) -> DbResult<()> {
    let statement = diesel::delete(items::table.filter(items::path.eq(path.as_str())));
    either!(conn, |c| statement.execute(c).await)?;
    Ok(())
}
