//! One page of the catalogue, for the page and for JSON alike: found in the index, checked against the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shared::Asked;
use super::store::{self, Extent, Part};
use crate::app::State;
use crate::auth::user::Reader;
use crate::error::{AppError, AppResult};
use crate::files::look::{self, Found};
use crate::files::{ItemPath, resolve};
use crate::index::folders::Folder;
use crate::index::{self, Item};
use crate::rules::Sight;

pub use super::query::{Column, Order, PER_PAGE, Query};

/// How often rows are fetched anew because the disk disagreed with some of them.
const ROUNDS: usize = 3;

/// A file or folder of the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it is.
    pub path: ItemPath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes; 0 for a folder.
    pub size: i64,
    /// Last change, microseconds since 1970 UTC.
    pub modified_at: i64,
    /// SHA-256, lower-case hexadecimal, once it is known.
    pub sha256: Option<String>,
    /// One line that says what it is.
    pub title: Option<String>,
    /// Who published it, lower-case address.
    pub owner: Option<String>,
    /// How often it was downloaded whole; 0 for a folder.
    pub downloads: i64,
}

/// One page.
#[derive(Debug)]
pub struct Listing {
    /// The folder that is shown, where it really is; `None` is the root.
    pub place: Option<ItemPath>,
    /// Its rows.
    pub rows: Vec<Listed>,
    /// How many there are on all pages.
    pub total: usize,
    /// From 1.
    pub page: usize,
    /// Rows a full page has.
    pub per_page: usize,
    /// Whether the index is at work on what is listed, so that something may be missing.
    pub is_growing: bool,
    /// What is wrong with FILES_DIR, for the operator.
    pub warning: Option<String>,
}

/// What a list covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Files and folders directly in the folder, or, with words, everything below that contains them. A page that
    /// would lie behind the last one is the last one.
    Folder,
    /// All files in the folder and below. A page behind the last one is empty, so that a program knows where to stop.
    Below,
    /// The files directly in the folder, for a program.
    Files,
    /// The folders directly in the folder, or, with words, all below that contain them; for a program.
    Folders,
}

/// The page that `query` asks for, with what `reader` may see.
///
/// # Errors
/// 404 for a folder that is not there or not to be seen; 503 without a database or without the files.
pub async fn page(
    state: &State,
    reader: &Reader,
    query: &Query,
    scope: Scope,
) -> AppResult<Arc<Listing>> {
    query.check()?;
    let asked = Asked {
        place: query.place()?,
        words: store::fold_words(query.words().unwrap_or("")),
        order: query.order(),
        page: query.page(),
        per_page: query.per_page(),
        scope,
        sight: state.files.rules.sight(&reader.person).await?,
    };
    let sight = async || Ok(state.files.rules.sight(&reader.person).await?);
    let read = async |asked: &Asked| read(state, asked.clone()).await;
    state.listings.list_in_sight(asked, sight, read).await
}

async fn read(state: &State, asked: Asked) -> AppResult<Listing> {
    let Asked {
        place: asked_place,
        words,
        order,
        page,
        per_page,
        scope,
        sight,
    } = asked;
    let deep = scope == Scope::Below || !words.is_empty();
    let mut listing = Listing {
        place: place(state, &sight, asked_place).await?,
        rows: Vec::new(),
        total: 0,
        page,
        per_page,
        is_growing: false,
        warning: None,
    };
    if !sight.shows("") {
        return Ok(listing);
    }
    let is_complete = state.index.refresh(listing.place.as_ref(), deep).await?;
    let folder = listing.place.as_ref().map_or("", ItemPath::as_str);
    let list = List {
        state,
        sight: &sight,
        with_folders: matches!(scope, Scope::Folder | Scope::Folders),
        with_files: scope != Scope::Folders,
        clamps: scope == Scope::Folder,
        order,
        extent: match deep {
            true => Extent::Below(folder.to_owned(), words),
            false => Extent::In(folder.to_owned()),
        },
    };
    // Nobody looks at what a person asks for in object storage: it is listed, once at least.
    let follows = deep || state.files.storage().is_some();
    for round in 1..=ROUNDS {
        let known = list.fetch(&mut listing).await?;
        listing.is_growing = !is_complete || (follows && known.scanned_at.is_none());
        listing.warning = known.warning;
        let is_last = round == ROUNDS;
        if !list.correct(&mut listing, is_last).await? {
            break;
        }
    }
    Ok(listing)
}

/// Where the folder really is that was asked for.
async fn place(
    state: &State,
    sight: &Sight,
    asked: Option<ItemPath>,
) -> AppResult<Option<ItemPath>> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    if state.files.storage().is_some() {
        // Whether it is there is asked by the index's refresh, which comes next.
        return match sight.shows(asked.as_str()) {
            true => Ok(Some(asked)),
            false => Err(AppError::NotFound),
        };
    }
    let sight = sight.clone();
    let resolved = state.files.run(move |dir| {
        let resolved = resolve(dir, &sight, &asked)?;
        match dir.is_dir(&resolved) {
            true => Ok(Some(resolved)),
            false => Err(AppError::NotFound),
        }
    });
    resolved.await
}

/// A list, of which a page is wanted.
struct List<'a> {
    state: &'a State,
    sight: &'a Sight,
    with_folders: bool,
    with_files: bool,
    clamps: bool,
    order: Order,
    extent: Extent,
}

impl List<'_> {
    /// Fills in rows and total: folders first, then files. Returns how the index is.
    async fn fetch(&self, listing: &mut Listing) -> AppResult<index::state::State> {
        let mut conn = self.state.db.conn().await?;
        let known = index::state::of(&mut conn).await?;
        let folders = match self.with_folders {
            true => store::count_folders(&mut conn, self.sight, &self.extent).await?,
            false => 0,
        };
        listing.rows.clear();
        // A first page that is not full tells the number by itself, and spares a search its second pass.
        let mut files = None;
        let begins_with_files = self.with_files && listing.page == 1 && folders < listing.per_page;
        if begins_with_files {
            let part = self.part(0, listing.per_page - folders);
            let rows = store::files(&mut conn, self.sight, &self.extent, part).await?;
            files = (rows.len() < part.limit).then_some(rows.len());
            listing
                .rows
                .extend(rows.into_iter().filter_map(Listed::of_item));
        }
        let files = match files {
            Some(files) => files,
            None if !self.with_files => 0,
            None => store::count_files(&mut conn, self.sight, &self.extent).await?,
        };
        listing.total = folders + files;
        if self.clamps {
            let last = listing.total.div_ceil(listing.per_page).max(1);
            listing.page = listing.page.min(last);
        }
        let before = listing.per_page.saturating_mul(listing.page - 1);
        if before < folders {
            let part = self.part(before, listing.per_page);
            let rows = store::folders(&mut conn, self.sight, &self.extent, part).await?;
            let rows = rows.into_iter().filter_map(Listed::of_folder);
            listing.rows.splice(0..0, rows);
        }
        let room = listing.per_page - listing.rows.len().min(listing.per_page);
        if self.with_files && !begins_with_files && room > 0 && before < listing.total {
            let part = self.part(before.saturating_sub(folders), room);
            let rows = store::files(&mut conn, self.sight, &self.extent, part).await?;
            listing
                .rows
                .extend(rows.into_iter().filter_map(Listed::of_item));
        }
        Ok(known)
    }

    fn part(&self, offset: usize, limit: usize) -> Part {
        Part {
            order: self.order,
            offset,
            limit,
        }
    }

    /// Looks at the rows on the disk, and has the index corrected where it is wrong: returns whether it was, so that
    /// the rows have to be fetched again. The last time the rows themselves are corrected. Object storage is not asked
    /// for each row: that would be a request for each.
    async fn correct(&self, listing: &mut Listing, is_last: bool) -> AppResult<bool> {
        if self.state.files.storage().is_some() {
            return Ok(false);
        }
        let rows = &mut listing.rows;
        let mut by_folder: BTreeMap<Option<ItemPath>, Vec<String>> = BTreeMap::new();
        for row in rows.iter() {
            let names = by_folder.entry(row.path.folder()).or_default();
            names.push(row.path.name().to_owned());
        }
        let sight = self.sight.clone();
        let asked = by_folder.clone();
        let found = self.state.files.run(move |dir| {
            let mut found = BTreeMap::new();
            for (folder, names) in asked {
                let behind = look::behind(dir, folder.as_ref(), &names)?;
                for (name, behind) in names.iter().zip(behind) {
                    if let (Some(path), Some(behind)) =
                        (ItemPath::join(folder.as_ref(), name), behind)
                        && sight.shows(behind.target.as_ref().unwrap_or(&path).as_str())
                    {
                        found.insert(path, behind);
                    }
                }
            }
            Ok(found)
        });
        let found = found.await?;
        let is_right = |row: &Listed| found.get(&row.path).is_some_and(|found| row.is(found));
        if rows.iter().all(is_right) {
            return Ok(false);
        }
        if is_last {
            let before = rows.len();
            rows.retain(|row| found.contains_key(&row.path));
            listing.total -= before - rows.len();
            for row in rows.iter_mut() {
                if let Some(found) = found.get(&row.path) {
                    row.become_of(found);
                }
            }
            return Ok(false);
        }
        for (folder, names) in by_folder {
            let wrong = |name: &String| {
                let path = ItemPath::join(folder.as_ref(), name);
                rows.iter()
                    .any(|row| Some(&row.path) == path.as_ref() && !is_right(row))
            };
            let wrong: Vec<String> = names.into_iter().filter(wrong).collect();
            if !wrong.is_empty() {
                self.state.index.look_at(folder.as_ref(), &wrong).await?;
            }
        }
        Ok(true)
    }
}

impl Listed {
    /// A file, from its row.
    pub fn of_item(item: Item) -> Option<Self> {
        Some(Self {
            path: ItemPath::parse(&item.path)?,
            is_folder: false,
            size: item.size,
            modified_at: item.modified_at,
            sha256: item.sha256,
            title: item.title,
            owner: item.owner,
            downloads: item.downloads,
        })
    }

    fn of_folder(folder: Folder) -> Option<Self> {
        Some(Self {
            path: ItemPath::parse(&folder.path)?,
            is_folder: true,
            size: 0,
            modified_at: folder.modified_at,
            sha256: None,
            title: None,
            owner: None,
            downloads: 0,
        })
    }

    /// Whether the disk says the same.
    fn is(&self, found: &Found) -> bool {
        self.is_folder == found.is_folder
            && (self.is_folder
                || (self.size == found.size && self.modified_at == found.modified_at))
    }

    /// Takes over what the disk says.
    fn become_of(&mut self, found: &Found) {
        if !self.is(found) {
            self.sha256 = None;
        }
        self.is_folder = found.is_folder;
        self.size = found.size;
        self.modified_at = found.modified_at;
    }
}
