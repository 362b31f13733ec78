//! Keys that other programs make and no file of the portal's could have.

use portcullis::roles::Role;

use super::Stored;
use crate::support::object_storage::Kind;

/// Only Azurite has them: s3s-fs keeps objects in folders of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_path_is_left_out_and_pointed_out() {
    let Some(stored) = Stored::start(Kind::Azure, &[]).await else {
        return;
    };
    for key in ["a//b.txt", "first.txt", "z.txt", "zz/"] {
        stored.bucket.put_raw(key, "content").await;
    }
    stored.app.indexed().await;
    let reader = stored.signed_in_as(Role::Reader).await;
    let listed = reader.get("/api/items").await.expect(200).json();
    let paths: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["first.txt", "z.txt"]);
    assert_eq!(stored.app.state.metrics.index_warning.get(), 1);
    let admin = stored.signed_in_as(Role::Admin).await;
    let page = admin.navigate("/").await.expect(200).text();
    assert!(
        page.contains("2 objects are left out") && page.contains("a//b.txt"),
        "{page}"
    );
    assert!(
        !reader
            .navigate("/")
            .await
            .expect(200)
            .text()
            .contains("a//b.txt")
    );

    stored.bucket.remove_raw("a//b.txt").await;
    stored.bucket.remove_raw("zz/").await;
    stored.app.indexed().await;
    assert_eq!(stored.app.state.metrics.index_warning.get(), 0);
    assert!(
        !admin
            .navigate("/")
            .await
            .expect(200)
            .text()
            .contains("left out")
    );
}

/// Tools that show folders make an empty object for each. None is asked for by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_objects_that_tools_make_for_folders_are_no_files() {
    let Some(stored) = Stored::start(Kind::Azure, &[]).await else {
        return;
    };
    for key in ["Folder/", "Folder/deeper/"] {
        stored.bucket.put_raw(key, "").await;
    }
    stored.bucket.put("Folder/empty.txt", "").await;
    stored.app.indexed().await;
    let reader = stored.signed_in_as(Role::Reader).await;
    let listed = reader.get("/api/items").await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["path"], "Folder/empty.txt");
    let page = reader.navigate("/?folder=Folder").await.expect(200).text();
    assert!(
        page.contains("empty.txt") && !page.contains("deeper"),
        "{page}"
    );
    assert_eq!(stored.app.state.metrics.index_warning.get(), 0);
}
