//! `/`: folders and files, searched, sorted, page by page. The address holds all of the state.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::folder_url;
use crate::app::State;
use crate::auth::user::Reader;
use crate::clock;
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::items::listing::{self, Column, Listed, Listing, PER_PAGE, Query, Scope};
use crate::page::{Page, html};
use crate::preview;
use crate::roles::Role;

#[derive(Template)]
#[template(path = "items/catalogue.html")]
struct CataloguePage {
    page: Page,
    heading: String,
    crumbs: Vec<Crumb>,
    query: String,
    folder: String,
    rows: Vec<Row>,
    sorts: Vec<Sort>,
    pager: Pager,
    is_growing: bool,
    /// What is wrong with FILES_DIR; for admins only, who can have it mended.
    warning: Option<String>,
    may_publish: bool,
    publish_href: String,
    zip_href: Option<String>,
    /// Whether the files lie in object storage, where some things are not offered.
    is_stored: bool,
    /// How old the list of what lies there may be.
    listed_every: String,
    /// Where a new folder in this one is made.
    new_folder_href: String,
}

struct Crumb {
    label: String,
    href: Option<String>,
}

struct Row {
    /// Its page.
    about: String,
    kind: &'static str,
    name: String,
    note: Option<String>,
    href: String,
    path: String,
    look: Option<String>,
    is_folder: bool,
    size: String,
    size_exact: String,
    changed: String,
    changed_exact: String,
    owner: Option<String>,
    downloads: i64,
    location: Option<String>,
}

struct Sort {
    label: &'static str,
    href: String,
    direction: Option<&'static str>,
    numeric: bool,
}

struct Pager {
    from: usize,
    to: usize,
    total: usize,
    previous: Option<String>,
    next: Option<String>,
}

/// `GET /`: the catalogue, as far as the rules of its folders admit. People with a role.
///
/// # Errors
/// 404 for a folder that is not there or not to be seen; 503 without a database or without the files.
pub async fn show(
    reader: Reader,
    page: Page,
    state: web::Data<State>,
    req: HttpRequest,
) -> AppResult<HttpResponse> {
    let mut query = Query::of_address(req.query_string());
    // A search looks everywhere, wherever it was begun.
    if query.words().is_some() {
        query.folder = None;
    }
    let listing = listing::page(&state, &reader, &query, Scope::Folder).await?;
    let place = listing.place.clone();
    html(&CataloguePage {
        page,
        heading: heading(&query, place.as_ref()),
        crumbs: crumbs(&query, place.as_ref()),
        folder: place.as_ref().map(ToString::to_string).unwrap_or_default(),
        sorts: sorts(&query),
        pager: pager(&query, &listing),
        is_growing: listing.is_growing,
        warning: listing
            .warning
            .clone()
            .filter(|_| reader.person.role >= Some(Role::Admin)),
        may_publish: reader.person.role >= Some(Role::Editor),
        publish_href: match &place {
            Some(folder) => format!("/publish?folder={}", encode(folder.as_str())),
            None => "/publish".to_owned(),
        },
        zip_href: place
            .as_ref()
            .filter(|_| query.words().is_none())
            .map(|folder| format!("/api/zip?folder={}", encode(folder.as_str()))),
        is_stored: state.files.storage().is_some(),
        listed_every: in_words(state.settings.files.rescan_interval),
        new_folder_href: match &place {
            Some(folder) => format!("/item/folder?path={}", encode(folder.as_str())),
            None => "/item/folder".to_owned(),
        },
        rows: rows(&listing, query.words().is_some()),
        query: query.q.unwrap_or_default(),
    })
}

/// `15 minutes`
fn in_words(interval: Duration) -> String {
    match interval.as_secs() {
        1 => "a second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

fn heading(query: &Query, place: Option<&ItemPath>) -> String {
    match (query.words(), place) {
        (Some(_), _) => "Search results".to_owned(),
        (None, Some(folder)) => folder.name().to_owned(),
        (None, None) => "All files".to_owned(),
    }
}

fn crumbs(query: &Query, place: Option<&ItemPath>) -> Vec<Crumb> {
    let home = || Crumb {
        label: "All files".to_owned(),
        href: Some("/".to_owned()),
    };
    if query.words().is_some() {
        let here = Crumb {
            label: "Search results".to_owned(),
            href: None,
        };
        return vec![home(), here];
    }
    let mut trail = Vec::new();
    let mut folder = place.cloned();
    while let Some(path) = folder {
        trail.push(Crumb {
            label: path.name().to_owned(),
            href: (!trail.is_empty()).then(|| folder_url(Some(&path))),
        });
        folder = path.folder();
    }
    trail.push(home());
    trail.reverse();
    trail
}

fn rows(listing: &Listing, searching: bool) -> Vec<Row> {
    let now = clock::now();
    listing
        .rows
        .iter()
        .map(|listed| row(listed, searching, now))
        .collect()
}

fn row(listed: &Listed, searching: bool, now: i64) -> Row {
    let Listed {
        path, is_folder, ..
    } = listed;
    let bytes = u64::try_from(listed.size).unwrap_or(0);
    Row {
        about: format!("/item?path={}", encode(path.as_str())),
        kind: kind(path.name(), *is_folder),
        name: path.name().to_owned(),
        href: match is_folder {
            true => folder_url(Some(path)),
            false => path.download_url(),
        },
        path: path.to_string(),
        look: match is_folder {
            true => None,
            false => preview::url(path),
        },
        is_folder: *is_folder,
        size: match is_folder {
            true => String::new(),
            false => human_size(bytes),
        },
        size_exact: exact_size(bytes),
        changed: clock::ago(listed.modified_at, now),
        changed_exact: clock::rfc3339(listed.modified_at),
        downloads: listed.downloads,
        location: path
            .folder()
            .filter(|_| searching)
            .map(|folder| folder.to_string()),
        note: listed.title.clone(),
        owner: listed.owner.clone(),
    }
}

/// `1,234,567 bytes`
pub fn exact_size(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut grouped = String::with_capacity(digits.len() + 12);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let unit = if bytes == 1 { "byte" } else { "bytes" };
    format!("{grouped} {unit}")
}

/// The icon's name by the ending.
fn kind(name: &str, is_folder: bool) -> &'static str {
    if is_folder {
        return "folder";
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "pdf" => "pdf",
        "xls" | "xlsx" | "ods" | "csv" | "tsv" => "sheet",
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "svg" | "tif" | "tiff" | "heic" => "image",
        "zip" | "gz" | "tgz" | "7z" | "tar" | "xz" | "zst" | "rar" => "archive",
        "txt" | "md" | "doc" | "docx" | "odt" | "rtf" | "log" => "text",
        "mp3" | "wav" | "ogg" | "flac" | "m4a" => "audio",
        "mp4" | "mkv" | "mov" | "webm" | "avi" => "video",
        "ppt" | "pptx" | "odp" | "key" => "slides",
        _ => "file",
    }
}

fn sorts(query: &Query) -> Vec<Sort> {
    let order = query.order();
    let sort = |column: Column| {
        let current = order.column == column;
        // What people look for first is the newest and the most; by name and person it is the first.
        let begins_descending =
            matches!(column, Column::Modified | Column::Size | Column::Downloads);
        let descending = match current {
            true => !order.descending,
            false => begins_descending,
        };
        let word = match descending {
            true => format!("-{}", column.word()),
            false => column.word().to_owned(),
        };
        Sort {
            label: label(column),
            href: url(query, &word, 1),
            direction: current.then_some(match order.descending {
                true => "descending",
                false => "ascending",
            }),
            numeric: matches!(column, Column::Size | Column::Downloads),
        }
    };
    Column::ALL.into_iter().map(sort).collect()
}

fn label(column: Column) -> &'static str {
    match column {
        Column::Name => "Name",
        Column::Size => "Size",
        Column::Modified => "Changed",
        Column::Owner => "Published by",
        Column::Downloads => "Downloads",
    }
}

fn pager(query: &Query, listing: &Listing) -> Pager {
    let Listing {
        rows,
        total,
        page,
        per_page,
        ..
    } = listing;
    let sort = query.sort.clone().unwrap_or_default();
    let last = total.div_ceil(*per_page).max(1);
    let before = per_page.saturating_mul(page - 1);
    Pager {
        from: before.saturating_add(1),
        to: before.saturating_add(rows.len()),
        total: *total,
        previous: (*page > 1).then(|| url(query, &sort, page - 1)),
        next: (*page < last).then(|| url(query, &sort, page + 1)),
    }
}

/// The same list in another order or at another page.
fn url(query: &Query, sort: &str, page: usize) -> String {
    let mut pairs = Vec::new();
    if let Some(folder) = query.folder.as_deref().filter(|folder| !folder.is_empty()) {
        pairs.push(format!("folder={}", encode(folder)));
    }
    if let Some(words) = query.words() {
        pairs.push(format!("q={}", encode(words)));
    }
    if !sort.is_empty() {
        pairs.push(format!("sort={}", encode(sort)));
    }
    if query.per_page() != PER_PAGE {
        pairs.push(format!("per_page={}", query.per_page()));
    }
    if page > 1 {
        pairs.push(format!("page={page}"));
    }
    match pairs.is_empty() {
        true => "/".to_owned(),
        false => format!("/?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::exact_size;

    #[test]
    fn bytes_are_grouped_by_thousands() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1,000 bytes"),
            (12_345_678, "12,345,678 bytes"),
        ] {
            assert_eq!(exact_size(bytes), text);
        }
    }
}
