//! Changing what is published: renaming, moving, new titles, new folders; the trash is built on the same step.
//!
//! File, rows and audit change together or not at all, whenever the process ends. What is going to be renamed is written
//! down first, in a transaction of its own; then one transaction changes the rows, crosses that note out, and
//! renames as its last act. As long as the note stands the change was not made, and whoever finds it takes the rename back
//! ([`mender`]). All of it happens under the lock that publishing takes as well.

pub mod api;
mod begun;
mod folder;
pub mod item;
pub mod mender;
pub mod pages;
pub mod relocate;
mod step;
mod title;

pub use folder::make;
pub use item::Shown;
pub use relocate::{Goal, Refusal};
pub use step::{Step, carry_out, lock_all};
pub use title::retitle;
