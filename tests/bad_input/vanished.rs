//! FILES_DIR is taken away while the portal runs, as a share does that is not mounted: a clear answer, and recovery.

use portcullis::roles::Role;

use super::{assert_serves, reference};
use crate::publishing::form::file;
use crate::support::app::TestApp;
use crate::support::database::Backend;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_vanished_is_a_clear_5xx_until_it_is_back() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    app.write("a.txt", "a");
    app.write("sub/b.txt", "b");
    let (place, away) = (app.files(), app.folder().join("away"));
    // Gone, and then something else in its place.
    for in_its_place in [None, Some("a file")] {
        std::fs::rename(&place, &away).unwrap();
        if let Some(content) = in_its_place {
            std::fs::write(&place, content).unwrap();
        }
        for path in ["/", "/?folder=sub", "/?q=a", "/api/files/a.txt"] {
            let reply = editor.navigate(path).await.expect(500);
            let page = reply.text();
            assert!(
                reply.header("content-type").starts_with("text/html"),
                "{path}"
            );
            assert!(
                page.contains("The portal cannot get at that"),
                "{path}: {page}"
            );
            assert!(reference(&page).is_some(), "{path}: {page}");
            assert!(
                !page.contains(place.to_str().unwrap()) && !page.contains("os error"),
                "{path}: {page}"
            );
        }
        for path in [
            "/api/items",
            "/api/items?q=a",
            "/api/files/a.txt",
            "/api/files/absent.txt",
        ] {
            let reply = editor.get(path).await.expect(500);
            assert_eq!(
                reply.header("content-type"),
                "application/problem+json",
                "{path}"
            );
            assert_eq!(reply.header("content-disposition"), "", "{path}");
            assert!(
                reference(&reply.text()).is_some(),
                "{path}: {}",
                reply.text()
            );
            assert!(
                !reply.text().contains("os error"),
                "{path}: {}",
                reply.text()
            );
        }
        file("new.txt", "x").publish(&editor).await.expect(500);
        file("new.txt", "x")
            .submit(&editor, "/publish")
            .await
            .expect(500);
        // Nothing else is harmed.
        assert_serves(&app, &editor, "the folder vanished").await;
        editor.navigate("/publish").await.expect(200);

        if in_its_place.is_some() {
            std::fs::remove_file(&place).unwrap();
        }
        std::fs::rename(&away, &place).unwrap();
        assert_eq!(editor.get("/api/files/a.txt").await.expect(200).text(), "a");
        assert_eq!(
            editor
                .get("/api/items")
                .await
                .expect(200)
                .json()
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
    file("new.txt", "x").publish(&editor).await.expect(201);
}
