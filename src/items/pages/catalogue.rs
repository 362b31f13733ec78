//! `/`: folders and files, searched, sorted, page by page. The address holds all of the state.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::folder_url;
use crate::app::State;
use crate::auth::user::Reader;
use crate::clock;
use crate::error::AppResult;
use crate::files::ItemPath;
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::items::listing::{self, Column, Listed, Listing, Query, Scope};
use crate::page::{Page, html};
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
    may_publish: bool,
    publish_href: String,
}

struct Crumb {
    label: String,
    href: Option<String>,
}

struct Row {
    kind: &'static str,
    name: String,
    note: Option<String>,
    href: String,
    is_folder: bool,
    size: String,
    size_exact: String,
    changed: String,
    changed_exact: String,
    owner: Option<String>,
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

/// `GET /`: the catalogue. People with a role.
///
/// # Errors
/// 404 for a folder that is not there.
pub async fn show(
    reader: Reader,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let mut query = query.map(web::Query::into_inner).unwrap_or_default();
    // A search looks everywhere, wherever it was begun.
    if query.words().is_some() {
        query.folder = None;
    }
    let listing = listing::page(&state, &query, Scope::Folder).await?;
    let place = query.place()?;
    html(&CataloguePage {
        page,
        heading: heading(&query, place.as_ref()),
        crumbs: crumbs(&query, place.as_ref()),
        folder: place.as_ref().map(ToString::to_string).unwrap_or_default(),
        sorts: sorts(&query),
        pager: pager(&query, &listing),
        may_publish: reader.person.role >= Some(Role::Editor),
        publish_href: match &place {
            Some(folder) => format!("/publish?folder={}", encode(folder.as_str())),
            None => "/publish".to_owned(),
        },
        rows: rows(listing, query.words().is_some()),
        query: query.q.unwrap_or_default(),
    })
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

fn rows(listing: Listing, searching: bool) -> Vec<Row> {
    let now = clock::now();
    listing
        .rows
        .into_iter()
        .map(|listed| row(listed, searching, now))
        .collect()
}

fn row(listed: Listed, searching: bool, now: i64) -> Row {
    let Listed { entry, item } = listed;
    let modified_at = clock::micros(entry.modified);
    let location = entry.path.folder().map(|folder| folder.to_string());
    Row {
        kind: kind(entry.path.name(), entry.is_folder),
        name: entry.path.name().to_owned(),
        note: item.as_ref().and_then(|item| item.title.clone()),
        href: match entry.is_folder {
            true => folder_url(Some(&entry.path)),
            false => entry.path.download_url(),
        },
        is_folder: entry.is_folder,
        size: match entry.is_folder {
            true => String::new(),
            false => human_size(entry.size),
        },
        size_exact: format!("{} bytes", entry.size),
        changed: clock::ago(modified_at, now),
        changed_exact: clock::rfc3339(modified_at),
        owner: item.map(|item| item.owner),
        location: location.filter(|_| searching),
    }
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
    let columns = [
        (Column::Name, "Name"),
        (Column::Size, "Size"),
        (Column::Modified, "Changed"),
        (Column::Owner, "Published by"),
    ];
    let sort = |(column, label): (Column, &'static str)| {
        let current = order.column == column;
        let turned = current && !order.descending;
        let word = match turned {
            true => format!("-{}", column.word()),
            false => column.word().to_owned(),
        };
        Sort {
            label,
            href: url(query, &word, 1),
            direction: current.then_some(match order.descending {
                true => "descending",
                false => "ascending",
            }),
            numeric: column == Column::Size,
        }
    };
    columns.into_iter().map(sort).collect()
}

fn pager(query: &Query, listing: &Listing) -> Pager {
    let Listing {
        rows,
        total,
        page,
        per_page,
    } = listing;
    let sort = query.sort.clone().unwrap_or_default();
    let last = total.div_ceil(*per_page).max(1);
    let before = per_page.saturating_mul(page - 1);
    Pager {
        from: before.saturating_add(1),
        to: before.saturating_add(rows.len()),
        total: *total,
        previous: (*page > 1).then(|| url(query, &sort, (page - 1).min(last))),
        next: (*page < last).then(|| url(query, &sort, page.saturating_add(1))),
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
    if page > 1 {
        pairs.push(format!("page={page}"));
    }
    match pairs.is_empty() {
        true => "/".to_owned(),
        false => format!("/?{}", pairs.join("&")),
    }
}
