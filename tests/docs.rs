//! The documents stay true: every test that they name exists, and every link leads somewhere.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/deploy"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(found.len() > 3, "{found:?}");
    found
}

/// Where the module of a test lies: `a::b::name` in `tests/a/b.rs` or `tests/a.rs`, with `mod b` or without.
fn has_test(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split("::").collect();
    let test = parts.pop().unwrap();
    let module = root().join("tests").join(parts.join("/"));
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
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    for name in text.split('`').filter(|code| code.starts_with("docs/")) {
        assert!(Path::new(&root()).join(name).exists(), "{name}");
    }
}
