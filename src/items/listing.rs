//! One page of the catalogue, for the page and for JSON alike: what the disk holds, with what is known of it.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde::Deserialize;

use super::store::{self, Item};
use crate::app::State;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::list::{self, Entry};

const PER_PAGE: usize = 100;
const MOST_PER_PAGE: usize = 500;

/// What the address asks for; every part may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    /// A folder; empty is the root.
    pub folder: Option<String>,
    /// Words that name or title must contain.
    pub q: Option<String>,
    /// `name`, `size`, `modified` or `owner`, with `-` in front for the other way round.
    pub sort: Option<String>,
    /// From 1.
    pub page: Option<usize>,
    /// At most 500.
    pub per_page: Option<usize>,
}

/// A file or folder with what is known of it.
#[derive(Debug)]
pub struct Listed {
    /// From the disk.
    pub entry: Entry,
    /// From the database.
    pub item: Option<Item>,
}

/// One page.
#[derive(Debug)]
pub struct Listing {
    /// Its rows.
    pub rows: Vec<Listed>,
    /// How many there are on all pages.
    pub total: usize,
    /// From 1.
    pub page: usize,
    /// Rows a full page has.
    pub per_page: usize,
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// By name, without regard to case.
    Name,
    /// By size.
    Size,
    /// By time of change.
    Modified,
    /// By who published it.
    Owner,
}

/// Column and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What by.
    pub column: Column,
    /// Largest, newest or last first.
    pub descending: bool,
}

impl Column {
    /// The word in the address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Modified => "modified",
            Self::Owner => "owner",
        }
    }
}

impl Query {
    /// The words searched for, if any.
    pub fn words(&self) -> Option<&str> {
        self.q.as_deref().map(str::trim).filter(|q| !q.is_empty())
    }

    /// The folder asked for; `None` for the root.
    ///
    /// # Errors
    /// 404 for a path that no folder can have.
    pub fn place(&self) -> AppResult<Option<ItemPath>> {
        match self
            .folder
            .as_deref()
            .map(|folder| folder.trim_matches('/'))
        {
            None | Some("") => Ok(None),
            Some(folder) => ItemPath::parse(folder).map(Some).ok_or(AppError::NotFound),
        }
    }

    /// The order asked for; by name where it is none that we know.
    pub fn order(&self) -> Order {
        let text = self.sort.as_deref().unwrap_or("name");
        let (descending, word) = match text.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, text),
        };
        let known = [Column::Name, Column::Size, Column::Modified, Column::Owner];
        match known.into_iter().find(|column| column.word() == word) {
            Some(column) => Order { column, descending },
            None => Order {
                column: Column::Name,
                descending: false,
            },
        }
    }
}

/// What a listing covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Files and folders directly in the folder.
    Folder,
    /// All files in the folder and below.
    Below,
}

/// The page that `query` asks for. A search looks below the folder.
///
/// # Errors
/// 404 for a folder that is not there; 503 without a database.
pub async fn page(state: &State, query: &Query, scope: Scope) -> AppResult<Listing> {
    let place = query.place()?;
    let words: Vec<String> = query
        .words()
        .unwrap_or("")
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let searching = !words.is_empty();
    let mut entries = state
        .files
        .run(move |dir| match scope {
            Scope::Folder if !searching => list::folder(dir, place.as_ref()),
            Scope::Folder | Scope::Below => list::below(dir, place.as_ref()),
        })
        .await?;
    let order = query.order();
    let mut known = HashMap::new();
    if searching || order.column == Column::Owner {
        known = items_of(state, &entries).await?;
        entries.retain(|entry| matches(entry, known.get(entry.path.as_str()), &words));
    }
    entries.sort_by(|a, b| compare(a, b, order, &known));

    let total = entries.len();
    let per_page = query.per_page.unwrap_or(PER_PAGE).clamp(1, MOST_PER_PAGE);
    let page = query.page.unwrap_or(1).max(1);
    let entries: Vec<Entry> = entries
        .into_iter()
        .skip(per_page.saturating_mul(page - 1))
        .take(per_page)
        .collect();
    if known.is_empty() {
        known = items_of(state, &entries).await?;
    }
    let rows = entries.into_iter().map(|entry| Listed {
        item: known.remove(entry.path.as_str()),
        entry,
    });
    Ok(Listing {
        rows: rows.collect(),
        total,
        page,
        per_page,
    })
}

async fn items_of(state: &State, entries: &[Entry]) -> AppResult<HashMap<String, Item>> {
    let paths: Vec<&ItemPath> = entries
        .iter()
        .filter(|entry| !entry.is_folder)
        .map(|entry| &entry.path)
        .collect();
    if paths.is_empty() {
        return Ok(HashMap::new());
    }
    let mut conn = state.db.conn().await?;
    Ok(store::of_paths(&mut conn, &paths).await?)
}

fn matches(entry: &Entry, item: Option<&Item>, words: &[String]) -> bool {
    let name = entry.path.name().to_lowercase();
    let title = item
        .and_then(|item| item.title.as_deref())
        .unwrap_or("")
        .to_lowercase();
    words
        .iter()
        .all(|word| name.contains(word) || title.contains(word))
}

/// Folders first; equal values by name, so that pages never shuffle.
fn compare(a: &Entry, b: &Entry, order: Order, known: &HashMap<String, Item>) -> Ordering {
    let owner = |entry: &Entry| {
        known
            .get(entry.path.as_str())
            .map(|item| item.owner.as_str())
    };
    let by_column = match order.column {
        Column::Name => by_name(a, b),
        Column::Size => a.size.cmp(&b.size),
        Column::Modified => a.modified.cmp(&b.modified),
        Column::Owner => owner(a).cmp(&owner(b)),
    };
    let directed = match order.descending {
        true => by_column.reverse(),
        false => by_column,
    };
    b.is_folder
        .cmp(&a.is_folder)
        .then(directed)
        .then_with(|| by_name(a, b))
}

fn by_name(a: &Entry, b: &Entry) -> Ordering {
    let key = |entry: &Entry| entry.path.as_str().to_lowercase();
    key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
}
