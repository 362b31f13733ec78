//! Downloads in a real browser: every name arrives on the disk as the catalogue shows it, and a download that broke goes
//! on by the browser's own Resume.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use portcullis::roles::Role;

use super::names::nasty;
use super::noise;
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;
use crate::support::line::Line;

/// Chromium saves nothing longer: its own ending for what is not complete has to fit as well.
const LONGEST: usize = 255 - ".crdownload".len();

/// What Chromium makes of names that it holds to be dangerous on some system, whatever site they come from. Umlauts it
/// composes.
const CHANGED: [(&str, &str); 17] = [
    ("mu\u{308}ller decomposed.txt", "m\u{fc}ller decomposed.txt"),
    (" leading and trailing ", "leading and trailing_"),
    ("quote\".txt", "quote_.txt"),
    ("a?b=c&d=e.txt", "a_b=c&d=e.txt"),
    ("a:b.txt", "a_b.txt"),
    ("a*b.txt", "a_b.txt"),
    ("back\\slash.txt", "back_slash.txt"),
    ("<b>bold&amp;<b>.txt", "_b_bold&amp;_b_.txt"),
    (
        "x\" onmouseover=\"alert(1).txt",
        "x_ onmouseover=_alert(1).txt",
    ),
    ("line\nbreak.txt", "line_break.txt"),
    (
        "carriage\r\nSet-Cookie: a=b.txt",
        "carriage__Set-Cookie_ a=b.txt",
    ),
    ("tab\tand\u{7f}delete.txt", "tab_and_delete.txt"),
    ("😀 👩\u{200d}👩\u{200d}👧.zip", "😀 👩_👩_👧.zip"),
    ("right\u{202e}to left.txt", "right_to left.txt"),
    ("dots...", "dots"),
    ("~tilde", "_tilde"),
    ("\u{10ffff}.txt", "_.txt"),
];

/// Chromium, signed in.
async fn signed_in(app: &TestApp, url: &str) -> Option<Chromium> {
    app.grant(ADA, Role::Reader).await;
    let browser = Chromium::start(true).await?;
    browser.open(url).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{url}/")).await;
    Some(browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_is_on_the_disk_as_in_the_catalogue_after_a_click() {
    let app = TestApp::start(Backend::Sqlite).await;
    let mut names = nasty();
    names.retain(|name| name.len() <= LONGEST);
    names.push("a".repeat(LONGEST - 4) + ".txt");
    names.push("ü".repeat((LONGEST - 4) / 2) + ".txt");
    names.push("تقرير سنوي.pdf".to_owned());
    for name in &names {
        app.write(&format!("odd/{name}"), name);
    }
    let Some(browser) = signed_in(&app, &app.url).await else {
        return;
    };
    browser.open(&format!("{}/?folder=odd", app.url)).await;
    let links = browser.window.find_all(Locator::Css("a.name")).await;
    let links = links.unwrap();
    assert_eq!(links.len(), names.len());
    for link in links {
        let href = link.attr("href").await.unwrap().unwrap();
        let encoded = href.strip_prefix("/api/files/odd/").unwrap();
        let name = percent_encoding::percent_decode_str(encoded);
        let name = name.decode_utf8().unwrap().into_owned();
        assert!(names.contains(&name), "{name:?} is none of them");
        link.click().await.unwrap();
        let changed = CHANGED.iter().find(|(given, _)| *given == name);
        let saved = changed.map_or(name.as_str(), |(_, saved)| saved);
        let content = browser.downloaded(saved).await;
        assert_eq!(String::from_utf8(content).unwrap(), name);
    }
    browser.close().await;
}

/// Presses the Resume of the only download in Chromium's list of downloads, which lies in nested shadow trees.
async fn resume(browser: &Chromium) {
    const PRESS: &str = "
        const find = root => {
            for (const element of root.querySelectorAll('*')) {
                if (element.id === 'pause-or-resume') return element;
                const inside = element.shadowRoot && find(element.shadowRoot);
                if (inside) return inside;
            }
        };
        const button = find(document);
        if (!button || button.hidden || button.innerText.trim() !== 'Resume') return false;
        button.click();
        return true;";
    browser.open("chrome://downloads").await;
    let began = Instant::now();
    while browser.window.execute(PRESS, Vec::new()).await.unwrap() != true {
        assert!(began.elapsed() < Duration::from_secs(10), "no Resume");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_broke_goes_on_by_resume_after_the_session_ended_and_a_new_sign_in() {
    let line = Line::lay().await;
    let url = format!("http://localhost:{}", line.port);
    let callback = format!("{url}/callback");
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_REDIRECT_URI", &callback)
        .start()
        .await;
    app.emulator.register_redirect_uri(&callback);
    line.lead_to(app.port);
    let content = noise(20_000_000);
    app.write("big.bin", &content);
    let Some(browser) = signed_in(&app, &url).await else {
        return;
    };
    line.set_slow(true);
    browser.click_link("big.bin").await;
    app.eventually("the download begins", async || {
        browser.received() > 1_000_000
    })
    .await;
    line.cut();
    let first = app.audited("downloaded").await;
    assert_eq!(first.outcome, "broken_off");
    app.execute("UPDATE dim.sessions SET ended_at = 1").await;
    app.state.people.forget(ADA);
    line.set_slow(false);
    line.mend();
    // The provider still knows who it is, and asks nothing.
    browser.open(&format!("{url}/login")).await;
    browser.arrive(&format!("{url}/")).await;
    resume(&browser).await;
    assert!(
        browser.downloaded("big.bin").await == content,
        "the halves do not fit"
    );
    app.eventually("the second half is told as a part", async || {
        let rows = app.audit().await;
        rows.iter()
            .any(|row| row.outcome == "whole" && row.detail.contains("\"range\":\"bytes "))
    })
    .await;
    browser.close().await;
}
