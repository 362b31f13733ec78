//! The page in a real browser: several files by the plain form, and with a script a bar, a line that breaks, and a question.

use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::Locator;
use portcullis::roles::Role;
use serde_json::json;

use crate::downloads::noise;
use crate::pages::{keep_picture, wider_than_its_window};
use crate::publishing::assert_on_disk;
use crate::support::app::{TestApp, account};
use crate::support::chromium::{Chromium, shapes};
use crate::support::database::Backend;
use crate::support::line::Line;

/// Signs the editor in, and opens the page.
async fn open(browser: &Chromium, app: &TestApp, base: &str) {
    let page = format!("{base}/publish");
    browser.open(&page).await;
    let email = account(Some(Role::Editor));
    browser.click(&format!("button[value=\"{email}\"]")).await;
    browser.arrive(&page).await;
    assert_eq!(app.emulator.counts().logout, 0);
}

/// Chooses files, as a person does in the dialogue.
async fn choose(browser: &Chromium, files: &[&Path]) {
    let input = browser.window.find(Locator::Css("#file")).await.unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    input.send_keys(&names.join("\n")).await.unwrap();
}

/// Makes the browser's line as slow as that, in bytes a second.
async fn upload_at(browser: &Chromium, speed: u32) {
    let network = json!({ "offline": false, "latency": 5, "downloadThroughput": 4_000_000, "uploadThroughput": speed });
    browser.devtools("Network.enable", json!({})).await;
    browser
        .devtools("Network.emulateNetworkConditions", network)
        .await;
}

/// What stands in the list of files on their way.
async fn list(browser: &Chromium) -> String {
    let script = "return document.getElementById('uploads').innerText";
    let text = browser.window.execute(script, Vec::new()).await.unwrap();
    text.as_str().unwrap_or("").to_owned()
}

async fn shows(browser: &Chromium, text: &str) -> String {
    let began = Instant::now();
    loop {
        let list = list(browser).await;
        if list.contains(text) {
            return list;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no {text:?} in {list:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn press(browser: &Chromium, label: &str) {
    let path =
        format!("//*[contains(@class, 'button')][starts-with(normalize-space(.), '{label}')]");
    let button = browser.window.find(Locator::XPath(&path)).await;
    button.unwrap().click().await.unwrap();
}

/// Looks at the page as it stands in each shape, with axe.
async fn look_at(browser: &Chromium, name: &str) {
    for &(width, dark) in shapes() {
        browser.emulate(width, dark).await;
        let shape = format!("{name}-{width}{}", if dark { "-dark" } else { "" });
        assert_eq!(browser.violations().await, Vec::<String>::new(), "{shape}");
        let is_wider = wider_than_its_window(browser).await;
        assert!(!is_wider, "{shape} scrolls sideways");
        keep_picture(browser, &shape).await;
    }
}

/// Files to choose, outside the portal.
fn files(folder: &Path, names: &[(&str, usize)]) -> Vec<std::path::PathBuf> {
    let write = |(name, size): &(&str, usize)| {
        let file = folder.join(name);
        std::fs::write(&file, noise(*size)).unwrap();
        file
    };
    names.iter().map(write).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_script_several_files_are_published_by_the_form() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    app.write("b.txt", "old");
    let Some(browser) = Chromium::start(false).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    let chosen = files(app.folder(), &[("a.txt", 1_000), ("b.txt", 2_000)]);
    choose(&browser, &[&chosen[0], &chosen[1]]).await;
    browser.click("form button[type=submit]").await;
    browser.heading("What became of your files").await;
    let page = browser.window.source().await.unwrap();
    assert!(page.contains("1 of 2 files was published"), "{page}");
    assert!(page.contains("There is a file “b.txt” already."), "{page}");
    assert_on_disk(&app, &["a.txt", "b.txt"], "one of them new");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_that_says_what_became_of_files_shuts_nobody_out() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    app.write("b.txt", "old");
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    let long = format!("{}.txt", "Quarterly".repeat(25));
    let chosen = files(
        app.folder(),
        &[("a.txt", 1_000), ("b.txt", 2_000), (&long, 3)],
    );
    choose(&browser, &[&chosen[0], &chosen[1], &chosen[2]]).await;
    // As without our script, which listens to the button; axe is a script itself.
    let send =
        "HTMLFormElement.prototype.submit.call(document.querySelector('form[data-uploads]'))";
    browser.window.execute(send, Vec::new()).await.unwrap();
    browser.heading("What became of your files").await;
    look_at(&browser, "published").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_script_a_file_goes_on_after_the_line_broke_and_asks_before_it_replaces() {
    let line = Line::lay().await;
    let outside = format!("http://localhost:{}", line.port);
    let app = TestApp::builder(Backend::Sqlite)
        .with("APP_REG_REDIRECT_URI", &format!("{outside}/callback"))
        .start()
        .await;
    app.emulator
        .register_redirect_uri(&format!("{outside}/callback"));
    line.lead_to(app.port);
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    app.write("small.txt", "old");
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &outside).await;
    assert_eq!(browser.violations().await, Vec::<String>::new());
    let chosen = files(
        app.folder(),
        &[("large.bin", 12_000_000), ("small.txt", 1_000)],
    );
    // So slow that it is not done before everything was looked at.
    upload_at(&browser, 100_000).await;
    choose(&browser, &[&chosen[0], &chosen[1]]).await;
    browser.click("form button[type=submit]").await;

    let asked = shows(&browser, "There is a file “small.txt” already.").await;
    assert!(asked.contains("Replace it"), "{asked}");
    shows(&browser, "left").await;
    look_at(&browser, "uploading").await;
    line.cut();
    shows(&browser, "The line broke.").await;
    look_at(&browser, "broken").await;
    assert_eq!(
        std::fs::read(app.files().join("small.txt")).unwrap(),
        b"old"
    );
    upload_at(&browser, 2_000_000).await;
    line.mend();
    shows(&browser, "a second").await;
    press(&browser, "Replace it").await;
    let began = Instant::now();
    while list(&browser).await.matches("Published.").count() < 2 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{}",
            list(&browser).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    look_at(&browser, "done").await;
    assert!(std::fs::read(app.files().join("large.bin")).unwrap() == noise(12_000_000));
    assert!(std::fs::read(app.files().join("small.txt")).unwrap() == noise(1_000));
    assert_on_disk(&app, &["large.bin", "small.txt"], "both");

    // The session ends while the page is open: signing in elsewhere lets it go on.
    let late = files(app.folder(), &[("late.txt", 500)]);
    browser.window.delete_cookie("session").await.unwrap();
    choose(&browser, &[&late[0]]).await;
    browser.click("form button[type=submit]").await;
    let ended = shows(&browser, "Your session has ended.").await;
    assert!(ended.contains("Sign in in a new tab"), "{ended}");
    let here = browser.window.window().await.unwrap();
    let tab = browser.window.new_window(true).await.unwrap();
    browser.window.switch_to_window(tab.handle).await.unwrap();
    browser.open(&format!("{outside}/publish")).await;
    browser.arrive(&format!("{outside}/publish")).await;
    browser.window.close_window().await.unwrap();
    browser.window.switch_to_window(here).await.unwrap();
    let began = Instant::now();
    while !app.files().join("late.txt").exists() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}",
            list(&browser).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_leaves_no_names_of_unfinished_uploads_in_the_browser() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    let kept = async || {
        let script = "return Object.entries(localStorage).join()";
        let text = browser.window.execute(script, Vec::new()).await.unwrap();
        text.as_str().unwrap().to_owned()
    };
    upload_at(&browser, 100_000).await;
    let chosen = files(app.folder(), &[("Secret plan.bin", 6_000_000)]);
    choose(&browser, &[&chosen[0]]).await;
    browser.click("form button[type=submit]").await;
    shows(&browser, "left").await;
    let before = kept().await;
    assert!(
        before.contains("Secret plan.bin") && before.contains("/api/uploads/"),
        "{before}"
    );
    browser.open(&format!("{}/logout", app.url)).await;
    browser.arrive(&format!("{}/signed-out", app.url)).await;
    assert_eq!(kept().await, "");
    // The next one signs in as ever.
    let again = format!("{}/login?redirect_uri=/publish", app.url);
    browser.open(&again).await;
    let email = account(Some(Role::Editor));
    browser.click(&format!("button[value=\"{email}\"]")).await;
    browser.arrive(&format!("{}/publish", app.url)).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_dropped_onto_the_page() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    let drop = "const data = new DataTransfer();
        data.items.add(new File(['first'], 'a.txt')); data.items.add(new File(['second'], 'b.txt'));
        const event = (kind) => document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        event('dragenter'); event('dragover'); event('drop');
        return document.getElementById('file').files.length";
    let count = browser.window.execute(drop, Vec::new()).await.unwrap();
    assert_eq!(count, json!(2));
    browser.click("form button[type=submit]").await;
    let began = Instant::now();
    while list(&browser).await.matches("Published.").count() < 2 {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{}",
            list(&browser).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_on_disk(&app, &["a.txt", "b.txt"], "dropped");
    assert_eq!(std::fs::read(app.files().join("b.txt")).unwrap(), b"second");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bar_moves_and_cancel_leaves_nothing_behind() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    let network = json!({ "offline": false, "latency": 5, "downloadThroughput": 4_000_000, "uploadThroughput": 500_000 });
    browser.devtools("Network.enable", json!({})).await;
    browser
        .devtools("Network.emulateNetworkConditions", network)
        .await;
    let chosen = files(app.folder(), &[("large.bin", 20_000_000)]);
    choose(&browser, &[&chosen[0]]).await;
    browser.click("form button[type=submit]").await;
    shows(&browser, "left").await;
    let bar = async || {
        let script = "return document.querySelector('#uploads progress').value";
        let value = browser.window.execute(script, Vec::new()).await.unwrap();
        value.as_f64().unwrap()
    };
    let first = bar().await;
    assert!(first > 0.0 && first < 20_000_000.0, "{first}");
    app.eventually("the bar moves on", async || bar().await > first)
        .await;
    let uploads = || {
        let room = std::fs::read_dir(app.files().join(".portcullis/uploads"));
        room.map_or(0, |entries| entries.count())
    };
    assert_eq!(uploads(), 1);
    // That of the file; the form has one of its own, which leaves the page.
    browser.click("#uploads .actions button").await;
    app.eventually("its bytes are gone", async || uploads() == 0)
        .await;
    let rows = "SELECT count(*) AS count FROM dim.uploads";
    assert_eq!(crate::catalogue::count(&app, rows).await, 0);
    let list = list(&browser).await;
    assert!(!list.contains("large.bin"), "nothing is on its way: {list}");
    assert_on_disk(&app, &[], "cancelled");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_replaced_on_the_page_that_shows_what_goes_and_large_ones_go_in_pieces() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    app.write("data.bin", "old");
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    browser
        .open(&format!("{}/item?path=data.bin", app.url))
        .await;
    browser.click_link("Replace").await;
    browser.heading("Replace this file?").await;
    look_at(&browser, "replace").await;
    // How large the bodies are in which the script sends them.
    let spy = "window.sizes = []; const send = XMLHttpRequest.prototype.send;
        XMLHttpRequest.prototype.send = function (body) { window.sizes.push(body ? body.size : 0); return send.call(this, body); }";
    browser.window.execute(spy, Vec::new()).await.unwrap();
    let size = 40 * 1024 * 1024;
    let chosen = files(app.folder(), &[("data (1).bin", size)]);
    choose(&browser, &[&chosen[0]]).await;
    browser.click("#overwrite").await;
    browser.click("form button[type=submit]").await;
    shows(&browser, "Published.").await;
    let sizes = browser
        .window
        .execute("return window.sizes", Vec::new())
        .await;
    let sizes: Vec<u64> = serde_json::from_value(sizes.unwrap()).unwrap();
    let piece = 32 * 1024 * 1024;
    assert!(sizes.iter().all(|size| *size <= piece), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), size as u64, "{sizes:?}");
    assert!(std::fs::read(app.files().join("data.bin")).unwrap() == noise(size));
    assert_on_disk(&app, &["data.bin"], "replaced");
    // What somebody else changed meanwhile stays.
    browser
        .open(&format!("{}/item/replace?path=data.bin", app.url))
        .await;
    app.write("data.bin", "somebody else's");
    let chosen = files(app.folder(), &[("data.bin", 1_000)]);
    choose(&browser, &[&chosen[0]]).await;
    browser.click("#overwrite").await;
    browser.click("form button[type=submit]").await;
    shows(&browser, "nothing was changed").await;
    let content = std::fs::read(app.files().join("data.bin")).unwrap();
    assert_eq!(content, b"somebody else's");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_between_that_refuses_is_named_and_not_taken_for_a_broken_line() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.grant(account(Some(Role::Editor)), Role::Editor).await;
    let Some(browser) = Chromium::start(true).await else {
        return;
    };
    open(&browser, &app, &app.url).await;
    // What nginx says to a body that is larger than `client_max_body_size`.
    let between = "const open = XMLHttpRequest.prototype.open;
        XMLHttpRequest.prototype.open = function (...rest) { open.apply(this, rest);
            Object.defineProperty(this, 'status', { get: () => (this.readyState < 2 ? 0 : 413) });
            Object.defineProperty(this, 'responseText', { get: () => '<html><h1>413 Request Entity Too Large</h1></html>' }); }";
    browser.window.execute(between, Vec::new()).await.unwrap();
    let chosen = files(app.folder(), &[("a.bin", 1_000)]);
    choose(&browser, &[&chosen[0]]).await;
    browser.click("form button[type=submit]").await;
    let list = shows(&browser, "in front of the portal").await;
    assert!(
        list.contains("(413)") && !list.contains("cannot be reached"),
        "{list}"
    );
    browser.close().await;
}
