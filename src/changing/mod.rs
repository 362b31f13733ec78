//! Changing what is published: renaming, moving, new titles, new folders; the trash is built on the same [step](crate::step).
//!
//! File, rows and audit change together or not at all, whenever the process ends.

pub mod api;
mod folder;
pub mod item;
pub mod pages;
pub mod relocate;
mod title;

pub use folder::make;
pub use item::Shown;
pub use relocate::{Goal, Refusal};
pub use title::{Seen, retitle};
