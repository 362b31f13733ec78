//! A bare socket: sends exactly the bytes that are given, which no HTTP library would, and reads what comes back.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::app::TestApp;
use crate::support::client::Browser;

/// Nothing that is asked here may take longer.
const LONGEST: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The header's value, or nothing. `name` in lower case.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(held, _)| held == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics with the whole answer when the status is another.
    #[track_caller]
    pub fn expect(self, status: u16, what: &str) -> Self {
        assert_eq!(
            self.status,
            status,
            "{what}: {:?}\n{}",
            self.headers,
            self.text()
        );
        self
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Some(Self {
            status,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        })
    }
}

/// A connection to the portal.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn open(app: &TestApp) -> Self {
        Self::open_port(app.port).await
    }

    /// To whatever listens on that port of this machine.
    pub async fn open_port(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Self(stream)
    }

    /// Over a connection that was made some other way.
    pub fn over(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Sends, as far as the portal listens; `false` when it hung up before the end.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(LONGEST, self.0.write_all(bytes)).await;
        sent.expect("the portal neither reads nor hangs up").is_ok()
    }

    /// At least so many bytes of the answer, read from the connection as it goes on.
    pub async fn take(&mut self, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        let read = timeout(LONGEST, self.0.read_exact(&mut taken)).await;
        read.expect("the answer stands still").unwrap();
        taken
    }

    /// The head of an answer, byte by byte, so that the body can be taken after it.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.take(1).await);
        }
        String::from_utf8(head).unwrap()
    }

    /// The answer: as much as its length says, or what comes until the portal closes the connection. Nothing when it
    /// closed it without a word.
    pub async fn answer(&mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        let read = async {
            // A reset is a way of closing, too; what came before it counts.
            while !is_whole(&bytes) && self.0.read_buf(&mut bytes).await.is_ok_and(|read| read > 0)
            {
            }
        };
        let read = timeout(LONGEST, read).await;
        assert!(
            read.is_ok(),
            "neither answered nor closed within {LONGEST:?}"
        );
        Answer::parse(&bytes)
    }

    /// Whatever comes until the portal closes the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a way of closing, too; what came before it counts.
        let read = timeout(LONGEST, self.0.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "not closed within {LONGEST:?}");
        rest
    }

    /// Waits until the portal closes the connection, and returns how long that took.
    pub async fn closed(&mut self) -> Duration {
        let began = Instant::now();
        self.rest().await;
        began.elapsed()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let length = |answer: &Answer| answer.header("content-length").parse::<usize>().ok();
    Answer::parse(bytes)
        .is_some_and(|answer| length(&answer).is_some_and(|length| answer.body.len() >= length))
}

/// A request with the usual headers and without a body, to be answered on a connection of its own.
pub fn request(method: &str, target: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend_from_slice(target.as_ref());
    bytes.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Sends `bytes` on a connection of their own; nothing when the portal hung up without a word.
pub async fn ask(app: &TestApp, bytes: &[u8]) -> Option<Answer> {
    let mut wire = Wire::open(app).await;
    wire.send(bytes).await;
    wire.answer().await
}

/// GET of a target that is sent as it stands, by the person of that browser.
pub async fn get(app: &TestApp, browser: &Browser, target: impl AsRef<[u8]>) -> Answer {
    let what = String::from_utf8_lossy(target.as_ref()).into_owned();
    let bytes = request("GET", target, &[("Cookie", &cookie(browser))]);
    let answer = ask(app, &bytes).await;
    answer.unwrap_or_else(|| panic!("no answer to {what}"))
}

/// The `Cookie` header of that browser's session.
pub fn cookie(browser: &Browser) -> String {
    format!("session={}", browser.cookie("session").unwrap())
}
