//! All integration tests in one crate, so that the application is linked once. Each suite is a module.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails"
)]

mod support;

mod access;
mod admin;
mod audit;
mod bad_input;
mod browser;
mod catalogue;
mod changing;
mod command_line;
mod databases;
mod deploy;
mod docs;
mod doctor;
mod downloads;
mod embed;
mod faults;
mod growth;
mod identity;
mod instances;
mod life;
mod metrics;
mod object_storage;
mod openapi;
mod pages;
mod pooler;
mod preview;
mod properties;
mod publishing;
mod roles;
mod scale;
mod seeds;
mod settings;
mod sign_in;
mod uploads;
mod zip;
