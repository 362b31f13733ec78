//! FILES_DOWNLOADS=redirect: the portal decides, and the storage sends, by an address for one object, one name and a minute.

use portcullis::roles::Role;
use reqwest::Method;
use serde_json::Value;

use super::{Stored, on_both_storages};
use crate::downloads::{noise, url_of};
use crate::support::client::Browser;
use crate::support::object_storage::{Kind, Server};

/// Asks the storage for an address, as a browser does that followed the redirect: without the portal's cookie.
async fn ask(url: &str) -> crate::support::client::Reply {
    Browser::new("http://127.0.0.1:1").get(url).await
}

on_both_storages! {
    async fn a_download_leads_to_an_address_that_serves_this_object_under_this_name(stored: Stored, "FILES_DOWNLOADS" = "redirect") {
        let reader = stored.signed_in_as(Role::Reader).await;
        let name = "Finance/Übersicht 100% & more.html";
        let content = noise(70_000);
        stored.bucket.put(name, content.clone()).await;
        stored.bucket.put("Finance/other.html", "other").await;
        let reply = reader.get(&url_of(name)).await.expect(302);
        assert_eq!(reply.header("cache-control"), "no-store");
        let address = reply.location().to_owned();
        let sent = ask(&address).await.expect(200);
        assert!(sent.body == content);
        assert_eq!(sent.header("content-disposition"), "attachment; filename=\"_bersicht 100_ & more.html\"; filename*=UTF-8''%C3%9Cbersicht%20100%25%20%26%20more.html");
        assert_eq!(sent.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(sent.header("cache-control"), "private, no-store");
        // What a browser asks of the portal, it asks there again.
        let range = [("range", "bytes=100-199")];
        let led = reader.send(Method::GET, &url_of(name), &range, Vec::new()).await.expect(302);
        let storage = Browser::new("http://127.0.0.1:1");
        let part = storage.send(Method::GET, led.location(), &range, Vec::new()).await.expect(206);
        assert!(part.body == content[100..200]);
        assert_eq!(part.header("content-range"), "bytes 100-199/70000");
        let row = stored.app.audited("downloaded").await;
        let detail: Value = serde_json::from_str(&row.detail).unwrap();
        assert_eq!((row.outcome.as_str(), row.bytes, &detail["sent_by"]), ("handed_over", None, &Value::from("storage")));

        // Whatever is changed about it, the storage itself refuses.
        let other = address.replace("%C3%9Cbersicht%20100%25%20&%20more.html?", "other.html?").replace("%C3%9Cbersicht%20100%25%20%26%20more.html?", "other.html?");
        assert_ne!(other, address, "{address}");
        for changed in [
            other,
            address.replace("attachment", "inline"),
            address.split('?').next().unwrap().to_owned(),
        ] {
            assert_ne!(changed, address);
            let refused = ask(&changed).await;
            assert!((400..500).contains(&refused.status), "{changed}: {}", refused.status);
        }

        let head = reader.send(Method::HEAD, &url_of(name), &[], Vec::new()).await.expect(200);
        assert_eq!(head.header("content-length"), "70000");
        reader.get("/api/files/none.txt").await.expect(404);
        stored.app.visitor().get(&url_of(name)).await.expect(401);
    }
}

async fn an_address_that_is_late_is_refused(kind: Kind) {
    let Some(server) = Server::ahead(kind, 120) else {
        return;
    };
    let more = [("FILES_DOWNLOADS", "redirect")];
    let Some(stored) = Stored::over(&server, &more).await else {
        return;
    };
    let reader = stored.signed_in_as(Role::Reader).await;
    stored.bucket.put("a.txt", "content").await;
    let address = reader.get("/api/files/a.txt").await.expect(302);
    let refused = ask(address.location()).await.expect(403);
    assert!(!refused.text().contains("content"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_azures_serves_for_a_minute() {
    an_address_that_is_late_is_refused(Kind::Azure).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_s3_serves_for_a_minute() {
    an_address_that_is_late_is_refused(Kind::S3).await;
}
