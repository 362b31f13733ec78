//! Pages of the list: totals, order, search, and addresses that stay good.

use portcullis::roles::Role;

use super::{listed, row, shown};
use crate::publishing::form::Form;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;
use crate::support::on_both;

on_both! {
    async fn folders_come_first_and_pages_go_on_where_the_one_before_ended(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        for number in 1..=150 {
            std::fs::create_dir(app.files().join(format!("Folder {number}"))).unwrap();
        }
        for number in 1..=151 {
            app.write(&format!("File {number}.txt"), "");
        }
        let mut seen = Vec::new();
        for page in 1..=4 {
            let names = shown(&reader, &format!("/?page={page}")).await;
            assert_eq!(names.len(), if page == 4 { 1 } else { 100 }, "page {page}");
            seen.extend(names);
        }
        let folders = (1..=150).map(|number| format!("Folder {number}"));
        let files = (1..=151).map(|number| format!("File {number}.txt"));
        assert!(seen.iter().cloned().eq(folders.chain(files)), "numbers order by value: {seen:?}");
        // Behind the last page is the last page, and its links are those of that page.
        for beyond in ["5", "99999", "18446744073709551615"] {
            let html = reader.navigate(&format!("/?page={beyond}")).await.expect(200).text();
            assert_eq!(crate::downloads::page::rows(&html).len(), 1, "{beyond}");
            assert!(html.contains("301 to 301 of 301") && html.contains("href=\"/?page=3\""), "{beyond}: {html}");
            assert!(!html.contains("Next"), "{beyond}");
        }
        let largest_first = shown(&reader, "/?sort=-name&page=4").await;
        assert_eq!(largest_first, ["File 1.txt"]);
    }

    async fn a_number_that_is_none_keeps_the_folder_and_the_words(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        app.write("x/a.txt", "a");
        app.write("b.txt", "b");
        for number in ["abc", "-1", "", "1.5", "99999999999999999999999"] {
            assert_eq!(shown(&reader, &format!("/?folder=x&page={number}")).await, ["a.txt"], "{number}");
            assert_eq!(shown(&reader, &format!("/?q=a&per_page={number}&sort=-name")).await, ["a.txt"], "{number}");
        }
        assert_eq!(shown(&reader, "/?page=abc&folder=x&folder=x").await, ["a.txt"]);
        reader.get("/api/items?page=abc").await.expect(400);
    }

    async fn a_script_walks_from_folder_to_folder_as_a_person_does(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let admin = app.signed_in_as(Role::Admin).await;
        for path in ["a/b/c.txt", "a/d.txt", "e.txt", "secret/f.txt", "z/g.txt"] {
            app.write(path, "x");
        }
        crate::catalogue::rules::rule(&app, "secret", "admin", "").await;
        app.state.files.rules.forget();
        let folders = async |browser: &Browser, query: &str| {
            let reply = browser.get(&format!("/api/folders{query}")).await.expect(200);
            let total: usize = reply.header("x-total-count").parse().unwrap();
            let paths: Vec<String> = reply.json().as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap().to_owned()).collect();
            (paths, total)
        };
        let some = |paths: &[&str], total| (paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), total);
        for (browser, query, expected) in [
            (&reader, "", some(&["a", "z"], 2)),
            (&admin, "", some(&["a", "secret", "z"], 3)),
            (&reader, "?folder=a", some(&["a/b"], 1)),
            (&reader, "?folder=a/b", some(&[], 0)),
            (&reader, "?q=B", some(&["a/b"], 1)),
            (&reader, "?q=secret", some(&[], 0)),
            (&reader, "?sort=-name", some(&["z", "a"], 2)),
            (&reader, "?per_page=1&page=2", some(&["z"], 2)),
            (&reader, "?per_page=1&page=3", some(&[], 2)),
        ] {
            assert_eq!(folders(browser, query).await, expected, "{query}");
        }
        let folder = reader.get("/api/folders").await.expect(200).json()[0].clone();
        assert_eq!((&folder["name"], folder["modified"].is_string()), (&"a".into(), true), "{folder}");
        assert_eq!(listed(&reader, "?depth=1").await, some(&["e.txt"], 1));
        assert_eq!(listed(&reader, "?folder=a&depth=1").await, some(&["a/d.txt"], 1));
        assert_eq!(listed(&reader, "?folder=a&depth=1&page=2").await, some(&[], 1));
        assert_eq!(listed(&reader, "?folder=a").await.1, 2);
        for (query, sentence) in [("depth=2", "left out"), ("depth=x", "whole numbers"), ("depth=1&q=a", "leave depth out")] {
            let sentence_told = crate::publishing::problem(&reader.get(&format!("/api/items?{query}")).await, 400);
            assert!(sentence_told.contains(sentence), "{query}: {sentence_told}");
        }
        reader.get("/api/folders?folder=secret").await.expect(404);
        reader.get("/api/folders?folder=e.txt").await.expect(404);
        reader.get("/api/folders?page=x").await.expect(400);
    }

    async fn markup_in_names_stays_text_in_the_crumbs_and_exact_values_stand_behind_the_short_ones(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let folder = "<b>one</b> & \"two\"/<script>deep";
        app.write(&format!("{folder}/five.txt"), "hello");
        app.write(&format!("{folder}/large.bin"), vec![0; 1_234_567]);
        let address = format!("/?folder={}", portcullis::files::path::encode(folder));
        let page = reader.navigate(&address).await.expect(200).text();
        let crumbs = page.split_once("<nav class=\"crumbs\"").unwrap().1.split_once("</nav>").unwrap().0;
        for text in ["&#60;b&#62;one&#60;", "&#38;", "&#34;two&#34;", "&#60;script&#62;deep"] {
            assert!(crumbs.contains(text), "no {text} in {crumbs}");
        }
        assert!(!page.contains("<b>one") && !page.contains("<script>"), "{page}");
        assert!(page.contains("<span title=\"5 bytes\">5 B</span>"), "{page}");
        assert!(page.contains("<span title=\"1,234,567 bytes\">1.2 MB</span>"), "{page}");
        let item = reader.get("/api/items?q=five").await.expect(200).json()[0].clone();
        let modified = item["modified"].as_str().unwrap();
        assert!(page.contains(&format!("<time datetime=\"{modified}\" title=\"{modified}\">")), "{modified}: {page}");
    }

    async fn a_search_has_an_end_and_says_so(app: TestApp) {
        let reader = app.signed_in_as(Role::Reader).await;
        let (words, letters) = (["a"; 17].join("+"), "x".repeat(201));
        for q in [&words, &letters] {
            let page = reader.navigate(&format!("/?q={q}")).await.expect(400).text();
            assert!(page.contains("Search for fewer"), "{page}");
            reader.get(&format!("/api/items?q={q}")).await.expect(400);
        }
        let (words, letters) = (["a"; 16].join("+"), "x".repeat(200));
        for q in [words, letters] {
            reader.navigate(&format!("/?q={q}")).await.expect(200);
        }
    }

    async fn a_search_finds_files_and_folders_by_every_word_without_case_and_accents(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        let form = Form::new().text("folder", "Finanzen/Jahr").text("title", "Der große Überblick").file("q3.pdf", "x");
        form.publish(&editor).await.expect(201);
        app.write("Finanzen/u\u{308}bersicht 100%_'\\.txt", "x");
        app.write("andere/x.txt", "x");
        for (words, expected) in [
            ("%C3%9CBERBLICK", &["q3.pdf"][..]),
            ("uberblick+q3", &["q3.pdf"]),
            ("uberblick+x", &[]),
            ("ubersicht", &["u\u{308}bersicht 100%_'\\.txt"]),
            ("100%25_%27%5C", &["u\u{308}bersicht 100%_'\\.txt"]),
            ("finanzen", &["Finanzen"]),
            ("JAHR", &["Jahr"]),
            ("%25", &["u\u{308}bersicht 100%_'\\.txt"]),
            ("a+b+c+d+e+f+g+h+i+j", &[]),
        ] {
            assert_eq!(shown(&editor, &format!("/?q={words}")).await, expected, "{words}");
        }
        // The JSON list is one of files.
        assert_eq!(listed(&editor, "?q=finanzen").await.1, 0);
    }

    async fn every_column_sorts_both_ways_and_equal_values_stay_in_order(app: TestApp) {
        let editor = app.signed_in_as(Role::Editor).await;
        for name in ["a", "b", "c"] {
            Form::new().file(&format!("{name}.txt"), name.repeat(3)).publish(&editor).await.expect(201);
        }
        app.write("d.txt", "d");
        editor.get("/api/files/b.txt").await.expect(200);
        app.eventually("the count", async || {
            row(&app, "b.txt").await.unwrap().downloads == 1
        }).await;
        for (sort, expected) in [
            ("downloads", "acdb"),
            ("-downloads", "bdca"),
            ("size", "dabc"),
            ("-size", "cbad"),
            ("owner", "dabc"),
            ("-owner", "cbad"),
            ("-name", "dcba"),
        ] {
            let names = shown(&editor, &format!("/?sort={sort}")).await.concat().replace(".txt", "");
            assert_eq!(names, expected, "{sort}");
            assert_eq!(listed(&editor, &format!("?sort={sort}")).await.0.concat().replace(".txt", ""), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sorting_and_turning_pages_is_by_plain_links_that_keep_the_rest_of_the_address() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    for number in 0..250 {
        app.write(&format!("a & b/{number}.txt"), "");
    }
    let page = reader
        .navigate("/?folder=a+%26+b&sort=-size&page=2")
        .await
        .expect(200)
        .text();
    for part in [
        "href=\"/?folder=a%20%26%20b&#38;sort=-size&#38;page=3\"",
        "href=\"/?folder=a%20%26%20b&#38;sort=-size\"",
        "href=\"/?folder=a%20%26%20b&#38;sort=size\"",
        "href=\"/?folder=a%20%26%20b&#38;sort=-downloads\"",
        "aria-sort=\"descending\"",
        "101 to 200 of 250",
    ] {
        assert!(page.contains(part), "no {part}: {page}");
    }
    assert!(!page.contains("<script"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_too_long_to_be_listed_is_served_and_hides_nothing_else() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    let long = [
        "x".repeat(250),
        "y".repeat(250),
        "z".repeat(250),
        "w".repeat(250),
        "v".repeat(250),
    ]
    .join("/");
    app.write(&format!("{long}/deep.txt"), "deep");
    app.write("a.txt", "a");
    assert_eq!(listed(&reader, "").await.0, ["a.txt"]);
    let url = format!("/api/files/{long}/deep.txt");
    assert_eq!(reader.get(&url).await.expect(200).text(), "deep");
    let editor = app.signed_in_as(Role::Editor).await;
    let form = Form::new().text("folder", &long).file("b.txt", "b");
    form.publish(&editor).await.expect(422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_file_has_an_icon_that_is_there() {
    let app = TestApp::start(Backend::Sqlite).await;
    let reader = app.signed_in_as(Role::Reader).await;
    std::fs::create_dir(app.files().join("folder")).unwrap();
    let endings = [
        "pdf", "xlsx", "PNG", "zip", "txt", "mp3", "mp4", "pptx", "exe",
    ];
    for ending in endings {
        app.write(&format!("a.{ending}"), "x");
    }
    let page = reader.navigate("/").await.expect(200).text();
    let sprite = include_str!("../../static/icons.svg");
    let mut kinds = std::collections::BTreeSet::new();
    for row in crate::downloads::page::rows(&page) {
        let icon = row.html.split_once("<use href=\"").unwrap().1;
        let (_, icon) = icon.split_once('"').unwrap().0.split_once('#').unwrap();
        assert!(
            sprite.contains(&format!("id=\"{icon}\"")),
            "{} has the icon {icon}, which is not there",
            row.name
        );
        kinds.insert(icon.to_owned());
    }
    assert_eq!(kinds.len(), endings.len() + 1, "{kinds:?}");
}
