//! The catalogue: what can be downloaded, as a page and as JSON, and how a new file comes in.

pub mod api;
pub mod fields;
pub mod form;
pub mod listing;
pub mod pages;
pub mod place;
pub mod publish;
pub mod query;
mod room;
pub mod shared;
pub mod store;
pub mod stored;
pub mod uploads;
