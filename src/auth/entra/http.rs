//! The HTTP client towards Entra: no redirects, ten seconds, one mebibyte, whatever the other side does.

use std::time::Duration;

use oauth2::{HttpRequest, HttpResponse};
use url::Url;

use crate::clock;

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST: usize = 1 << 20;

/// A client for documents and tokens.
pub struct Http {
    outside: reqwest::Client,
    /// For what is on this machine, and no proxy's business.
    platform: reqwest::Client,
}

/// What went wrong on the way, without addresses' queries or bodies, which may hold secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(String);

impl Http {
    pub fn new() -> Result<Self, String> {
        let builder = || {
            reqwest::Client::builder()
                // A redirect would send the client's proof elsewhere (RFC 9700 section 4.12).
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TIMEOUT)
                .connect_timeout(CONNECT_TIMEOUT)
                // A connection at rest may be closed by the other side just as a code is sent over it, which nobody may
                // send twice. Sign-ins are rare; each has a connection of its own.
                .pool_max_idle_per_host(0)
        };
        let cannot = |error| format!("the HTTP client cannot be made: {error}");
        Ok(Self {
            outside: builder().build().map_err(cannot)?,
            platform: builder().no_proxy().build().map_err(cannot)?,
        })
    }

    /// Sends a request as oauth2 made it.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|e| cause(&e))?;
        let response = self.outside.execute(request).await.map_err(|e| cause(&e))?;
        whole(response).await
    }

    /// Asks the platform on this machine, with what proves that we run on it.
    pub async fn ask_platform(
        &self,
        url: Url,
        (name, value): (&str, &str),
    ) -> Result<HttpResponse, HttpError> {
        let request = self.platform.get(url).header(name, value);
        // The address tells which identity, which is no secret; the header is in no error.
        whole(request.send().await.map_err(|e| cause(&e))?).await
    }

    /// Fetches whatever is there, with any status.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, HttpError> {
        let response = self.outside.get(url).send().await.map_err(|e| cause(&e))?;
        whole(response).await
    }

    /// Fetches a JSON document; anything but 200 with JSON is an error. Beside it, the answer's `Date` in seconds since
    /// 1970, where it has one.
    pub async fn get_json<T: serde::de::DeserializeOwned>(
        &self,
        url: &str,
    ) -> Result<(T, Option<i64>), HttpError> {
        let response = self.get(url).await?;
        let status = response.status();
        if status != 200 {
            return Err(HttpError(format!("{url} answers {status}")));
        }
        let date = response.headers().get("date");
        let date = date.and_then(|date| clock::seconds_of_http_date(date.to_str().ok()?));
        serde_json::from_slice(response.body())
            .map(|document| (document, date))
            .map_err(|error| HttpError(format!("{url} is not the JSON expected: {error}")))
    }
}

async fn whole(response: reqwest::Response) -> Result<HttpResponse, HttpError> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut answer = HttpResponse::new(body(response).await?);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| cause(&e))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(HttpError(format!(
                "the answer is larger than {LARGEST} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes: reqwest's own text stops at "error sending request".
fn cause(error: &reqwest::Error) -> HttpError {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    HttpError(text)
}
