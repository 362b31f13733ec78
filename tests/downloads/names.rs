//! Names travel whole: from the disk into the list, through a link, and back into `Content-Disposition`.

use percent_encoding::percent_decode_str;
use portcullis::roles::Role;

use super::url_of;
use crate::support::app::TestApp;
use crate::support::database::Backend;

/// Names that break whatever was put together from strings.
pub fn nasty() -> Vec<String> {
    let mut names: Vec<String> = [
        "plain.txt",
        "two  spaces.txt",
        " leading and trailing ",
        "quote\".txt",
        "'single'.txt",
        "semi;colon.txt",
        "; filename=evil.exe",
        "100%.txt",
        "%41%2F%00.txt",
        "a+b.txt",
        "a#b.txt",
        "a?b=c&d=e.txt",
        "a:b.txt",
        "a,b.txt",
        "a=b.txt",
        "a*b.txt",
        "back\\slash.txt",
        "<b>bold&amp;<b>.txt",
        "x\" onmouseover=\"alert(1).txt",
        "{{ curly }}.txt",
        "$(id)`id`.txt",
        "line\nbreak.txt",
        "carriage\r\nSet-Cookie: a=b.txt",
        "tab\tand\u{7f}delete.txt",
        "Übersicht „Q3“.xlsx",
        "m\u{fc}ller composed.txt",
        "mu\u{308}ller decomposed.txt",
        "中文报告.pdf",
        "😀 👩‍👩‍👧.zip",
        "right\u{202e}to left.txt",
        "שלום.txt",
        "no ending",
        "dots...",
        "-dash",
        "~tilde",
        "CON",
        "UTF-8''x",
        "İstanbul ẞ.txt",
        "\u{fffd}.txt",
        "\u{10ffff}.txt",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("{}.txt", "a".repeat(251)));
    names.push(format!("{}.txt", "ü".repeat(125) + "a"));
    assert!(names.iter().rev().take(2).all(|name| name.len() == 255));
    names
}

/// The name under which a browser saves it: `filename*` where there is one, else `filename` (RFC 6266 section 4.3).
fn saved_as(disposition: &str) -> String {
    let rest = disposition.strip_prefix("attachment; filename=\"").unwrap();
    let (fallback, rest) = rest.split_once('"').unwrap();
    assert!(
        !fallback.contains(['\\', '%'])
            && fallback.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
        "old browsers trip over this fallback: {disposition}"
    );
    if rest.is_empty() {
        return fallback.to_owned();
    }
    let encoded = rest.strip_prefix("; filename*=UTF-8''").unwrap();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&+-.^_`|~%".contains(c);
    assert!(encoded.chars().all(allowed), "no attr-char: {disposition}");
    percent_decode_str(encoded)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_arrives_intact_in_the_browser() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for name in nasty() {
        for path in [name.clone(), format!("{name}/{name}")] {
            // A folder cannot have the name of a file beside it.
            let path = if path == name {
                path
            } else {
                format!("in/{path}")
            };
            app.write(&path, &path);
            let reply = reader.get(&url_of(&path)).await.expect(200);
            assert_eq!(reply.text(), path, "another file came");
            assert_eq!(
                saved_as(reply.header("content-disposition")),
                name,
                "{path:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn composed_and_decomposed_umlauts_are_two_names() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    app.write("\u{fc}.txt", "composed");
    reader.get("/api/files/u%CC%88.txt").await.expect(404);
    app.write("u\u{308}.txt", "decomposed");
    let composed = reader.get("/api/files/%C3%BC.txt").await.expect(200);
    assert_eq!(composed.text(), "composed");
    let decomposed = reader.get("/api/files/u%CC%88.txt").await.expect(200);
    assert_eq!(decomposed.text(), "decomposed");
    assert!(
        decomposed
            .header("content-disposition")
            .ends_with("''u%CC%88.txt")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_download_url_of_every_listed_name_leads_to_that_file() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let names = nasty();
    for name in &names {
        app.write(&format!("odd/{name}"), name);
    }
    let listed = reader
        .get("/api/items?per_page=500")
        .await
        .expect(200)
        .json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), names.len());
    for item in listed {
        let name = item["name"].as_str().unwrap();
        assert!(
            names.iter().any(|held| held == name),
            "{name:?} is none of them"
        );
        assert_eq!(item["path"], format!("odd/{name}"));
        let url = item["download_url"].as_str().unwrap();
        let reply = reader.get(url).await.expect(200);
        assert_eq!(reply.text(), name, "{url}");
    }
}
