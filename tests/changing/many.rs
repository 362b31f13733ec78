//! A folder with ten thousand files is renamed, deleted and brought back like one with ten.

use std::time::{Duration, Instant};

use portcullis::roles::Role;
use serde_json::Value;

use super::{rename_folder, restore, send, visible};
use crate::catalogue::{count, execute, row};
use crate::support::on_both;

const FILES: usize = 10_000;
/// Far more than it takes, also where tests share their processors with others.
const PATIENCE: Duration = Duration::from_secs(60);

on_both! {
    async fn ten_thousand_files_go_along_with_their_folder(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for number in 0..FILES {
            app.write(&format!("big/{}/{number}.txt", number % 10), "");
        }
        app.indexed().await;
        execute(&app, "UPDATE dim.items SET title = 'kept', downloads = 3, owner = 'ada@x.example'").await;
        let kept = "SELECT count(*) AS count FROM dim.items WHERE title = 'kept' AND downloads = 3 AND missing_since = 0";
        let began = Instant::now();
        rename_folder(&editor, "big", "other").await.expect(200);
        assert_eq!(count(&app, &format!("{kept} AND path LIKE 'other/%' AND folder LIKE 'other/%'")).await, FILES as i64);
        let entry = send(&editor, "DELETE", "/api/folders/other", Value::Null).await.expect(200).json();
        assert_eq!(entry["files"], FILES);
        assert_eq!(count(&app, kept).await, 0);
        assert!(visible(&app).is_empty());
        restore(&editor, entry["id"].as_i64().unwrap(), Value::Null).await.expect(200);
        assert_eq!(count(&app, &format!("{kept} AND path LIKE 'other/%'")).await, FILES as i64);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        app.indexed().await;
        assert_eq!(count(&app, kept).await, FILES as i64);
        assert_eq!(row(&app, "other/7/7.txt").await.unwrap().name, "7.txt");
        assert_eq!(visible(&app).len(), FILES);
    }
}
