//! The index of object storage: what other programs put there is listed, searched and forgotten, by the thousand.

use portcullis::roles::Role;

use super::{on_both_storages, portal};
use crate::publishing::form::Form;
use crate::publishing::row;

on_both_storages! {
    async fn what_other_programs_write_and_remove_is_found_at_the_next_listing(stored: Stored) {
        let reader = stored.signed_in_as(Role::Reader).await;
        for key in ["a.txt", "Finance/2026/Report 10.pdf", "Finance/2026/report 2.pdf", "Finance/old.pdf", ".git/config", "Finance/.hidden"] {
            stored.bucket.put(key, "content").await;
        }
        stored.app.indexed().await;
        let names = async |query: &str| {
            let listed = reader.get(&format!("/api/items{query}")).await.expect(200).json();
            let names: Vec<String> = listed.as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect();
            names
        };
        assert_eq!(names("").await, ["a.txt", "Finance/2026/report 2.pdf", "Finance/2026/Report 10.pdf", "Finance/old.pdf"]);
        assert_eq!(names("?q=report+10").await, ["Finance/2026/Report 10.pdf"]);
        assert_eq!(names("?folder=Finance/2026").await.len(), 2);
        let page = reader.navigate("/?folder=Finance").await.expect(200).text();
        assert!(page.contains("2026") && page.contains("old.pdf"), "{page}");

        stored.bucket.remove("Finance/2026/Report 10.pdf").await;
        stored.bucket.remove("Finance/2026/report 2.pdf").await;
        stored.bucket.put("Finance/old.pdf", "changed").await;
        stored.app.indexed().await;
        assert_eq!(names("").await, ["a.txt", "Finance/old.pdf"]);
        reader.get("/?folder=Finance/2026").await.expect(404);
        assert!(row(&stored.app, "Finance/2026/report 2.pdf").await.unwrap().missing_since > 0, "what is known is kept for a while");
    }

    async fn a_container_that_is_suddenly_empty_or_another_is_not_believed(stored: Stored) {
        let admin = stored.signed_in_as(Role::Admin).await;
        let form = Form::new().text("title", "Kept").file("a.txt", "content");
        form.publish(&admin).await.expect(201);
        stored.app.indexed().await;
        stored.bucket.remove("a.txt").await;
        assert!(stored.app.state.index.scan().await.is_err());
        assert_eq!(row(&stored.app, "a.txt").await.unwrap().missing_since, 0);
        admin.get("/api/files/a.txt").await.expect(404);

        let server = crate::support::object_storage::Server::shared(stored.bucket.kind).unwrap();
        let another = server.bucket().await;
        another.put("b.txt", "content").await;
        let mut settings = stored.app.state.settings.clone();
        settings.files.storage.as_mut().unwrap().container = another.name.clone();
        let state = portcullis::app::State::start(settings, stored.app.db.clone(), true).unwrap();
        assert!(state.index.scan().await.is_err());
        assert!(row(&stored.app, "b.txt").await.is_none());
        another.put("a.txt", "copied").await;
        state.index.scan().await.unwrap();
        assert_eq!(row(&stored.app, "a.txt").await.unwrap().title.as_deref(), Some("Kept"));
        assert!(row(&stored.app, "b.txt").await.is_some());
    }

    async fn the_portal_keeps_to_its_prefix(stored: Stored) {
        for key in ["outside.txt", "portal/inside.txt", "portal2/beside.txt", "portal/sub/deep.txt"] {
            stored.bucket.put(key, "content").await;
        }
        let url = format!("{}/portal", stored.bucket.url());
        let app = portal(&stored.bucket, &[("FILES_URL", &url)]).await.unwrap();
        app.indexed().await;
        let editor = app.signed_in_as(Role::Editor).await;
        let listed = editor.get("/api/items").await.expect(200).json();
        assert_eq!(listed[0]["path"], "inside.txt");
        assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
        editor.get("/api/files/sub/deep.txt").await.expect(200);
        for path in ["/api/files/outside.txt", "/api/files/portal/inside.txt", "/api/files/..%2Foutside.txt"] {
            editor.get(path).await.expect(404);
        }
        Form::new().text("folder", "sub").file("new.txt", "x").publish(&editor).await.expect(201);
        assert!(stored.bucket.keys().await.contains(&"portal/sub/new.txt".to_owned()));
    }

    async fn many_keys_are_listed_page_by_page(stored: Stored) {
        // A page of Azure's has 5,000, one of S3's 1,000.
        let more_than_a_page = match stored.bucket.kind {
            Kind::Azure => 5_100,
            Kind::S3 => 1_100,
        };
        let count: usize = std::env::var("PORTCULLIS_KEYS").ok().map_or(more_than_a_page, |text| text.parse().unwrap());
        stored.bucket.fill((0..count).map(|n| format!("Folder {:02}/file {n:06}.txt", n % 40))).await;
        let began = std::time::Instant::now();
        stored.app.indexed().await;
        println!("{count} keys were listed and written down in {:?}", began.elapsed());
        let reader = stored.signed_in_as(Role::Reader).await;
        let first = reader.get("/api/items?per_page=500").await.expect(200);
        assert_eq!(first.header("x-total-count"), count.to_string());
        assert_eq!(first.json().as_array().unwrap().len(), 500);
        let last = reader.get(&format!("/api/items?per_page=500&page={}", count.div_ceil(500))).await.expect(200);
        assert!(!last.json().as_array().unwrap().is_empty());
        let began = std::time::Instant::now();
        stored.app.indexed().await;
        println!("… and again, without a change, in {:?}", began.elapsed());
    }
}
