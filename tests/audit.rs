//! The audit: read, found again, and trusted.

mod chain;
mod retention;
mod tops;
