//! What was published before the index was there keeps its row, also when the step is undone.

use portcullis::db::migrate;
use portcullis::roles::Role;

use super::{count, execute, listed, row};
use crate::support::app::TestApp;
use crate::support::on_both;

const ROWS: &str =
    "INSERT INTO dim.items (path, title, owner, size, modified_at, sha256, published_at) VALUES
    ('top.txt', 'Top', 'ada@x.example', 3, 1, 'aa', 11),
    ('Über/2026/Bericht ü.txt', NULL, 'karl@x.example', 5, 2, 'bb', 12)";

async fn back_before_the_index(app: &TestApp) {
    while !migrate::undo(&app.db)
        .await
        .unwrap()
        .starts_with("20261125200000")
    {}
}

on_both! {
    async fn published_rows_survive_the_step_to_the_index_and_back(app: TestApp) {
        back_before_the_index(&app).await;
        execute(&app, ROWS).await;
        assert!(migrate::run(&app.db).await.unwrap().len() >= 2);
        let top = row(&app, "top.txt").await.unwrap();
        assert_eq!((top.folder.as_str(), top.name.as_str()), ("", "top.txt"));
        assert_eq!((top.title.as_deref(), top.owner.as_deref(), top.sha256.as_deref()), (Some("Top"), Some("ada@x.example"), Some("aa")));
        let deep = row(&app, "Über/2026/Bericht ü.txt").await.unwrap();
        assert_eq!((deep.folder.as_str(), deep.name.as_str()), ("Über/2026", "Bericht ü.txt"));
        assert_eq!((deep.published_at, deep.downloads), (Some(12), 0));

        // Files that nobody published have no place in the old table, nor has a checksum that is not known.
        execute(&app, "INSERT INTO dim.items (path, size, modified_at) VALUES ('loose.txt', 1, 1)").await;
        execute(&app, "UPDATE dim.items SET sha256 = NULL WHERE path = 'top.txt'").await;
        back_before_the_index(&app).await;
        assert_eq!(count(&app, "SELECT count(*) AS count FROM dim.items").await, 2);
        let told = "SELECT count(*) AS count FROM dim.items WHERE path = 'top.txt' AND title = 'Top' AND owner = 'ada@x.example' AND sha256 = '' AND size = -1";
        assert_eq!(count(&app, told).await, 1);
        migrate::run(&app.db).await.unwrap();
        assert_eq!(row(&app, "top.txt").await.unwrap().title.as_deref(), Some("Top"));
    }

    async fn the_first_look_at_old_rows_folds_their_names(app: TestApp) {
        back_before_the_index(&app).await;
        execute(&app, ROWS).await;
        app.write("Über/2026/Bericht ü.txt", "hello");
        app.write("top.txt", "abc");
        migrate::run(&app.db).await.unwrap();
        let reader = app.signed_in_as(Role::Reader).await;
        app.indexed().await;
        assert_eq!(listed(&reader, "?q=BERICHT+u").await.0, ["Über/2026/Bericht ü.txt"]);
        let item = reader.get("/api/items?q=top").await.expect(200).json()[0].clone();
        assert_eq!((&item["title"], &item["owner"]), (&"Top".into(), &"ada@x.example".into()));
    }
}
