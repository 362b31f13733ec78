//! The admin portal, for people with the role admin. So far it shows; changing comes by the command line.

pub mod diagnostics;
pub mod overview;
