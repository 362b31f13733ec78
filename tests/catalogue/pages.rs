//! Pages of the list: totals, order, search, and addresses that stay good.

use portcullis::roles::Role;

use super::{listed, row, shown};
use crate::publishing::form::Form;
use crate::support::app::TestApp;
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
