//! The page that asks before something is done.

use askama::Template;

use super::url;
use crate::files::ItemPath;
use crate::page::Page;

/// A page that asks before something is done.
#[derive(Template)]
#[template(path = "items/confirm.html")]
pub struct ConfirmPage {
    /// The frame.
    pub page: Page,
    /// The question.
    pub heading: &'static str,
    /// Why it asks again.
    pub problem: Option<String>,
    /// What is, and what would be.
    pub facts: Vec<(&'static str, String)>,
    /// What else to know.
    pub note: Option<String>,
    /// Where the answer goes.
    pub action: String,
    /// Where else.
    pub back: String,
    /// What was typed.
    pub fields: Vec<(&'static str, String)>,
    /// What the button says.
    pub button: &'static str,
    /// Whether it takes something away.
    pub is_danger: bool,
}

impl ConfirmPage {
    /// Asks before something is changed that a form at `address` named.
    pub fn change(
        page: Page,
        facts: Vec<(&'static str, String)>,
        address: String,
        fields: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            page,
            heading: "Is this right?",
            problem: None,
            facts,
            note: None,
            action: address.clone(),
            back: address,
            fields,
            button: "Yes, do it",
            is_danger: false,
        }
    }

    /// Asks before what is at `path` is deleted.
    pub fn deletion(
        page: Page,
        facts: Vec<(&'static str, String)>,
        path: &ItemPath,
        fields: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            heading: "Delete this?",
            back: url("/item", path),
            button: "Yes, delete it",
            is_danger: true,
            ..Self::change(page, facts, url("/item/delete", path), fields)
        }
    }
}
