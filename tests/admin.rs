//! The admin portal: who may do what, who did what, and why.

mod activity;
mod browser;
mod changes;
pub mod import;
mod kept_forms;
mod odd;
mod people;
mod person;
mod requests;
mod slow;
mod together;
mod why;

use crate::support::client::{Browser, Reply};

/// Posts a form as one of our own pages does.
pub async fn post(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let kind = "application/x-www-form-urlencoded";
    browser.post(path, kind, form(fields)).await
}

/// Fields as a form sends them.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// The value of a hidden field of a page.
pub fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no field {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A page as text that people read: without the marks for breaking lines.
pub fn read(reply: &Reply) -> String {
    reply.text().replace("<wbr>", "")
}

/// Gives a role through the form and its confirmation, as a person does.
pub async fn give(admin: &Browser, email: &str, role: &str, until: &str, note: &str) -> Reply {
    let fields = [
        ("email", email),
        ("role", role),
        ("until", until),
        ("note", note),
    ];
    let asked = post(admin, "/admin/person/grant", &fields)
        .await
        .expect(200);
    let before = hidden(&asked.text(), "before");
    let confirmed = [&fields[..], &[("before", &before)]].concat();
    post(admin, "/admin/person/grant", &confirmed).await
}
