//! What the address of a list asks for; every part may be missing.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::{AppError, AppResult};
use crate::files::ItemPath;

/// Rows of a page, where nothing else is asked for.
pub const PER_PAGE: usize = 100;
const MOST_PER_PAGE: usize = 500;
/// Each word is looked for in every name, so there is an end to them.
const MOST_WORDS: usize = 16;
/// In characters.
const LONGEST_SEARCH: usize = 200;

/// The address's parts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Query {
    /// A folder; empty is the root.
    #[param(nullable = false)]
    pub folder: Option<String>,
    /// Words that name or title must contain.
    #[param(nullable = false, max_length = 200)]
    pub q: Option<String>,
    /// `name`, `size`, `modified`, `owner` or `downloads`, with `-` in front for the other way round.
    #[param(nullable = false)]
    pub sort: Option<String>,
    /// From 1.
    #[param(nullable = false)]
    pub page: Option<usize>,
    /// At most 500.
    #[param(nullable = false)]
    pub per_page: Option<usize>,
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// By name, without regard to case and accents.
    Name,
    /// By size.
    Size,
    /// By time of change.
    Modified,
    /// By who published it.
    Owner,
    /// By how often it was downloaded.
    Downloads,
}

/// Column and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    /// What by.
    pub column: Column,
    /// Largest, newest or last first.
    pub descending: bool,
}

impl Order {
    /// By name, first to last.
    pub const BY_NAME: Self = Self {
        column: Column::Name,
        descending: false,
    };

    /// The word of SQL.
    pub fn direction(self) -> &'static str {
        if self.descending { "DESC" } else { "ASC" }
    }
}

impl Column {
    /// All of them, as the page has them from left to right.
    pub const ALL: [Self; 5] = [
        Self::Name,
        Self::Size,
        Self::Modified,
        Self::Owner,
        Self::Downloads,
    ];

    /// The word in the address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Modified => "modified",
            Self::Owner => "owner",
            Self::Downloads => "downloads",
        }
    }
}

impl Query {
    /// What an address of the catalogue asks for. A number that is none is left out, and the rest still counts: a person
    /// who typed it stays where they are.
    pub fn of_address(text: &str) -> Self {
        if let Ok(query) = web::Query::<Self>::from_query(text) {
            return query.into_inner();
        }
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = pairs.map(web::Query::into_inner).unwrap_or_default();
        let mut query = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "folder" => query.folder = Some(value),
                "q" => query.q = Some(value),
                "sort" => query.sort = Some(value),
                "page" => query.page = value.parse().ok(),
                "per_page" => query.per_page = value.parse().ok(),
                _ => {}
            }
        }
        query
    }

    /// The words searched for, if any.
    pub fn words(&self) -> Option<&str> {
        self.q.as_deref().map(str::trim).filter(|q| !q.is_empty())
    }

    /// Refuses what no search can take.
    ///
    /// # Errors
    /// 400 for too many words or letters.
    pub fn check(&self) -> AppResult<()> {
        let words = self.words().unwrap_or("");
        if words.chars().count() <= LONGEST_SEARCH && words.split_whitespace().count() <= MOST_WORDS
        {
            return Ok(());
        }
        Err(AppError::Unusable(format!(
            "A search takes {MOST_WORDS} words and {LONGEST_SEARCH} characters at most. Search for fewer."
        )))
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
        match Column::ALL.into_iter().find(|column| column.word() == word) {
            Some(column) => Order { column, descending },
            None => Order::BY_NAME,
        }
    }

    /// Rows of a page.
    pub fn per_page(&self) -> usize {
        self.per_page.unwrap_or(PER_PAGE).clamp(1, MOST_PER_PAGE)
    }

    /// The page asked for, from 1.
    pub fn page(&self) -> usize {
        self.page.unwrap_or(1).max(1)
    }
}
