//! `/item`: what a file or folder is.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::Query;
use crate::app::State;
use crate::auth::user::Reader;
use crate::changing::relocate::Eyes;
use crate::changing::{Shown, item};
use crate::clock;
use crate::error::AppResult;
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::items::pages::{exact_size, folder_url};
use crate::page::{Page, html};
use crate::roles::Role;
use crate::trash;

#[derive(Template)]
#[template(path = "items/item.html")]
struct ItemPage {
    page: Page,
    name: String,
    encoded: String,
    folder: String,
    folder_href: String,
    href: String,
    is_folder: bool,
    is_link: bool,
    title: Option<String>,
    owner: Option<String>,
    size: String,
    size_exact: String,
    changed: String,
    changed_exact: String,
    sha256: Option<String>,
    downloads: i64,
    files: i64,
    may_change: bool,
    kept_days: i64,
    notice: Option<&'static str>,
}

/// `GET /item`: what it is. People with a role; editors find there what they can do with it.
///
/// # Errors
/// 404 for what is not there or not to be seen.
pub async fn show(
    reader: Reader,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let path = query.path()?;
    let eyes = Eyes::of(&state, &reader.person).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    let may_change = reader.person.role >= Some(Role::Editor);
    html(&item_page(page, shown, may_change, notice(&query.done)))
}

fn item_page(page: Page, shown: Shown, may_change: bool, notice: Option<&'static str>) -> ItemPage {
    let now = clock::now();
    let sha256 = shown.sha256().map(str::to_owned);
    let thing = &shown.thing;
    let bytes = match thing.is_folder {
        true => shown.inside.bytes,
        false => thing.size,
    };
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let folder = thing.path.folder();
    ItemPage {
        page,
        name: thing.path.name().to_owned(),
        encoded: encode(thing.path.as_str()),
        folder_href: folder_url(folder.as_ref()),
        folder: folder.map(|f| f.to_string()).unwrap_or_default(),
        href: match thing.is_folder {
            true => folder_url(Some(&thing.path)),
            false => thing.path.download_url(),
        },
        is_folder: thing.is_folder,
        is_link: thing.is_link,
        size: human_size(bytes),
        size_exact: exact_size(bytes),
        changed: clock::ago(thing.modified_at, now),
        changed_exact: clock::rfc3339(thing.modified_at),
        sha256,
        files: shown.inside.files,
        may_change,
        kept_days: trash::KEPT_DAYS,
        notice,
        downloads: shown.row.as_ref().map_or(0, |row| row.downloads),
        owner: shown.row.as_ref().and_then(|row| row.owner.clone()),
        title: shown.row.and_then(|row| row.title),
    }
}

/// What a page says on top once something was done: the address names it, and the sentence stands here alone.
fn notice(done: &str) -> Option<&'static str> {
    match done {
        "moved" => Some("It has its new place."),
        "titled" => Some("The title was changed."),
        "restored" => Some("It is back."),
        "replaced" => Some("It holds the new content."),
        _ => None,
    }
}
