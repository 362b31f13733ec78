//! In a real browser: every kind is seen and heard, and what is hostile shows or runs nothing.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis::roles::Role;
use serde_json::{Value, json};

use super::url;
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::database::Backend;
use crate::support::emulator::accounts::ADA;

/// Has the browser draw a picture, and encode it as each of the types that it can.
const PICTURES: &str = "
    const done = arguments[arguments.length - 1];
    const canvas = document.createElement('canvas');
    canvas.width = 64; canvas.height = 48;
    const context = canvas.getContext('2d');
    context.fillStyle = 'teal'; context.fillRect(8, 8, 40, 30);
    done(['image/png', 'image/jpeg', 'image/webp'].map(type => canvas.toDataURL(type)));";

/// Has the browser film what it draws for a second.
const FILM: &str = "
    const done = arguments[arguments.length - 1];
    const canvas = document.createElement('canvas');
    canvas.width = 64; canvas.height = 48;
    document.body.append(canvas);
    const context = canvas.getContext('2d');
    let hue = 0;
    const drawing = setInterval(() => { context.fillStyle = `hsl(${hue += 20} 80% 50%)`; context.fillRect(0, 0, 64, 48); }, 50);
    const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: 'video/webm' });
    const parts = [];
    recorder.ondataavailable = event => parts.push(event.data);
    recorder.onstop = () => {
        clearInterval(drawing);
        const reader = new FileReader();
        reader.onload = () => done(reader.result);
        reader.readAsDataURL(new Blob(parts));
    };
    recorder.start();
    setTimeout(() => recorder.stop(), 1000);";

/// What a hostile file would do, if anything in it ran.
const HOSTILE: &str = "document.title = 'RAN'; document.documentElement.dataset.ran = 'RAN'; \
                       fetch('/api/me/sign-out', { method: 'POST' });";

fn decoded(data_url: &Value) -> Vec<u8> {
    let text = data_url.as_str().unwrap();
    let (_, data) = text.split_once(";base64,").unwrap();
    BASE64_STANDARD.decode(data).unwrap()
}

/// A second of a tone, 8 bits, 8,000 times a second.
fn tone() -> Vec<u8> {
    let samples: Vec<u8> = (0..8_000_u32)
        .map(|at| if at / 9 % 2 == 0 { 96 } else { 160 })
        .collect();
    let mut wave = b"RIFF".to_vec();
    wave.extend((36 + 8_000_u32).to_le_bytes());
    wave.extend(b"WAVEfmt ");
    for number in [16_u32, 1 | 1 << 16, 8_000, 8_000, 1 | 8 << 16] {
        wave.extend(number.to_le_bytes());
    }
    wave.extend(b"data");
    wave.extend(8_000_u32.to_le_bytes());
    wave.extend(samples);
    wave
}

async fn signed_in(app: &TestApp) -> Option<Chromium> {
    app.grant(ADA, Role::Reader).await;
    let browser = Chromium::start(true).await?;
    browser.open(&app.url).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&format!("{}/", app.url)).await;
    Some(browser)
}

/// Asks the page until it says yes.
async fn becomes_true(browser: &Chromium, what: &str, script: &str) {
    let began = Instant::now();
    while browser.window.execute(script, Vec::new()).await.unwrap() != json!(true) {
        assert!(began.elapsed() < Duration::from_secs(15), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_seen_and_heard() {
    let app = TestApp::start(Backend::Sqlite).await;
    let Some(browser) = signed_in(&app).await else {
        return;
    };
    let made = browser
        .window
        .execute_async(PICTURES, Vec::new())
        .await
        .unwrap();
    for (index, name) in ["drawn.png", "drawn.jpg", "drawn.webp"]
        .into_iter()
        .enumerate()
    {
        app.write(name, decoded(&made[index]));
    }
    let film = browser
        .window
        .execute_async(FILM, Vec::new())
        .await
        .unwrap();
    app.write("film.webm", decoded(&film));
    app.write("tone.wav", tone());
    app.write(
        "one.gif",
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    );
    app.write(
        "drawing.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\"><circle cx=\"9\" cy=\"9\" r=\"9\"/></svg>",
    );
    app.write("notes.txt", "the words of the notes");
    let image = "const i = document.querySelector('.shown img'); return !!i && i.complete && i.naturalWidth > 0";
    let audio = "const a = document.querySelector('.shown audio'); return !!a && a.duration > 0.9";
    let video =
        "const v = document.querySelector('.shown video'); return !!v && v.videoWidth === 64";
    let text =
        "return document.querySelector('.shown pre')?.textContent === 'the words of the notes'";
    for (name, script) in [
        ("drawn.png", image),
        ("drawn.jpg", image),
        ("drawn.webp", image),
        ("one.gif", image),
        ("drawing.svg", image),
        ("tone.wav", audio),
        ("film.webm", video),
        ("notes.txt", text),
    ] {
        browser
            .open(&format!("{}{}", app.url, url("/preview/", name)))
            .await;
        becomes_true(&browser, name, script).await;
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_a_file_runs_whatever_it_is_called_and_however_it_is_opened() {
    let app = TestApp::start(Backend::Sqlite).await;
    let Some(browser) = signed_in(&app).await else {
        return;
    };
    let page = format!(
        "<!DOCTYPE html><title>x</title><script>{HOSTILE}</script><body onload=\"{HOSTILE}\">"
    );
    let drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"48\" onload=\"{HOSTILE}\"><script>{HOSTILE}</script><circle r=\"9\"/></svg>"
    );
    for name in [
        "a.html", "a.png", "a.txt", "a.xml", "a.mp4", "a.svg", "a.pdf", "a.bin",
    ] {
        let content = if name == "a.svg" { &drawing } else { &page };
        app.write(name, content);
        for address in [url("/preview/", name), url("/api/preview/", name)] {
            // What is only saved leaves the page where it is.
            browser.open(&format!("{}/account", app.url)).await;
            let _ = browser.window.goto(&format!("{}{address}", app.url)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let ran =
                "return document.title === 'RAN' || document.documentElement.dataset.ran === 'RAN'";
            let ran = browser.window.execute(ran, Vec::new()).await.unwrap();
            assert_eq!(ran, json!(false), "{address}");
        }
    }
    // None of them has ended the session either.
    browser.open(&format!("{}/account", app.url)).await;
    browser.arrive(&format!("{}/account", app.url)).await;
    let rows = app.audit().await;
    assert!(
        rows.iter().all(|row| row.action != "signed_out"),
        "{rows:?}"
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_ticked_by_keyboard_and_arrive_as_one_zip_without_javascript() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(ADA, Role::Reader).await;
    for path in ["z/a.txt", "z/b.txt", "z/c/d.txt", "z/e.txt"] {
        app.write(path, path);
    }
    let Some(browser) = Chromium::start(false).await else {
        return;
    };
    let list = format!("{}/?folder=z", app.url);
    browser.open(&list).await;
    browser.click(&format!("button[value=\"{ADA}\"]")).await;
    browser.arrive(&list).await;
    for path in ["z/c", "z/a.txt"] {
        browser.tab_to(&format!("input[value=\"{path}\"]")).await;
        browser.keys(" ").await;
    }
    browser.tab_to(".picked button").await;
    browser.press(fantoccini::key::Key::Enter).await;
    let file = app.folder().join("z.zip");
    std::fs::write(&file, browser.downloaded("z.zip").await).unwrap();
    let entries = crate::zip::read(&file);
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a.txt", "c/d.txt"]);
    browser.click_link("Download this folder as zip").await;
    std::fs::write(&file, browser.downloaded("z.zip").await).unwrap();
    assert_eq!(crate::zip::read(&file).len(), 4);
    browser.close().await;
}
