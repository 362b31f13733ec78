//! The public files of `static/`, inside the binary, under names that change with their content,
//! so that browsers may keep them for ever.

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};

use crate::error::{AppError, AppResult};
use crate::settings::certificate::hex;

/// Addresses of the assets, as templates use them.
#[derive(Debug)]
pub struct Assets {
    /// The stylesheet.
    pub css: String,
    /// The sprite of icons.
    pub icons: String,
    /// The tab's icon.
    pub favicon: String,
    /// The script of the page that publishes.
    pub publish: String,
    /// The tus client that it uses; see `static/README.md`.
    pub tus: String,
}

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

const CSS: Asset = Asset {
    name: "app.css",
    kind: "text/css; charset=utf-8",
    content: include_bytes!("../static/app.css"),
};
const ICONS: Asset = Asset {
    name: "icons.svg",
    kind: "image/svg+xml",
    content: include_bytes!("../static/icons.svg"),
};
const FAVICON: Asset = Asset {
    name: "favicon.svg",
    kind: "image/svg+xml",
    content: include_bytes!("../static/favicon.svg"),
};

const PUBLISH: Asset = Asset {
    name: "publish.js",
    kind: "text/javascript; charset=utf-8",
    content: include_bytes!("../static/publish.js"),
};
const TUS: Asset = Asset {
    name: "tus.min.js",
    kind: "text/javascript; charset=utf-8",
    content: include_bytes!("../static/tus.min.js"),
};

/// Where the assets are.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    css: CSS.url(),
    icons: ICONS.url(),
    favicon: FAVICON.url(),
    publish: PUBLISH.url(),
    tus: TUS.url(),
});

impl Asset {
    /// `/static/app.1a2b3c4d5e6f.css`
    fn url(&self) -> String {
        let hash = hex(&digest(&SHA256, self.content).as_ref()[..6]);
        match self.name.split_once('.') {
            Some((stem, ending)) => format!("/static/{stem}.{hash}.{ending}"),
            None => format!("/static/{}.{hash}", self.name),
        }
    }
}

/// `GET /static/{name}`: public.
///
/// # Errors
/// 404 for any other name, an older hash included.
pub async fn show(name: web::Path<String>) -> AppResult<HttpResponse> {
    let asked = format!("/static/{name}");
    let asset = [
        (&ASSETS.css, &CSS),
        (&ASSETS.icons, &ICONS),
        (&ASSETS.favicon, &FAVICON),
        (&ASSETS.publish, &PUBLISH),
        (&ASSETS.tus, &TUS),
    ]
    .into_iter()
    .find(|(url, _)| **url == asked)
    .map(|(_, asset)| asset)
    .ok_or(AppError::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .content_type(asset.kind)
        .body(asset.content))
}
