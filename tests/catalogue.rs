//! The index behind the catalogue: it follows the disk, believes nothing that a missing share shows, keeps what was said
//! about files, and lets everybody see what the rules of a folder admit, and nothing else.

mod disk;
mod hashes;
mod migration;
mod moves;
mod pages;
mod plans;
pub mod rules;
mod rules_page;
mod share;
mod spelling;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use portcullis::db::Conn;
use portcullis::index::Item;
use portcullis::index::store;
use serde_json::Value;

use crate::support::app::TestApp;
use crate::support::client::Browser;

/// The row of that path, missing or not.
pub async fn row(app: &TestApp, path: &str) -> Option<Item> {
    let mut conn = app.db.conn().await.unwrap();
    let mut rows = store::of_paths(&mut conn, &[path]).await.unwrap();
    rows.pop()
}

/// Paths of the JSON list, and the number on all pages.
pub async fn listed(browser: &Browser, query: &str) -> (Vec<String>, usize) {
    let reply = browser.get(&format!("/api/items{query}")).await.expect(200);
    let total = reply.header("x-total-count").parse().unwrap();
    let path = |item: &Value| item["path"].as_str().unwrap().to_owned();
    (
        reply.json().as_array().unwrap().iter().map(path).collect(),
        total,
    )
}

/// Names on a page of the catalogue.
pub async fn shown(browser: &Browser, address: &str) -> Vec<String> {
    let page = browser.navigate(address).await.expect(200).text();
    let rows = crate::downloads::page::rows(&page);
    rows.into_iter().map(|row| row.name).collect()
}

/// Runs SQL behind the portal's back.
pub async fn execute(app: &TestApp, sql: &str) {
    match app.db.conn().await.unwrap() {
        Conn::Postgres(mut conn) => conn.batch_execute(sql).await.unwrap(),
        Conn::Sqlite(mut conn) => conn.batch_execute(sql).await.unwrap(),
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The number that a query with the one column `count` gives.
pub async fn count(app: &TestApp, sql: &str) -> i64 {
    let query = diesel::sql_query(sql);
    let row: Count = match app.db.conn().await.unwrap() {
        Conn::Postgres(mut conn) => query.get_result(&mut **conn).await.unwrap(),
        Conn::Sqlite(mut conn) => query.get_result(&mut *conn).await.unwrap(),
    };
    row.count
}
