//! Whose an upload is, and where it may go.

use portcullis::roles::Role;

use super::{PIECE, ask, begin, create, head, metadata, offset, patch};
use crate::publishing::{assert_on_disk, on_disk, problem, published};
use crate::support::on_both;

on_both! {
    async fn an_upload_is_nobody_elses(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let admin = app.signed_in_as(Role::Admin).await;
        let upload = begin(&editor, "a.txt", 5).await;
        head(&admin, &upload).await.expect(404);
        let there = problem(&patch(&admin, &upload, 0, b"hello").await, 404);
        let absent = problem(&patch(&admin, "/api/uploads/0123456789abcdef0123456789abcdef", 0, b"hello").await, 404);
        assert_eq!(there, absent);
        problem(&ask(&admin, "DELETE", &upload, &[], b"").await, 404);
        assert_eq!(offset(&editor, &upload).await, 0);
        // Not even of the next account that has the address.
        app.execute("UPDATE dim.uploads SET oid = 'another'").await;
        head(&editor, &upload).await.expect(404);
    }

    async fn whoever_loses_the_role_publishes_nothing(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"hell").await.expect(204);
        app.execute("UPDATE dim.user_roles SET role = 'reader'").await;
        app.eventually("the portal noticed", async || head(&editor, &upload).await.status == 403).await;
        problem(&patch(&editor, &upload, 4, b"o").await, 403);
        assert!(published(&app).await.is_empty());
        assert_eq!(on_disk(&app).len(), 1);
    }

    async fn nobody_uploads_into_a_folder_that_is_hidden_from_them(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        app.write("Board/minutes.txt", "secret");
        let upload = begin(&editor, "a.txt", 5).await;
        patch(&editor, &upload, 0, b"hell").await.expect(204);
        let begun = create(&editor, 5, &[("filename", "b.txt"), ("folder", "Board")]).await.expect(201);
        app.execute("INSERT INTO dim.folder_rules (folder, role, set_by, set_at) VALUES ('Board', 'admin', 'x', 1)").await;
        let hidden = async || {
            create(&editor, 5, &[("filename", "c.txt"), ("folder", "Board")]).await.status == 404
        };
        app.state.files.rules.forget();
        app.eventually("the rule counts", hidden).await;
        // Whether the name is taken is not told either.
        problem(&create(&editor, 5, &[("filename", "minutes.txt"), ("folder", "Board")]).await, 404);
        problem(&create(&editor, 5, &[("filename", "c.txt"), ("folder", "Board/below")]).await, 404);
        problem(&patch(&editor, begun.location(), 0, b"hello").await, 404);
        // The name given at the end counts no less.
        let metadata = metadata(&[("filename", "d.txt"), ("folder", "Board")]);
        let headers = [PIECE, ("upload-offset", "4"), ("upload-metadata", metadata.as_str())];
        problem(&ask(&editor, "PATCH", &upload, &headers, b"o").await, 404);
        assert!(published(&app).await.is_empty());
        assert_eq!(std::fs::read_dir(app.files().join("Board")).unwrap().count(), 1);
    }

    async fn other_sites_change_no_upload(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let upload = begin(&editor, "a.txt", 5).await;
        for site in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
            problem(&ask(&editor, "POST", "/api/uploads", &[site, ("upload-length", "1")], b"").await, 403);
            let headers = [site, PIECE, ("upload-offset", "0")];
            problem(&ask(&editor, "PATCH", &upload, &headers, b"hello").await, 403);
            problem(&ask(&editor, "DELETE", &upload, &[site], b"").await, 403);
        }
        assert_eq!(offset(&editor, &upload).await, 0);
        patch(&editor, &upload, 0, b"hello").await.expect(204);
        assert_on_disk(&app, &["a.txt"], "published");
    }
}
