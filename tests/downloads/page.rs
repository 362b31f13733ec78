//! The catalogue page: plain links that work when they are followed, and names and titles that stay text.

use portcullis::roles::Role;

use super::names::nasty;
use crate::publishing::form::Form;
use crate::support::app::{TestApp, account};
use crate::support::client::Browser;
use crate::support::database::Backend;

/// A row of the list as the page's HTML has it.
#[derive(Debug)]
pub struct Row {
    pub href: String,
    pub name: String,
    /// The whole of it, without what is inside of `<` and `>`, white space as it stands.
    pub text: String,
    pub html: String,
}

/// The rows of a page, entities resolved.
pub fn rows(page: &str) -> Vec<Row> {
    let body = page.split_once("<tbody").map_or("", |(_, rest)| rest);
    let body = body.split_once("</tbody>").map_or("", |(body, _)| body);
    let rows = body.split("<tr").skip(1).map(|html| {
        let link = html.split_once("<a class=\"name\" href=\"").unwrap().1;
        let name = html
            .split_once("<b>")
            .unwrap()
            .1
            .split_once("</b>")
            .unwrap()
            .0;
        Row {
            href: unescape(link.split_once('"').unwrap().0),
            name: unescape(name),
            text: unescape(&without_tags(html)),
            html: html.to_owned(),
        }
    });
    rows.collect()
}

fn without_tags(html: &str) -> String {
    let parts = html.split('<').filter_map(|part| part.split_once('>'));
    parts.map(|(_, text)| text).collect()
}

/// Resolves the entities that escaping makes; any other `&` would be an unescaped one.
fn unescape(html: &str) -> String {
    let mut parts = html.split('&');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (entity, rest) = part
            .split_once(';')
            .unwrap_or_else(|| panic!("bare & in {html:?}"));
        text.push(match entity {
            "amp" | "#38" => '&',
            "lt" | "#60" => '<',
            "gt" | "#62" => '>',
            "quot" | "#34" => '"',
            "#39" | "#x27" => '\'',
            other => panic!("the entity {other:?} in {html:?}"),
        });
        text.push_str(rest);
    }
    text
}

async fn open(browser: &Browser, path: &str) -> Vec<Row> {
    rows(&browser.navigate(path).await.expect(200).text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_link_of_the_page_leads_where_its_name_says() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let names = nasty();
    for name in &names {
        app.write(name, name);
        app.write(
            &format!("folders/{name}/inside.txt"),
            format!("inside {name}"),
        );
    }
    let top = open(&reader, "/").await;
    assert_eq!(top.len(), names.len() + 1);
    for row in top.iter().skip(1) {
        assert!(names.contains(&row.name), "{row:?}");
        assert!(row.href.starts_with("/api/files/"), "{row:?}");
        assert!(
            !row.html.contains("javascript:") && !row.html.contains("onclick"),
            "{row:?}"
        );
        let reply = reader.navigate(&row.href).await.expect(200);
        assert_eq!(reply.text(), row.name, "{row:?}");
    }
    assert_eq!(
        (top[0].name.as_str(), top[0].href.as_str()),
        ("folders", "/?folder=folders")
    );
    let folders = open(&reader, &top[0].href).await;
    assert_eq!(folders.len(), names.len());
    for folder in folders {
        let inside = open(&reader, &folder.href).await;
        assert_eq!(inside.len(), 1, "{folder:?}");
        let reply = reader.navigate(&inside[0].href).await.expect(200);
        assert_eq!(reply.text(), format!("inside {}", folder.name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_titles_folders_and_searches_stay_text() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let evil = "<script>alert('1')</script> & \"><img src=x onerror=alert(2)>";
    let name = "<i>a\"b'c&amp;.txt";
    app.write(&format!("<b>f&/{name}"), "x");
    let form = Form::new()
        .text("title", evil)
        .text("folder", "<b>f&")
        .file("t.txt", "x");
    form.publish(&editor).await.expect(201);
    let folder = "/?folder=%3Cb%3Ef%26";
    for address in [
        folder.to_owned(),
        format!(
            "/?q={}",
            percent_encoding::utf8_percent_encode("a\"b'c&amp", percent_encoding::NON_ALPHANUMERIC)
        ),
        "/?q=%3Cscript%3E".to_owned(),
        "/?q=%22%3E%3Cimg%20src=x%3E".to_owned(),
        "/?q=nothing%3Cscript%3E".to_owned(),
        "/?folder=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        "/?sort=%22%3E%3Cscript%3E".to_owned(),
        format!("/publish{}", &folder[1..]),
        format!("{folder}&sort=%22%3E%3Cimg%20src=x%3E&page=1"),
    ] {
        let reply = editor.navigate(&address).await;
        assert!(
            [200, 404].contains(&reply.status),
            "{address}: {}",
            reply.status
        );
        // The scripts of the page for publishing are files of our own.
        let html = reply.text().replace("<script src=\"/static/", "");
        for tag in ["<script", "<img", "<i>", "<b>f", "\"b'c", "&amp;.txt"] {
            assert!(!html.contains(tag), "{address} has a living {tag}: {html}");
        }
    }
    let rows = open(&editor, folder).await;
    assert_eq!(rows[0].name, name);
    assert_eq!(rows[1].name, "t.txt");
    assert!(rows[1].text.contains(evil), "{:?}", rows[1].text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_title_owner_and_size_and_sorts_searches_and_turns_pages() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let form = Form::new()
        .text("title", "The year in numbers")
        .file("zahlen.csv", "12345");
    form.publish(&editor).await.expect(201);
    for number in 0..150 {
        app.write(&format!("many/{number:03}.txt"), vec![b'x'; number]);
    }
    let top = open(&editor, "/").await;
    assert_eq!(top.len(), 2);
    assert!(
        top[1].text.contains("The year in numbers") && top[1].text.contains("5 B"),
        "{:?}",
        top[1].text
    );
    let owner = top[1].text.replace('\u{200b}', "");
    assert!(owner.contains(account(Some(Role::Editor))), "{owner:?}");

    let first = open(&editor, "/?folder=many").await;
    assert_eq!((first.len(), first[0].name.as_str()), (100, "000.txt"));
    let second = open(&editor, "/?folder=many&page=2").await;
    assert_eq!((second.len(), second[0].name.as_str()), (50, "100.txt"));
    let largest = open(&editor, "/?folder=many&sort=-size").await;
    assert_eq!(largest[0].name, "149.txt");

    // A search looks everywhere, by name and by title.
    let found = open(&editor, "/?q=year&folder=many").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].href, "/api/files/zahlen.csv");
    let found = open(&editor, "/?q=149").await;
    assert_eq!(found.len(), 1);
    assert!(found[0].text.contains("in many"), "{:?}", found[0].text);
}
