//! Validators and conditions clause by clause (RFC 9110 sections 8.8, 13 and 14), beside what `ranges` covers.

use std::path::Path;
use std::time::{Duration, SystemTime};

use portcullis::roles::Role;
use reqwest::Method;

use super::{noise, url_of};
use crate::bad_input::raw;
use crate::publishing::form::Form;
use crate::support::app::TestApp;
use crate::support::client::{Browser, Reply};
use crate::support::database::Backend;

const FILE: &str = "/api/files/ten.txt";

async fn get(browser: &Browser, headers: &[(&str, &str)]) -> Reply {
    browser.send(Method::GET, FILE, headers, Vec::new()).await
}

async fn etag(browser: &Browser) -> String {
    get(browser, &[])
        .await
        .expect(200)
        .header("etag")
        .to_owned()
}

fn set_modified(file: &Path, time: SystemTime) {
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(time).unwrap();
}

fn date(time: SystemTime) -> String {
    let micros = portcullis::clock::micros(time);
    let time = jiff::Timestamp::from_microsecond(micros).unwrap();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entity_tag_is_strong_and_comes_from_size_time_and_inode_alone() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let file = app.write("ten.txt", "0123456789");
    let time = ago(1_000);
    set_modified(&file, time);
    let first = etag(&reader).await;
    assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
    assert_eq!(
        first,
        etag(&reader).await,
        "it is the same with every request"
    );

    std::fs::write(&file, "9876543210").unwrap();
    set_modified(&file, time + Duration::from_nanos(1));
    assert_ne!(first, etag(&reader).await, "another nanosecond");
    set_modified(&file, time);
    assert_eq!(first, etag(&reader).await, "same size, time and inode");
    app.write("ten.txt", "0123456789+");
    set_modified(&file, time);
    assert_ne!(first, etag(&reader).await, "another size");
    // While the old file keeps its inode, the new one has another.
    std::fs::rename(&file, app.folder().join("old")).unwrap();
    app.write("ten.txt", "0123456789");
    set_modified(&file, time);
    assert_ne!(first, etag(&reader).await, "another inode");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entity_tag_stays_when_a_checksum_becomes_known() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let form = Form::new().file("ten.txt", "0123456789");
    form.publish(&editor).await.expect(201);
    let known = get(&editor, &[]).await.expect(200);
    assert_ne!(known.header("repr-digest"), "");
    execute(&app, "DELETE FROM dim.items").await;
    app.eventually("the checksum is forgotten", async || {
        // Another portal on the same files, which has nothing in memory.
        let other = TestApp::builder(Backend::Sqlite)
            .with("FILES_DIR", app.files().to_str().unwrap())
            .start()
            .await;
        let reader = other.signed_in_as(Role::Reader).await;
        let unknown = get(&reader, &[]).await.expect(200);
        assert_eq!(unknown.header("etag"), known.header("etag"));
        unknown.header("repr-digest").is_empty()
    })
    .await;
}

async fn execute(app: &TestApp, sql: &str) {
    use diesel_async::SimpleAsyncConnection;
    use portcullis::db::Conn;
    match app.db.conn().await.unwrap() {
        Conn::Postgres(mut conn) => conn.batch_execute(sql).await.unwrap(),
        Conn::Sqlite(mut conn) => conn.batch_execute(sql).await.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_match_decides_before_if_unmodified_since_and_one_that_cannot_be_read_fails() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    let etag = etag(&reader).await;
    let long_ago = "Mon, 01 Jan 2001 00:00:00 GMT";
    let among = format!("\"x\", {etag}");
    for tag in [etag.as_str(), "*", &among] {
        let headers = [("if-match", tag), ("if-unmodified-since", long_ago)];
        get(&reader, &headers).await.expect(200);
    }
    let weak = format!("W/{etag}");
    let cookie = raw::cookie(&reader);
    for tag in ["\"x\"", &weak, "garbage", "\"\u{fc}\""] {
        let headers = [("Cookie", cookie.as_str()), ("If-Match", tag)];
        let request = raw::request("GET", FILE, &headers);
        let answer = raw::ask(&app, &request).await.unwrap().expect(412, tag);
        assert!(answer.text().contains("Download it again"), "{tag}");
        assert_eq!(answer.header("content-disposition"), "", "{tag}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_none_match_decides_before_if_modified_since() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    let etag = etag(&reader).await;
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    for tag in ["\"other\"", "garbage"] {
        let headers = [("if-none-match", tag), ("if-modified-since", future)];
        get(&reader, &headers).await.expect(200);
    }
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    let headers = [("if-none-match", etag.as_str()), ("if-modified-since", old)];
    get(&reader, &headers).await.expect(304);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_are_compared_in_seconds_and_in_all_three_formats() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let file = app.write("ten.txt", "0123456789");
    // 784111777 is the moment that RFC 9110 section 5.6.7 writes in three ways.
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_900);
    set_modified(&file, time);
    let first = get(&reader, &[]).await.expect(200);
    assert_eq!(
        first.header("last-modified"),
        "Sun, 06 Nov 1994 08:49:37 GMT"
    );
    for same in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        get(&reader, &[("if-modified-since", same)])
            .await
            .expect(304);
        get(&reader, &[("if-unmodified-since", same)])
            .await
            .expect(200);
    }
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    get(&reader, &[("if-modified-since", before)])
        .await
        .expect(200);
    get(&reader, &[("if-unmodified-since", before)])
        .await
        .expect(412);
    for none in ["yesterday", "784111777", ""] {
        get(&reader, &[("if-modified-since", none)])
            .await
            .expect(200);
        get(&reader, &[("if-unmodified-since", none)])
            .await
            .expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_from_the_future_or_from_before_1970_has_no_date_that_misleads() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let file = app.write("ten.txt", "0123456789");
    set_modified(&file, SystemTime::now() + Duration::from_secs(1_000_000));
    let began = SystemTime::now();
    let reply = get(&reader, &[]).await.expect(200);
    let told = reply.header("last-modified").to_owned();
    // RFC 9110 section 8.8.2.1: never later than the answer's own date.
    let moments: Vec<String> = (0..20)
        .map(|second| date(began + Duration::from_secs(second)))
        .collect();
    assert!(moments.contains(&told), "{told}");
    get(&reader, &[("if-modified-since", &told)])
        .await
        .expect(200);

    set_modified(&file, SystemTime::UNIX_EPOCH - Duration::from_secs(10));
    let old = get(&reader, &[]).await.expect(200);
    assert_eq!(old.header("last-modified"), "");
    assert_ne!(old.header("etag"), "");
    let now = date(SystemTime::now());
    get(&reader, &[("if-modified-since", &now)])
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_range_gives_a_part_only_when_it_proves_that_the_file_is_the_same() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let file = app.write("ten.txt", "0123456789");
    let hour = ago(3_600);
    set_modified(&file, hour);
    let etag = etag(&reader).await;
    let ask = async |proof: &str| {
        let headers = [("range", "bytes=5-"), ("if-range", proof)];
        get(&reader, &headers).await
    };
    for proof in [etag.as_str(), &date(hour)] {
        let reply = ask(proof).await.expect(206);
        assert_eq!(reply.text(), "56789", "{proof}");
    }
    let weak = format!("W/{etag}");
    for proof in [
        "\"other\"",
        &weak,
        &date(ago(7_200)),
        // A later date is no match either (section 13.1.5).
        &date(SystemTime::now()),
        "garbage",
        "",
    ] {
        let reply = ask(proof).await.expect(200);
        assert_eq!(reply.text(), "0123456789", "{proof}");
        assert_eq!(reply.header("content-range"), "", "{proof}");
    }
    // In the second of the last change there may be another one, so its date proves nothing (section 8.8.2.2).
    let now = SystemTime::now() + Duration::from_secs(1);
    set_modified(&file, now);
    ask(&date(now)).await.expect(200);
    // An If-Range without a Range means nothing.
    get(&reader, &[("if-range", "\"other\"")]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_come_before_the_range() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    let etag = etag(&reader).await;
    for range in ["bytes=0-1", "bytes=99-", "bytes=9-3"] {
        let known = [("range", range), ("if-none-match", etag.as_str())];
        get(&reader, &known).await.expect(304);
        let other = [("range", range), ("if-match", "\"x\"")];
        get(&reader, &other).await.expect(412);
    }
    let both = [("range", "bytes=99-"), ("if-range", "\"other\"")];
    get(&reader, &both).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_ranges_get_the_whole_file_and_one_that_exists_gets_its_part() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    for range in ["bytes=0-1,4-5", "bytes=4-5, 0-1", "bytes=-1,0-0"] {
        let reply = get(&reader, &[("range", range)]).await.expect(200);
        assert_eq!(reply.text(), "0123456789", "{range}");
        assert_eq!(reply.header("content-range"), "", "{range}");
    }
    let reply = get(&reader, &[("range", "bytes=0-1,99-")])
        .await
        .expect(206);
    assert_eq!(
        (reply.text().as_str(), reply.header("content-range")),
        ("01", "bytes 0-1/10")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_range_a_hundred_of_them_and_overflowing_numbers_are_refused_with_a_sentence() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "0123456789");
    let hundred = format!("bytes={}1-1", "0-0,".repeat(99));
    for (range, word) in [
        ("bytes=9-3", "malformed"),
        ("bytes=", "malformed"),
        ("bytes=a-b", "malformed"),
        ("bytes=--1", "malformed"),
        ("bytes=99999999999999999999999-", "malformed"),
        ("bytes=0-99999999999999999999999", "malformed"),
        ("bytes=-99999999999999999999999", "malformed"),
        ("bytes=18446744073709551616-", "malformed"),
        (&hundred, "one part at a time"),
    ] {
        let reply = get(&reader, &[("range", range)]).await.expect(416);
        assert_eq!(reply.header("content-range"), "bytes */10", "{range}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{range}: {detail}");
    }
    // Two Range headers cannot both be meant.
    let cookie = raw::cookie(&reader);
    let headers = [
        ("Cookie", cookie.as_str()),
        ("Range", "bytes=0-1"),
        ("Range", "bytes=5-6"),
    ];
    let request = raw::request("GET", FILE, &headers);
    raw::ask(&app, &request).await.unwrap().expect(416, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_empty_file_is_the_whole_of_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("ten.txt", "");
    let reply = get(&reader, &[("range", "bytes=-5")]).await.expect(200);
    assert_eq!(
        (reply.text().as_str(), reply.header("content-length")),
        ("", "0")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_file_and_every_part_of_it_carry_the_checksum_of_the_whole() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let form = Form::new().file("ten.txt", "hello");
    form.publish(&editor).await.expect(201);
    // printf hello | openssl dgst -sha256 -binary | base64
    let hello = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
    let whole = get(&editor, &[]).await.expect(200);
    assert_eq!(whole.header("repr-digest"), hello);
    let part = get(&editor, &[("range", "bytes=1-2")]).await.expect(206);
    assert_eq!(
        (part.text().as_str(), part.header("repr-digest")),
        ("el", hello)
    );
    let head = editor.send(Method::HEAD, FILE, &[], Vec::new()).await;
    assert_eq!(head.expect(200).header("repr-digest"), hello);

    // Once the content is another one, or was never published, nothing is claimed.
    app.write("ten.txt", "HELLO");
    assert_eq!(
        get(&editor, &[]).await.expect(200).header("repr-digest"),
        ""
    );
    app.write("loose.txt", "loose");
    let loose = editor.get("/api/files/loose.txt").await.expect(200);
    assert_eq!(loose.header("repr-digest"), "");
    let again = Form::new()
        .text("overwrite", "true")
        .file("ten.txt", "hello");
    again.publish(&editor).await.expect(201);
    assert_eq!(
        get(&editor, &[]).await.expect(200).header("repr-digest"),
        hello
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_reads_no_byte_of_the_file_and_tells_its_true_length() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    // Reading it, though sparse, would take longer than the test may.
    let length = 1_u64 << 42;
    let file = std::fs::File::create(app.files().join("ten.txt")).unwrap();
    file.set_len(length).unwrap();
    let asked = reader.send(Method::HEAD, FILE, &[], Vec::new());
    let head = tokio::time::timeout(Duration::from_secs(10), asked).await;
    let head = head.expect("HEAD reads the file").expect(200);
    assert_eq!(head.header("content-length"), length.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_size_around_the_steps_of_reading_arrive_intact() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    const STEP: usize = 64 * 1024;
    const PIECE: usize = 1024 * 1024;
    let content = noise(9 * PIECE + 4_321);
    for length in [
        STEP - 1,
        STEP,
        STEP + 1,
        2 * STEP,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        2 * PIECE + STEP,
        content.len(),
    ] {
        app.write("some.bin", &content[..length]);
        let reply = reader.get("/api/files/some.bin").await.expect(200);
        assert!(reply.body == content[..length], "{length}: other bytes");
        let first = length / 3;
        let range = format!("bytes={first}-{}", length - 2);
        let headers = [("range", range.as_str())];
        let part = reader
            .send(Method::GET, &url_of("some.bin"), &headers, Vec::new())
            .await
            .expect(206);
        assert!(part.body == content[first..length - 1], "{length}: {range}");
    }
}
