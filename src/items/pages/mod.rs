//! The catalogue's pages for people: `/` and `/publish`.

mod catalogue;
mod publish_form;

pub use catalogue::{exact_size, show as catalogue};
pub use publish_form::{again as publish_form_again, show as publish_form, submit as publish};

use crate::files::ItemPath;
use crate::files::path::encode;

/// Address of a folder in the catalogue; `None` is the root.
pub fn folder_url(folder: Option<&ItemPath>) -> String {
    match folder {
        Some(folder) => format!("/?folder={}", encode(folder.as_str())),
        None => "/".to_owned(),
    }
}
