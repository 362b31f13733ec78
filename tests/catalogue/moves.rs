//! What the portal itself does to files is written down in the transaction of whoever does it.

use portcullis::audit::Actor;
use portcullis::db::{Conn, DbError};
use portcullis::files::ItemPath;
use portcullis::index::{Publication, moved, published, removed};

use super::{count, execute, row};
use crate::support::app::TestApp;
use crate::support::on_both;

fn path(text: &str) -> ItemPath {
    ItemPath::parse(text).unwrap()
}

async fn publish(app: &TestApp, at: &str) {
    let publication = Publication {
        path: path(at),
        title: Some(format!("Title of {at}")),
        owner: "ada@x.example".to_owned(),
        size: 1,
        modified_at: 1,
        sha256: "aa".to_owned(),
        crc32: 1,
    };
    app.db
        .transaction::<_, DbError>(async |conn: &mut Conn| {
            published(conn, &Actor::command_line(), &publication).await
        })
        .await
        .unwrap();
}

/// Paths of all rows, of folders and of files, as the database has them.
async fn known(app: &TestApp) -> Vec<String> {
    let mut known = Vec::new();
    for candidate in [
        "a.txt",
        "b.txt",
        "f",
        "f/a.txt",
        "f/g",
        "f/g/a.txt",
        "f2/a.txt",
        "n",
        "n/o",
        "n/o/a.txt",
        "n/o/g/a.txt",
        "n/o/g",
    ] {
        let sql = format!("SELECT count(*) AS count FROM dim.folders WHERE path = '{candidate}'");
        if row(app, candidate).await.is_some() || count(app, &sql).await == 1 {
            known.push(candidate.to_owned());
        }
    }
    known
}

on_both! {
    async fn a_moved_file_or_folder_keeps_what_was_said_about_it(app: TestApp) {
        for at in ["a.txt", "b.txt", "f/a.txt", "f/g/a.txt", "f2/a.txt"] {
            publish(&app, at).await;
        }
        execute(&app, "UPDATE dim.items SET downloads = 7 WHERE path = 'a.txt'").await;
        let id = row(&app, "a.txt").await.unwrap().id;
        app.db.transaction::<_, DbError>(async |conn: &mut Conn| {
            moved(conn, &path("a.txt"), &path("b.txt")).await?;
            moved(conn, &path("f"), &path("n/o")).await
        }).await.unwrap();
        assert_eq!(known(&app).await, ["b.txt", "f2/a.txt", "n", "n/o", "n/o/a.txt", "n/o/g/a.txt", "n/o/g"]);
        let moved = row(&app, "b.txt").await.unwrap();
        assert_eq!((moved.id, moved.downloads, moved.title.as_deref()), (id, 7, Some("Title of a.txt")));
        let deep = row(&app, "n/o/g/a.txt").await.unwrap();
        assert_eq!((deep.folder.as_str(), deep.name.as_str()), ("n/o/g", "a.txt"));
        assert_eq!(deep.sort_key, portcullis::index::key::sort_key("n/o/g/a.txt"));
    }

    async fn a_removed_file_or_folder_is_forgotten_with_all_below_and_nothing_beside(app: TestApp) {
        for at in ["a.txt", "f/a.txt", "f/g/a.txt", "f2/a.txt"] {
            publish(&app, at).await;
        }
        app.db.transaction::<_, DbError>(async |conn: &mut Conn| removed(conn, &path("f")).await).await.unwrap();
        assert_eq!(known(&app).await, ["a.txt", "f2/a.txt"]);
        // A transaction that fails takes it back.
        let failed = app.db.transaction::<(), DbError>(async |conn: &mut Conn| {
            removed(conn, &path("a.txt")).await?;
            Err(DbError::Away("for the test".to_owned()))
        }).await;
        assert!(failed.is_err() && row(&app, "a.txt").await.is_some());
    }
}
