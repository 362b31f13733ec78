//! `/preview/{path}`: a page that shows a file before it is downloaded. Nothing in a file ever runs in the portal's name:
//! text is escaped, and the rest comes from an address of its own, as one of a few kinds that hold no scripts, under a
//! policy that allows nothing.

use std::convert::Infallible;

use actix_web::body::{MessageBody, SizedStream};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use futures_util::stream;

pub mod kind;
mod text;

use crate::app::State;
use crate::audit::{Action, Event};
use crate::auth::user::Reader;
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::files::turns::Turn;
use crate::files::{self, ItemPath, Opened, send};
use crate::index::store::{self, Item};
use crate::openapi::{ForFolders, ForRoles, Sent};
use crate::page::{Page, html_of, rendered};
use crate::rules::Sight;
use kind::Kind;
use text::Beginning;

const PAGE: &str = "/preview/";
const BYTES: &str = "/api/preview/";

#[derive(Template)]
#[template(path = "preview/show.html")]
struct PreviewPage {
    page: Page,
    crumbs: Vec<Crumb>,
    name: String,
    note: Option<String>,
    owner: Option<String>,
    size: String,
    size_exact: String,
    changed: String,
    changed_exact: String,
    download: String,
    bytes: String,
    element: &'static str,
    text: Option<String>,
    is_cut: bool,
    previous: Option<Beside>,
    next: Option<Beside>,
}

struct Crumb {
    label: String,
    href: Option<String>,
}

struct Beside {
    name: String,
    href: String,
}

/// Address of the page for a file; `None` for what cannot be shown.
pub fn url(path: &ItemPath) -> Option<String> {
    let is_shown = Kind::of(path.name()).is_shown();
    is_shown.then(|| format!("{PAGE}{}", path.encoded()))
}

/// `GET /preview/{path}`: what is in the file, as far as a page can show it. People with a role.
///
/// # Errors
/// As for the download.
pub async fn show(
    reader: Reader,
    page: Page,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let path = path_of(&req, PAGE)?;
    let kind = Kind::of(path.name());
    // Somebody who gets a text reads of the file, as by a download, so all that one passes counts here as well.
    let is_text = kind == Kind::Text;
    let ticket = match is_text && req.method() != Method::HEAD {
        true => Some(state.audit.admit().await.map_err(send::not_told)?),
        false => None,
    };
    let turn = match is_text {
        true => Some(state.files.turns.take(reader.email())?),
        false => None,
    };
    let opened = files::open(&state.files, &reader, &path).await?;
    let (size, modified_at) = (opened.metadata.len(), clock::micros(opened.modified()));
    let beginning = match kind {
        Kind::Text => beginning(&state, opened).await?,
        _ => None,
    };
    let sight = state.files.rules.sight(&reader.person).await?;
    let (item, [previous, next]) = known(&state, &sight, &path).await?;
    let event = beginning.as_ref().map(|beginning| {
        Event::new(Action::Previewed, path.as_str(), "shown")
            .bytes(u64::try_from(beginning.bytes).unwrap_or(u64::MAX))
    });
    let text = rendered(&PreviewPage {
        page,
        crumbs: crumbs(&path),
        name: path.name().to_owned(),
        note: item.as_ref().and_then(|item| item.title.clone()),
        owner: item.and_then(|item| item.owner),
        size: human_size(size),
        size_exact: format!("{size} bytes"),
        changed: clock::ago(modified_at, clock::now()),
        changed_exact: clock::rfc3339(modified_at),
        download: path.download_url(),
        bytes: format!("{BYTES}{}", path.encoded()),
        element: element(kind),
        is_cut: beginning.as_ref().is_some_and(|text| text.is_cut),
        text: beginning.map(|beginning| beginning.text),
        previous,
        next,
    })?;
    if let (Some(ticket), Some(event)) = (ticket, event) {
        ticket.tell(reader.actor(), event);
    }
    Ok(html_of(held(text, turn)))
}

/// The page, which keeps its `turn` until the client has taken it or is gone.
fn held(text: String, turn: Option<Turn>) -> impl MessageBody + 'static {
    let length = u64::try_from(text.len()).unwrap_or(0);
    let pieces = stream::unfold((Some(text), turn), |(text, turn)| async move {
        let text = web::Bytes::from(text?);
        Some((Ok::<_, Infallible>(text), (None, turn)))
    });
    SizedStream::new(length, pieces)
}

/// `GET /api/preview/{path}`: a picture, a sound or a film, to be shown inside that page. People with a role.
///
/// # Errors
/// 404 for every other kind; all else as for the download.
#[utoipa::path(
    get,
    path = "/api/preview/{path}",
    operation_id = "preview",
    tag = "Files",
    summary = "A picture, sound or film to be shown in a page.",
    description = "As the download, but not to be saved, and only for kinds that a page may show; 404 for others, PDF among them.",
    params(
        ("path" = String, Path, description = "Folders and name", example = "Reports/2026/Revenue.png"),
        ("Range" = Option<String>, Header, description = "A part of it", example = "bytes=0-99"),
    ),
    responses(Sent, ForRoles, ForFolders),
    security(("session" = [])),
)]
pub async fn bytes(
    reader: Reader,
    req: HttpRequest,
    state: web::Data<State>,
) -> AppResult<HttpResponse> {
    let path = path_of(&req, BYTES)?;
    let shown = Kind::of(path.name()).embedded().ok_or(AppError::NotFound)?;
    send::send(&reader, &req, &state, path, Some(shown)).await
}

/// From the raw path: the router has decoded some of it, and a name may hold a percent sign.
fn path_of(req: &HttpRequest, prefix: &str) -> AppResult<ItemPath> {
    req.uri()
        .path()
        .strip_prefix(prefix)
        .and_then(ItemPath::from_url)
        .ok_or(AppError::NotFound)
}

async fn beginning(state: &State, opened: Opened) -> AppResult<Option<Beginning>> {
    let read = move |_: &cap_std::fs::Dir| Ok(text::read(&opened.file)?);
    state.files.run(read).await
}

fn element(kind: Kind) -> &'static str {
    match kind {
        Kind::Image(_) | Kind::Drawing => "image",
        Kind::Audio(_) => "audio",
        Kind::Video(_) => "video",
        Kind::Text | Kind::Unknown => "",
    }
}

/// What the index says of the file, and the files before and after it in its folder that this person may see.
async fn known(
    state: &State,
    sight: &Sight,
    path: &ItemPath,
) -> AppResult<(Option<Item>, [Option<Beside>; 2])> {
    let mut conn = state.db.conn().await?;
    let mut items = store::of_paths(&mut conn, &[path.as_str()]).await?;
    let Some(item) = items.pop() else {
        return Ok((None, [None, None]));
    };
    let [before, after] = store::beside(&mut conn, &item).await?;
    let nearest = |items: Vec<Item>| {
        let real = |item: &Item| item.real_folder.clone();
        let mut seen = items
            .into_iter()
            .filter(|item| real(item).is_none_or(|folder| sight.shows(&folder)));
        let item = seen.next()?;
        let path = ItemPath::parse(&item.path)?;
        Some(Beside {
            name: item.name,
            href: format!("{PAGE}{}", path.encoded()),
        })
    };
    Ok((Some(item), [nearest(before), nearest(after)]))
}

fn crumbs(path: &ItemPath) -> Vec<Crumb> {
    let mut trail = vec![Crumb {
        label: path.name().to_owned(),
        href: None,
    }];
    let mut folder = path.folder();
    while let Some(path) = folder {
        trail.push(Crumb {
            label: path.name().to_owned(),
            href: Some(format!("/?folder={}", encode(path.as_str()))),
        });
        folder = path.folder();
    }
    trail.push(Crumb {
        label: "All files".to_owned(),
        href: Some("/".to_owned()),
    });
    trail.reverse();
    trail
}
