//! Downloads in a real browser: every name arrives on the disk as the catalogue shows it, and a download that broke goes
//! on by the browser's own Resume.

use std::time::{Duration, Instant};

use portcullis::roles::Role;

use super::noise;
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;
use crate::support::line::Line;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explore_names() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(ADA, Role::Reader).await;
    for (n, name) in super::names::nasty().iter().enumerate() {
        app.write(&format!("f{n:02}/{name}"), name);
    }
    let browser = Chromium::start(true).await.unwrap();
    browser.open(&app.url).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{}/", app.url)).await;
    for (n, name) in super::names::nasty().iter().enumerate() {
        browser.open(&format!("{}/?folder=f{n:02}", app.url)).await;
        browser.click("a.name").await;
        let began = Instant::now();
        loop {
            let files = browser.files();
            if files.len() == 1 && !files[0].ends_with("crdownload") {
                let same = if files[0] == *name { "same" } else { "DIFF" };
                println!("{same} {name:?} -> {:?} {}", files[0], files[0].len());
                std::fs::remove_file(browser.downloads.join(&files[0])).unwrap();
                break;
            }
            if began.elapsed() > Duration::from_secs(8) {
                println!("NONE {name:?} {files:?}");
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explore_resume() {
    let line = Line::lay().await;
    let url = format!("http://localhost:{}", line.port);
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_REDIRECT_URI", &format!("{url}/callback"))
        .start()
        .await;
    app.emulator
        .register_redirect_uri(&format!("{url}/callback"));
    line.lead_to(app.port);
    app.grant(ADA, Role::Reader).await;
    let content = noise(40_000_000);
    app.write("big.bin", &content);
    let browser = Chromium::start(true).await.unwrap();
    browser.open(&url).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{url}/")).await;
    line.set_slow(true);
    browser.click_link("big.bin").await;
    app.eventually("it begins", async || {
        let part = browser.downloads.join("big.bin.crdownload");
        println!("{:?}", browser.files());
        std::fs::read_dir(&browser.downloads)
            .unwrap()
            .any(|f| f.unwrap().metadata().unwrap().len() > 1_000_000)
            || part.exists() && part.metadata().unwrap().len() > 1_000_000
    })
    .await;
    line.cut();
    tokio::time::sleep(Duration::from_secs(2)).await;
    browser.open("chrome://downloads").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let js = "const walk = (root, depth) => { let out=''; for (const e of root.querySelectorAll('*')) { if (e.id) out += ' '.repeat(depth)+e.tagName+'#'+e.id+(e.hidden?' hidden':'')+'\\n'; if (e.shadowRoot) out += walk(e.shadowRoot, depth+1);} return out; }; return walk(document, 0)";
    let dom = browser.window.execute(js, Vec::new()).await.unwrap();
    println!("{}", dom.as_str().unwrap());
    println!("{:?}", browser.files());
    browser.close().await;
}
