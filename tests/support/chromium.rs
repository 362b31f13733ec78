//! A real browser: headless Chromium behind chromedriver, with a new profile and a download folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;

use super::database::free_port;

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

    /// Ends it.
    pub async fn close(self) {
        self.window.clone().close().await.unwrap();
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
