//! The admin portal, for people with the role admin.

pub mod folders;
pub mod overview;
