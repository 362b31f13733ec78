//! A real browser: headless Chromium behind chromedriver, with a new profile and a download folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

use super::database::free_port;

/// Widths of the window, and whether it is dark: a desk in light and a phone in the dark, and with `PORTCULLIS_SHAPES=all`
/// the other two as well. The last is the first that a window has.
pub fn shapes() -> &'static [(u32, bool)] {
    const ALL: [(u32, bool); 4] = [(1200, true), (390, false), (390, true), (1200, false)];
    match std::env::var_os("PORTCULLIS_SHAPES") {
        Some(_) => &ALL,
        None => &ALL[2..],
    }
}

/// One window.
pub struct Chromium {
    pub window: Client,
    pub downloads: PathBuf,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts it, or says loudly that it cannot be had.
    pub async fn start(javascript: bool) -> Option<Self> {
        let driver_port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={driver_port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                super::left_out("browser", &format!("chromedriver does not start: {error}"));
                return None;
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let downloads = profile.path().join("downloads");
        std::fs::create_dir(&downloads).unwrap();
        let window = connect(driver_port, profile.path(), &downloads, javascript).await;
        Some(Self {
            window,
            downloads,
            driver,
            _profile: profile,
        })
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.window.goto(url).await.unwrap();
    }

    /// Clicks what the CSS selector finds, once it is there.
    pub async fn click(&self, css: &str) {
        let found = self
            .window
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::Css(css));
        found
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
            .click()
            .await
            .unwrap();
    }

    /// Clicks the link with that text, once it is there.
    pub async fn click_link(&self, text: &str) {
        let path = format!("//a[contains(normalize-space(.), \"{text}\")]");
        let found = self
            .window
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::XPath(&path));
        found
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .click()
            .await
            .unwrap();
    }

    /// Waits for an address.
    pub async fn arrive(&self, url: &str) {
        let began = Instant::now();
        loop {
            let here = self.window.current_url().await.unwrap();
            if here.as_str() == url {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "at {here} instead of {url}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a download to be complete, and returns its content.
    pub async fn downloaded(&self, name: &str) -> Vec<u8> {
        let began = Instant::now();
        let file = self.downloads.join(name);
        loop {
            let unfinished = self
                .files()
                .iter()
                .any(|name| name.ends_with(".crdownload"));
            if file.exists() && !unfinished {
                let content = std::fs::read(&file).unwrap();
                std::fs::remove_file(&file).unwrap();
                return content;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{name} is not among {:?}",
                self.files()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Names in the download folder.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.downloads).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Bytes of the largest file in the download folder, complete or not.
    pub fn received(&self) -> u64 {
        let entries = std::fs::read_dir(&self.downloads).unwrap();
        let sizes = entries.filter_map(|entry| entry.unwrap().metadata().ok());
        sizes.map(|found| found.len()).max().unwrap_or(0)
    }

    /// Presses a key: a character, or one of [`fantoccini::key::Key`].
    pub async fn press(&self, key: impl Into<char>) {
        use fantoccini::actions::{InputSource, KeyAction, KeyActions};
        let value = key.into();
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.window.perform_actions(keys).await.unwrap();
    }

    /// Types a text, key by key, to whatever has the focus.
    pub async fn keys(&self, text: &str) {
        for key in text.chars() {
            self.press(key).await;
        }
    }

    /// Tabs on until what the CSS selector finds has the focus.
    pub async fn tab_to(&self, css: &str) {
        let wanted = self.window.find(Locator::Css(css)).await;
        let wanted = wanted.unwrap_or_else(|error| panic!("{css}: {error}"));
        for _ in 0..200 {
            self.press(fantoccini::key::Key::Tab).await;
            let focused = self.window.active_element().await.unwrap();
            if focused.element_id() == wanted.element_id() {
                return;
            }
        }
        panic!("the keyboard does not reach {css}");
    }

    /// Waits until the page has a heading that contains the text.
    pub async fn heading(&self, text: &str) {
        let path = format!("//h1[contains(normalize-space(.), \"{text}\")]");
        let found = self
            .window
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::XPath(&path))
            .await;
        if found.is_err() {
            let source = self.window.source().await.unwrap();
            panic!("no heading {text:?} in {source}");
        }
    }

    /// Makes the window so wide (CSS pixels), in light or dark, and without motion: axe would see a colour halfway.
    pub async fn emulate(&self, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true }))
            .await;
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// What axe finds wrong with the page, one line a violation. Empty, and said loudly, without axe.
    pub async fn violations(&self) -> Vec<String> {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/node_modules/axe-core/axe.min.js"
        );
        let Ok(axe) = std::fs::read_to_string(file) else {
            super::left_out("axe", "axe-core is not installed: npm ci --prefix tests");
            return Vec::new();
        };
        self.window.execute(&axe, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
            axe.run().then(r => done(r.violations.map(v =>
                v.id + ': ' + v.help + ' at ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' (' + (n.any[0]?.message ?? n.all[0]?.message ?? '') + ')').join(', '))));";
        let found = self.window.execute_async(run, Vec::new()).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// The whole page as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", whole).await;
        let text = answer["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap()
    }

    /// A command of Chromium's own protocol.
    pub async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        let command = DevTools(json!({ "cmd": command, "params": parameters }));
        self.window.issue_cmd(command).await.unwrap()
    }

    /// Ends it.
    pub async fn close(self) {
        self.window.clone().close().await.unwrap();
    }
}

/// A command of Chromium's own protocol, by way of chromedriver.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or("")
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.0.to_string()))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

async fn connect(port: u16, profile: &Path, downloads: &Path, javascript: bool) -> Client {
    let script = if javascript { 1 } else { 2 };
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--window-size=1200,900",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!(
        "--user-data-dir={}",
        profile.join("profile").display()
    ));
    let options = json!({
        "args": arguments,
        "prefs": {
            "download.default_directory": downloads,
            "download.prompt_for_download": false,
            "profile.managed_default_content_settings.javascript": script,
        },
    });
    let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": options });
    let connector = hyper_util::client::legacy::connect::HttpConnector::new();
    let began = Instant::now();
    loop {
        let connected = ClientBuilder::new(connector.clone())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        match connected {
            Ok(window) => return window,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
