//! A browser as far as HTTP goes: keeps cookies per origin, follows redirects when told to, sends what a navigation sends.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use url::Url;

/// One browser profile.
pub struct Browser {
    http: reqwest::Client,
    base: Url,
    jar: Mutex<BTreeMap<(String, String), String>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub url: Url,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("")
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// Panics with the whole answer when the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{} {:?}\n{}",
            self.url,
            self.headers,
            self.text()
        );
        self
    }
}

/// A client for this machine. It reads no certificates of the system, which takes longer than many a test's requests.
pub fn plain_http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap()
}

impl Browser {
    /// A new profile that has `base` open.
    pub fn new(base: &str) -> Self {
        Self {
            http: plain_http(),
            base: base.parse().unwrap(),
            jar: Mutex::default(),
        }
    }

    /// Asks for an address as it stands: no header but the cookies.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// Opens an address as a person does.
    pub async fn navigate(&self, path: &str) -> Reply {
        self.send(
            Method::GET,
            path,
            &[
                ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-fetch-site", "none"),
            ],
            Vec::new(),
        )
        .await
    }

    /// Opens an address and goes wherever it leads, at most ten steps.
    pub async fn follow(&self, path: &str) -> Reply {
        let mut reply = self.navigate(path).await;
        for _ in 0..10 {
            if !(300..400).contains(&reply.status) {
                return reply;
            }
            let next = reply.url.join(reply.location()).unwrap();
            reply = self.navigate(next.as_str()).await;
        }
        panic!("a redirect loop, last at {}", reply.url);
    }

    /// A same-origin form post, as a script or form of ours sends it.
    pub async fn post(&self, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = [("sec-fetch-site", "same-origin"), ("content-type", kind)];
        self.send(Method::POST, path, &headers, body.into()).await
    }

    /// Any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let reply = self.try_send(method, path, headers, body).await;
        reply.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Any request, to a portal that may end before it answers.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, reqwest::Error> {
        let url = self.base.join(path).unwrap();
        let mut request = self.http.request(method, url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies = self.cookies(&url);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let response = request.send().await?;
        self.keep(&url, response.headers());
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            url,
            body: response.bytes().await.map(Vec::from).unwrap_or_default(),
        })
    }

    /// A cookie of the portal's.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let jar = self.jar.lock().unwrap();
        jar.get(&(origin(&self.base), name.to_owned())).cloned()
    }

    /// Sets a cookie of the portal's, or takes it away.
    pub fn set_cookie(&self, name: &str, value: Option<&str>) {
        let mut jar = self.jar.lock().unwrap();
        let key = (origin(&self.base), name.to_owned());
        match value {
            Some(value) => jar.insert(key, value.to_owned()),
            None => jar.remove(&key),
        };
    }

    /// A second profile with the same cookies: what a thief of cookies has.
    pub fn copy(&self) -> Self {
        let copy = Self::new(self.base.as_str());
        copy.jar
            .lock()
            .unwrap()
            .extend(self.jar.lock().unwrap().clone());
        copy
    }

    fn cookies(&self, url: &Url) -> String {
        let jar = self.jar.lock().unwrap();
        let ours = jar.iter().filter(|((host, _), _)| *host == origin(url));
        let pairs: Vec<String> = ours
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep(&self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let key = (origin(url), name.to_owned());
            let mut jar = self.jar.lock().unwrap();
            match attributes.contains("Max-Age=0") {
                true => jar.remove(&key),
                false => jar.insert(key, value.to_owned()),
            };
        }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
