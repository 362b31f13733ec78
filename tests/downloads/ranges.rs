//! Ranges and conditions after RFC 9110: what a resumed download and a browser's cache rely on.

use portcullis::roles::Role;
use reqwest::Method;

use super::noise;
use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;

const FILE: &str = "/api/files/ten.txt";

async fn get(browser: &Browser, headers: &[(&str, &str)]) -> Reply {
    browser.send(Method::GET, FILE, headers, Vec::new()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_gets_exactly_those_bytes() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    for (asked, part, bytes) in [
        ("bytes=0-4", "bytes 0-4/10", "01234"),
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=9-9", "bytes 9-9/10", "9"),
        ("bytes=5-", "bytes 5-9/10", "56789"),
        ("bytes=0-", "bytes 0-9/10", "0123456789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-10", "bytes 0-9/10", "0123456789"),
        ("bytes=-99999", "bytes 0-9/10", "0123456789"),
        ("bytes=8-99999", "bytes 8-9/10", "89"),
        ("bytes=8-18446744073709551615", "bytes 8-9/10", "89"),
        ("BYTES=0-1", "bytes 0-1/10", "01"),
    ] {
        let reply = get(&reader, &[("range", asked)]).await.expect(206);
        assert_eq!(reply.header("content-range"), part, "{asked}");
        assert_eq!(reply.text(), bytes, "{asked}");
        assert_eq!(
            reply.header("content-length"),
            bytes.len().to_string(),
            "{asked}"
        );
        assert_eq!(reply.header("accept-ranges"), "bytes", "{asked}");
        let disposition = reply.header("content-disposition");
        assert_eq!(disposition, "attachment; filename=\"ten.txt\"", "{asked}");
        assert_eq!(
            reply.header("cache-control"),
            "private, no-cache",
            "{asked}"
        );
        assert_eq!(reply.header("content-encoding"), "", "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_behind_the_end_is_416_with_the_true_length() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for (content, asked) in [
        ("0123456789", "bytes=10-"),
        ("0123456789", "bytes=10-20"),
        ("0123456789", "bytes=99999-"),
        ("0123456789", "bytes=-0"),
        ("", "bytes=0-0"),
        ("", "bytes=0-"),
    ] {
        app.write("ten.txt", content);
        let reply = get(&reader, &[("range", asked)]).await.expect(416);
        let length = content.len();
        assert_eq!(
            reply.header("content-range"),
            format!("bytes */{length}"),
            "{asked}"
        );
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{asked}"
        );
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("shorter"), "{asked}: {detail}");
        assert!(reply.json()["reference"].is_string(), "{asked}");
        assert_eq!(reply.header("content-disposition"), "", "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_is_none_gets_the_file_or_a_refusal_and_several_get_what_is_said() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    for asked in ["items=0-1", "seconds=1-2", "x=y"] {
        let reply = get(&reader, &[("range", asked)]).await.expect(200);
        assert_eq!(reply.text(), "0123456789", "{asked}");
    }
    let many = format!("bytes={}", "0-0,".repeat(2_000) + "1-1");
    for asked in [
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes",
        "bytes=1-2-3",
        "bytes=99999999999999999999999-",
        "bytes=-99999999999999999999999",
        "bytes=0-1,4-5",
        "bytes=4-5, 0-1",
        "bytes=0-1,99-",
        &many,
    ] {
        let reply = get(&reader, &[("range", asked)]).await;
        match reply.status {
            200 => assert_eq!(reply.text(), "0123456789", "{asked}"),
            206 => {
                let range = reply.header("content-range").to_owned();
                let (part, length) = range
                    .strip_prefix("bytes ")
                    .unwrap()
                    .split_once('/')
                    .unwrap();
                let (first, last) = part.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert_eq!(length, "10", "{asked}");
                assert_eq!(reply.text(), "0123456789"[first..=last], "{asked}");
            }
            416 => assert_eq!(reply.header("content-range"), "bytes */10", "{asked}"),
            400 => assert_eq!(reply.json()["status"], 400, "{asked}"),
            status => panic!("{asked}: {status} {}", reply.text()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_browser_has_already_is_not_sent_again() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    let first = get(&reader, &[]).await.expect(200);
    let (etag, changed) = (first.header("etag"), first.header("last-modified"));
    let weak = format!("W/{etag}");
    let among = format!("\"x\", {etag}");
    for (name, value) in [
        ("if-none-match", etag),
        ("if-none-match", &weak),
        ("if-none-match", &among),
        ("if-none-match", "*"),
        ("if-modified-since", changed),
    ] {
        let cookie = raw::cookie(&reader);
        let request = raw::request("GET", FILE, &[("Cookie", &cookie), (name, value)]);
        let answer = raw::ask(&app, &request).await.unwrap().expect(304, value);
        assert_eq!(answer.body, b"", "{name}: {value}");
        assert_eq!(answer.header("etag"), etag, "{name}: {value}");
        assert_eq!(
            answer.header("cache-control"),
            "private, no-cache",
            "{name}: {value}"
        );
        assert_eq!(answer.header("content-disposition"), "", "{name}: {value}");
    }
    for (name, value) in [
        ("if-none-match", "\"other\""),
        ("if-none-match", "garbage"),
        ("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("if-modified-since", "yesterday"),
        ("if-match", etag),
        ("if-match", "*"),
        ("if-unmodified-since", changed),
    ] {
        let reply = get(&reader, &[(name, value)]).await.expect(200);
        assert_eq!(reply.text(), "0123456789", "{name}: {value}");
    }
    for (name, value) in [
        ("if-match", "\"other\""),
        ("if-unmodified-since", "Mon, 01 Jan 2001 00:00:00 GMT"),
    ] {
        let reply = get(&reader, &[(name, value)]).await.expect(412);
        assert!(
            reply.json()["detail"]
                .as_str()
                .unwrap()
                .contains("Download it again")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_resumes_where_it_stopped_unless_the_file_changed() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let content = noise(200_000);
    app.write("ten.txt", &content);
    let start = get(&reader, &[("range", "bytes=0-99999")])
        .await
        .expect(206);
    let etag = start.header("etag").to_owned();
    let rest = [("range", "bytes=100000-"), ("if-range", etag.as_str())];
    let end = get(&reader, &rest).await.expect(206);
    assert_eq!(end.header("content-range"), "bytes 100000-199999/200000");
    assert!(
        [start.body, end.body].concat() == content,
        "the halves do not fit"
    );

    for stale in [
        "\"other\"",
        &format!("W/{etag}"),
        "Mon, 01 Jan 2001 00:00:00 GMT",
    ] {
        let headers = [("range", "bytes=100000-"), ("if-range", stale)];
        let reply = get(&reader, &headers).await.expect(200);
        assert!(reply.body == content, "{stale}: not whole");
    }

    let new: Vec<u8> = content.iter().rev().copied().collect();
    app.write("ten.txt", &new);
    let reply = get(&reader, &rest).await.expect(200);
    assert!(reply.body == new, "a mixture of old and new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_beyond_four_gigabytes_is_exact() {
    use std::os::unix::fs::FileExt;

    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let length = 5 * 1024 * 1024 * 1024_u64;
    // Sparse: it takes no room on the disk.
    let file = std::fs::File::create(app.files().join("ten.txt")).unwrap();
    file.set_len(length).unwrap();
    file.write_all_at(b"the end", length - 7).unwrap();
    for asked in [format!("bytes={}-", length - 7), "bytes=-7".to_owned()] {
        let reply = get(&reader, &[("range", &asked)]).await.expect(206);
        assert_eq!(reply.text(), "the end", "{asked}");
        let part = format!("bytes {}-{}/{length}", length - 7, length - 1);
        assert_eq!(reply.header("content-range"), part);
    }
    let head = reader
        .send(Method::HEAD, FILE, &[], Vec::new())
        .await
        .expect(200);
    assert_eq!(head.header("content-length"), length.to_string());
}
