//! Clients: plain sockets that read and throw away, so that they cost as little as possible beside the servers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::servers::Server;

const BUFFER: usize = 256 * 1024;
/// Where in a page the clients' buffers begin: away from page borders, where copying is slow on some processors
/// (see `src/files/buffers.rs`), or that would be measured instead of the servers.
const OFFSET: usize = 2048;
/// How long requests are counted.
const SPAN: Duration = Duration::from_secs(2);
const SLOW_CLIENTS: usize = 200;
/// A slow client's bytes in a tenth of a second: 200 kB/s.
const SIP: usize = 20_000;
const FIRST: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(5);

/// A kept-alive connection.
struct Client {
    stream: TcpStream,
    memory: Vec<u8>,
    start: usize,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let memory = vec![0; BUFFER + 4096];
        let start = (OFFSET + 4096 - memory.as_ptr().addr() % 4096) % 4096;
        Self {
            stream,
            memory,
            start,
        }
    }

    fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Reads one answer to its end and returns the length of its body.
    fn answer(&mut self) -> u64 {
        let buffer = &mut self.memory[self.start..][..BUFFER];
        let mut read = 0;
        let (length, head) = loop {
            let more = self.stream.read(&mut buffer[read..]).unwrap();
            assert!(more > 0, "the connection ended");
            read += more;
            if let Some(found) = content_length(&buffer[..read]) {
                break found;
            }
        };
        let mut left = length - (read - head) as u64;
        while left > 0 {
            let more = self.stream.read(buffer).unwrap();
            assert!(more > 0, "the answer ended short");
            left -= more as u64;
        }
        length
    }
}

/// Length of the body and of the head, once the head is whole. Panics when the answer is not 200.
fn content_length(bytes: &[u8]) -> Option<(u64, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap();
    Some((length.parse().unwrap(), end))
}

/// Seconds that so many clients take to download the large file, each so many times.
pub fn large(server: &Server, clients: usize, times: usize) -> f64 {
    let request = server.request("1g.bin");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::connect(server);
                for _ in 0..times {
                    client.ask(&request);
                    assert_eq!(client.answer(), super::LARGE);
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

/// Answers a second over so many connections, asked by two threads.
pub fn requests(server: &Server, name: &str, length: u64, connections: usize) -> f64 {
    let request = server.request(name);
    let began = Instant::now();
    let count = || {
        let mut clients: Vec<Client> = (0..connections / 2)
            .map(|_| Client::connect(server))
            .collect();
        let mut count = 0_u64;
        for client in &mut clients {
            client.ask(&request);
        }
        while began.elapsed() < SPAN {
            for client in &mut clients {
                assert_eq!(client.answer(), length);
                client.ask(&request);
                count += 1;
            }
        }
        count
    };
    let total: u64 = std::thread::scope(|scope| {
        let threads = [scope.spawn(count), scope.spawn(count)];
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    total as f64 / began.elapsed().as_secs_f64()
}

/// How long a small answer takes (milliseconds, 99th percentile) while slow clients download: in the first three
/// seconds after all of them began, and after that.
pub fn beside_slow_clients(server: &Server) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = server.address;
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            runtime.block_on(async {
                let request = |number| server.request_of("1g.bin", number);
                let clients = (0..SLOW_CLIENTS).map(|number| sip(address, request(number), began));
                futures_util::future::join_all(clients).await;
            });
        });
        let probing = || {
            let mut client = Client::connect(server);
            let mut times = (Vec::new(), Vec::new());
            while began.elapsed() < FIRST + LATER {
                let asked = Instant::now();
                client.ask(&server.probe);
                client.answer();
                let took = asked.elapsed().as_secs_f64() * 1000.0;
                match began.elapsed() < FIRST {
                    true => times.0.push(took),
                    false => times.1.push(took),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (percentile(times.0), percentile(times.1))
        };
        scope.spawn(probing).join().unwrap()
    })
}

async fn sip(address: std::net::SocketAddr, request: Vec<u8>, began: Instant) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut buffer = vec![0; SIP];
    while began.elapsed() < FIRST + LATER {
        ticks.tick().await;
        stream.read_exact(&mut buffer).await.unwrap();
    }
}

fn percentile(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times[at]
}
