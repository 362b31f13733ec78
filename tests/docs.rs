//! The documents stay true: every test that they name exists, and every link leads somewhere.

use std::path::PathBuf;

use portcullis::roles::Role;
use tokio::process::Command;

use crate::bad_input::raw;
use crate::support::app::TestApp;
use crate::support::client::Browser;
use crate::support::database::Backend;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/deploy"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(found.len() > 3, "{found:?}");
    found
}

/// Where the module of a test lies: `a::b::name` in `tests/a/b.rs` or `tests/a.rs`, with `mod b` or without; and
/// `a::b::tests::name` beside what it tests, in `src/a/b.rs`.
fn has_test(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split("::").collect();
    let test = parts.pop().unwrap();
    let place = match parts.pop_if(|part| *part == "tests") {
        Some(_) => "src",
        None => "tests",
    };
    let module = root().join(place).join(parts.join("/"));
    let source = std::fs::read_to_string(module.with_extension("rs")).unwrap_or_default();
    source.contains(&format!("fn {test}("))
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains("::"))
        .collect();
    assert!(named.len() > 40, "{}", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !has_test(name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn only_what_is_meant_for_other_programs_is_in_the_librarys_documentation() {
    let source = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let shown: Vec<&str> = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("pub mod ") && pair[0] != "#[doc(hidden)]")
        .map(|pair| pair[1])
        .collect();
    assert_eq!(shown, ["pub mod embed;"]);
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut dead = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            let elsewhere = target.contains("://") || file.is_empty();
            if !elsewhere && !document.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn files_that_the_documents_name_exist() {
    let mut named = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        // A name may stand in a command, which only says it between the quotes of its line.
        let codes = text.split('`').filter(|code| code.starts_with("docs/"));
        for name in codes {
            let name = name.split_whitespace().next().unwrap();
            assert!(root().join(name).exists(), "{}: {name}", document.display());
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn each_threat_names_its_test() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.filter(|row| !row.starts_with("| threat |")).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, _, tests] = cells[..] else {
            panic!("not three cells: {row}");
        };
        assert!(
            tests.contains("::") && tests.contains('`'),
            "no test: {row}"
        );
    }
}

/// The block of the README in which that line stands, after it.
fn recipe(line: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks = readme.split("```sh\n").skip(1);
    let block = blocks.find(|block| block.contains(line)).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// Runs a recipe as it stands, for this portal, and ends at whatever fails; what it printed.
async fn run(app: &TestApp, browser: &Browser, recipe: &str) -> String {
    let recipe = recipe.replace("https://files.contoso.com", &app.url);
    let strict =
        "set -euo pipefail; curl() { command curl --silent --show-error --fail-with-body \"$@\"; }";
    let output = Command::new("bash")
        .args(["-c", &format!("{strict}\n{recipe}")])
        .env("PORTAL", &app.url)
        .env("COOKIE", raw::cookie(browser))
        .env("SESSION", browser.cookie("session").unwrap())
        .current_dir(app.folder())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{recipe}\n{said}\n{errors}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recipe_for_changes_does_what_it_says() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    for path in ["Finance/draft.txt", "Finance/old.txt", "Finance/2026/x.txt"] {
        app.write(path, "figures");
    }
    app.indexed().await;
    // The recipe brings the seventh thing in the trash back.
    for number in 1..7 {
        let path = format!("{number}.txt");
        app.write(&path, "x");
        let deleted = format!("/api/items/{path}");
        crate::changing::send(&editor, "DELETE", &deleted, serde_json::Value::Null)
            .await
            .expect(200);
    }
    let said = run(&app, &editor, &recipe("/api/trash/7/restore")).await;
    assert!(said.contains("\"title\":\"The year\""), "{said}");
    assert!(app.files().join("Finance/2026/final.txt").exists());
    assert!(app.files().join("Finance/2027").is_dir());
    assert!(app.files().join("Finance/old.txt").exists(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recipe_for_uploads_in_pieces_publishes() {
    let app = TestApp::start(Backend::Sqlite).await;
    let editor = app.signed_in_as(Role::Editor).await;
    let content = crate::downloads::noise(300_000);
    std::fs::write(app.folder().join("report.pdf"), &content).unwrap();
    let said = run(&app, &editor, &recipe("tus() {")).await;
    assert!(
        said.contains("upload-item: /api/files/Finance/2026/report.pdf"),
        "{said}"
    );
    let published = std::fs::read(app.files().join("Finance/2026/report.pdf"));
    assert!(published.unwrap() == content, "other bytes arrived");
}
