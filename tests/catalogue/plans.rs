//! How the databases go about a page of a folder with many files: from an index, in its order, without sorting.

use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use portcullis::db::Conn;
use portcullis::items::query::{Column, Order};
use portcullis::items::store::{Extent, Filter, Part, files_sql};
use portcullis::rules::Sight;

use super::execute;
use crate::support::app::TestApp;
use crate::support::on_both;

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    step: String,
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

async fn plan(app: &TestApp, extent: &Extent, part: Part) -> String {
    let mut conn = app.db.conn().await.unwrap();
    let filter = Filter::files(&conn, &Sight::everything(), extent);
    let sql = files_sql(&filter, part)
        .replace("$1", "'big'")
        .replace("$2", "'word'");
    let steps: Vec<String> = match &mut conn {
        Conn::Postgres(conn) => {
            let query = diesel::sql_query(format!("EXPLAIN {sql}"));
            let steps: Vec<PostgresStep> = query.load(&mut ***conn).await.unwrap();
            steps.into_iter().map(|step| step.step).collect()
        }
        Conn::Sqlite(conn) => {
            let query = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"));
            let steps: Vec<SqliteStep> = query.load(&mut **conn).await.unwrap();
            steps.into_iter().map(|step| step.detail).collect()
        }
    };
    steps.join("\n")
}

/// Sixty thousand files in two folders, in portions that take no database longer than it is allowed.
async fn fill(app: &TestApp) {
    for portion in 0..6 {
        let sql = format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
             INSERT INTO dim.items (path, folder, name, sort_key, words, size, modified_at, sha256, crc32)
             SELECT f || '/' || i, f, 'name ' || i, f || '/name ' || i, 'name ' || i, i % 977, i, 'x', 1
             FROM n, (SELECT 'big' AS f UNION ALL SELECT 'other') AS folders",
            first = portion * 5_000 + 1,
            last = (portion + 1) * 5_000,
        );
        execute(app, &sql).await;
    }
    if let Conn::Postgres(_) = app.db.conn().await.unwrap() {
        // As the portal does after a scan that found much.
        execute(app, "VACUUM (ANALYZE) dim.items").await;
    }
}

on_both! {
    async fn a_page_of_a_folder_is_read_from_an_index_in_its_order(app: TestApp) {
        fill(&app).await;
        for column in Column::ALL {
            for descending in [false, true] {
                for offset in [0, 29_900] {
                    let part = Part { order: Order { column, descending }, offset, limit: 100 };
                    let plan = plan(&app, &Extent::In("big".to_owned()), part).await;
                    let what = format!("{column:?} {descending} {offset}:\n{plan}");
                    assert!(plan.contains(&format!("items_by_{}", column.word())), "{what}");
                    // The hundred rows of the page are put in order at the end; nothing else is.
                    let sorts = plan.matches("Sort Key").count() + plan.matches("USE TEMP B-TREE FOR ORDER BY").count();
                    assert!(sorts <= 1, "{what}");
                    assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN dim.items"), "{what}");
                }
            }
        }
    }
}
