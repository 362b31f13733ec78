//! The SQL of lists: one page of a folder, or of everything below it, with what this person may see and nothing else.
//! A page is found in two steps, first the ids from an index that holds all that is sorted by, then their rows, so that
//! the last page of a large folder costs little more than the first.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::query::{Column, Order};
use crate::db::schema::dim::folders;
use crate::db::{Conn, DbResult, either};
use crate::index::folders::Folder;
use crate::index::store::below;
use crate::index::{Item, key};
use crate::rules::Sight;

/// What a list covers.
#[derive(Debug, Clone)]
pub enum Extent {
    /// What lies right in a folder; empty is the root.
    In(String),
    /// What lies in a folder or deeper, where name or title contains all these words, folded.
    Below(String, Vec<String>),
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// How it is sorted.
    pub order: Order,
    /// Rows before it.
    pub offset: usize,
    /// Rows in it at most.
    pub limit: usize,
}

/// The words of a search, folded as the index has them.
pub fn fold_words(text: &str) -> Vec<String> {
    // No name holds a control character, and Postgres takes no NUL at all.
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .map(key::fold)
        .collect()
}

/// How many files there are.
///
/// # Errors
/// The database's.
pub async fn count_files(conn: &mut Conn, sight: &Sight, extent: &Extent) -> DbResult<usize> {
    let filter = Filter::files(conn, sight, extent);
    let sql = format!(
        "{}SELECT count(*) AS count FROM dim.items WHERE {}",
        filter.with, filter.condition
    );
    count(conn, sql, filter.binds).await
}

/// Files.
///
/// # Errors
/// The database's.
pub async fn files(
    conn: &mut Conn,
    sight: &Sight,
    extent: &Extent,
    part: Part,
) -> DbResult<Vec<Item>> {
    let filter = Filter::files(conn, sight, extent);
    let sql = files_sql(&filter, part);
    let binds = filter.binds;
    Ok(either!(conn, |c| {
        let mut query = diesel::sql_query(sql).into_boxed();
        for bind in binds {
            query = query.bind::<Text, _>(bind);
        }
        query.load(c).await
    })?)
}

/// How many folders there are.
///
/// # Errors
/// The database's.
pub async fn count_folders(conn: &mut Conn, sight: &Sight, extent: &Extent) -> DbResult<usize> {
    let filter = Filter::folders(conn, sight, extent);
    let sql = format!(
        "{}SELECT count(*) AS count FROM dim.folders WHERE {}",
        filter.with, filter.condition
    );
    count(conn, sql, filter.binds).await
}

/// Folders. They have a name and a time of change to sort by; by anything else they are sorted by name.
///
/// # Errors
/// The database's.
pub async fn folders(
    conn: &mut Conn,
    sight: &Sight,
    extent: &Extent,
    part: Part,
) -> DbResult<Vec<Folder>> {
    let filter = Filter::folders(conn, sight, extent);
    let direction = part.order.direction();
    let order = match part.order.column {
        Column::Name => format!("sort_key {direction}, id {direction}"),
        Column::Modified => {
            format!("modified_at {direction}, sort_key {direction}, id {direction}")
        }
        _ => "sort_key, id".to_owned(),
    };
    let sql = format!(
        "{}SELECT id FROM dim.folders WHERE {} ORDER BY {order} LIMIT {} OFFSET {}",
        filter.with, filter.condition, part.limit, part.offset
    );
    let binds = filter.binds;
    let ids: Vec<Id> = either!(&mut *conn, |c| {
        let mut query = diesel::sql_query(sql).into_boxed();
        for bind in binds {
            query = query.bind::<Text, _>(bind);
        }
        query.load(c).await
    })?;
    let ids: Vec<i64> = ids.into_iter().map(|row| row.id).collect();
    let query = folders::table.filter(folders::id.eq_any(&ids));
    let mut rows: Vec<Folder> = either!(conn, |c| query.load(c).await)?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(rows)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

async fn count(conn: &mut Conn, sql: String, binds: Vec<String>) -> DbResult<usize> {
    let row: Count = either!(conn, |c| {
        let mut query = diesel::sql_query(sql).into_boxed();
        for bind in binds {
            query = query.bind::<Text, _>(bind);
        }
        query.get_result(c).await
    })?;
    Ok(usize::try_from(row.count).unwrap_or(0))
}

/// The query for a page of files, as [`files`] runs it.
pub fn files_sql(filter: &Filter, part: Part) -> String {
    let direction = part.order.direction();
    let column = match part.order.column {
        Column::Name => String::new(),
        Column::Size => format!("size {direction}, "),
        Column::Modified => format!("modified_at {direction}, "),
        Column::Downloads => format!("downloads {direction}, "),
        // Files that nobody published come before all others, on both databases.
        Column::Owner if part.order.descending => "owner DESC NULLS LAST, ".to_owned(),
        Column::Owner => "owner ASC NULLS FIRST, ".to_owned(),
    };
    let order = format!("{column}sort_key {direction}, id {direction}");
    format!(
        "{}SELECT i.* FROM (SELECT id FROM dim.items WHERE {} ORDER BY {order} LIMIT {} OFFSET {}) AS page
         JOIN dim.items AS i ON i.id = page.id ORDER BY {order}",
        filter.with, filter.condition, part.limit, part.offset
    )
}

/// What restricts a list: SQL, and the texts that are bound to it in their order.
#[derive(Debug)]
pub struct Filter {
    with: String,
    condition: String,
    binds: Vec<String>,
}

impl Filter {
    /// For rows of `dim.items`.
    pub fn files(conn: &Conn, sight: &Sight, extent: &Extent) -> Self {
        let mut filter = Self::new();
        match extent {
            Extent::In(folder) => {
                let folder = filter.bind(folder);
                filter.condition = format!("folder = {folder} AND missing_since = 0");
                // The folder itself may be seen, so only a link can lead to what may not.
                if !sight.is_whole() {
                    let hidden = filter.hidden(conn, sight);
                    filter.and(&format!(
                        "(real_folder IS NULL OR NOT {})",
                        is_hidden("real_folder", &hidden)
                    ));
                }
            }
            Extent::Below(folder, words) => {
                filter.condition = "missing_since = 0".to_owned();
                if !sight.is_whole() {
                    filter.only_visible(conn, sight);
                    filter.and("folder IN (SELECT path FROM visible)");
                    filter
                        .and("(real_folder IS NULL OR real_folder IN (SELECT path FROM visible))");
                }
                filter.below(folder);
                filter.contains(conn, words);
            }
        }
        filter
    }

    /// For rows of `dim.folders`.
    pub fn folders(conn: &Conn, sight: &Sight, extent: &Extent) -> Self {
        let mut filter = Self::new();
        match extent {
            Extent::In(folder) => {
                let folder = filter.bind(folder);
                filter.condition = format!("parent = {folder}");
            }
            Extent::Below(folder, words) => {
                filter.condition = "path <> ''".to_owned();
                filter.below(folder);
                filter.contains(conn, words);
            }
        }
        if !sight.is_whole() {
            let hidden = filter.hidden(conn, sight);
            filter.and(&format!("NOT {}", is_hidden("path", &hidden)));
            filter.and(&format!(
                "(target IS NULL OR NOT {})",
                is_hidden("target", &hidden)
            ));
        }
        filter
    }

    fn new() -> Self {
        Self {
            with: String::new(),
            condition: String::new(),
            binds: Vec::new(),
        }
    }

    fn bind(&mut self, text: &str) -> String {
        self.binds.push(text.to_owned());
        format!("${}", self.binds.len())
    }

    fn and(&mut self, condition: &str) {
        self.condition.push_str(" AND ");
        self.condition.push_str(condition);
    }

    fn below(&mut self, folder: &str) {
        if !folder.is_empty() {
            let (from, to) = below(folder);
            let (from, to) = (self.bind(&from), self.bind(&to));
            self.and(&format!("path >= {from} AND path < {to}"));
        }
    }

    fn contains(&mut self, conn: &Conn, words: &[String]) {
        let function = match conn {
            Conn::Postgres(_) => "strpos",
            Conn::Sqlite(_) => "instr",
        };
        for word in words {
            let word = self.bind(word);
            self.and(&format!("{function}(words, {word}) > 0"));
        }
    }

    /// The hidden folders as a subquery of one column `hidden`, a name that no table has.
    fn hidden(&mut self, conn: &Conn, sight: &Sight) -> String {
        let list = serde_json::Value::from(sight.hidden()).to_string();
        let list = self.bind(&list);
        match conn {
            Conn::Postgres(_) => {
                format!(
                    "(SELECT value COLLATE \"C\" AS hidden FROM jsonb_array_elements_text({list}::jsonb))"
                )
            }
            Conn::Sqlite(_) => format!("(SELECT value AS hidden FROM json_each({list}))"),
        }
    }

    /// The folders that may be seen, as `visible`: all that the index knows but the hidden ones and what is below them.
    /// A file whose folder is not among them is not listed, whatever the reason.
    fn only_visible(&mut self, conn: &Conn, sight: &Sight) {
        let hidden = self.hidden(conn, sight);
        self.with = format!(
            "WITH visible AS (SELECT path FROM dim.folders EXCEPT SELECT f.path FROM {hidden} AS h JOIN dim.folders AS f
                ON f.path >= hidden AND f.path < hidden || '0' AND (f.path = hidden OR f.path >= hidden || '/')) "
        );
    }
}

/// SQL that says whether the path in `column` lies in one of the hidden folders.
fn is_hidden(column: &str, hidden: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM {hidden} AS h WHERE {column} = hidden OR ({column} >= hidden || '/' AND {column} < hidden || '0'))"
    )
}
