//! As long as nothing was listed yet, nobody is told that there is nothing.

use portcullis::roles::Role;

use super::portal;
use crate::support::gateway::{Fault, Gateway, Order};
use crate::support::object_storage::{Kind, Server};

async fn before_the_first_listing(kind: Kind) {
    let Some(server) = Server::shared(kind) else {
        return;
    };
    let bucket = server.bucket().await;
    bucket.put("a.txt", "content").await;
    bucket.put("F/.keep", "").await;
    bucket.put("F/b.txt", "content").await;
    let gateway = Gateway::before(server).await;
    let holds = match kind {
        Kind::Azure => "comp=list",
        Kind::S3 => "list-type=2",
    };
    gateway.when(Order {
        begins: "GET ",
        holds,
        fault: Fault::Hold,
    });
    let Some(app) = portal(&gateway.view(&bucket), &[]).await else {
        return;
    };
    gateway.met().await;
    let reader = app.signed_in_as(Role::Reader).await;
    let page = reader.navigate("/").await.expect(200).text();
    assert!(page.contains("still reading"), "{page}");
    assert!(!page.contains("Nothing has been published"), "{page}");
    gateway.mend();
    // Its first key is hidden.
    reader.navigate("/?folder=F").await.expect(200);
    reader.navigate("/?folder=G").await.expect(404);
    app.indexed().await;
    let page = reader.navigate("/").await.expect(200).text();
    assert!(
        page.contains("a.txt") && !page.contains("still reading"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_listing_of_azure_the_page_says_that_it_is_not_read_yet() {
    before_the_first_listing(Kind::Azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_listing_of_s3_the_page_says_that_it_is_not_read_yet() {
    before_the_first_listing(Kind::S3).await;
}
