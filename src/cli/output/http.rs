//! Answers `GET /metrics`, and nothing else.
//!
//! One request at a time, with a bounded head and a bounded time, because it may be asked by anybody who
//! reaches the address; a server with connections that stay open would need threads for them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::openmetrics::MEDIA_TYPE;
use crate::cli::exit;

/// Bytes of a request that are read at most.
const MOST: usize = 8 * 1024;
/// How long a client may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Server(TcpListener);

impl Server {
    /// Listens on a port of the loopback address, or on another address.
    pub fn bind(address: &str) -> Result<Self> {
        let listener = match address.parse() {
            Ok(port) => TcpListener::bind(("127.0.0.1", port)),
            Err(_) => TcpListener::bind(address),
        };
        let why = || format!("cannot listen on {address}; give a port, or an address like 127.0.0.1:9464");
        Ok(Self(listener.with_context(why)?))
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers each request with what `text` returns, until the process ends.
    pub fn serve(&self, mut text: impl FnMut() -> Result<String>) -> Result<()> {
        for stream in self.0.incoming() {
            match stream {
                // A client that went away is not our trouble.
                Ok(stream) => drop(answer(stream, &mut text)),
                // No descriptor is left, for example.
                Err(error) => {
                    exit::warn(&format!("cannot accept a request: {error}"));
                    std::thread::sleep(PATIENCE);
                }
            }
        }
        Ok(())
    }
}

fn answer(mut stream: TcpStream, text: &mut impl FnMut() -> Result<String>) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let asked = read(&mut stream)?;
    let (status, media_type, body) = match asked {
        Asked::Metrics { .. } => match text() {
            Ok(text) => ("200 OK", MEDIA_TYPE, text),
            Err(error) => {
                let line = exit::one_line(&error);
                exit::warn(&line);
                ("503 Service Unavailable", PLAIN, format!("{line}\n"))
            }
        },
        Asked::Other(status) => (status, PLAIN, format!("{status}\n")),
    };
    let allow = if status.starts_with("405") {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n"
    );
    if !matches!(asked, Asked::Metrics { head: true }) {
        answer.push_str(&body);
    }
    stream.write_all(answer.as_bytes())?;
    hear_out(&mut stream)
}

/// Reads what else the client sends, up to a bound: closing a connection with unread bytes would make the client lose
/// the answer.
fn hear_out(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(PATIENCE / 8))?;
    io::copy(&mut stream.take(8 * MOST as u64), &mut io::sink()).map(drop)
}

const PLAIN: &str = "text/plain; charset=utf-8";

enum Asked {
    Metrics { head: bool },
    Other(&'static str),
}

/// Reads the head of a request.
fn read(stream: &mut TcpStream) -> io::Result<Asked> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while head.len() < MOST {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(part.get(..length).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) => return Ok(asked(&request)),
            Err(_) => return Ok(Asked::Other("400 Bad Request")),
        }
    }
    Ok(Asked::Other("431 Request Header Fields Too Large"))
}

fn asked(request: &httparse::Request<'_, '_>) -> Asked {
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    match (path, request.method) {
        ("/metrics", Some(method @ ("GET" | "HEAD"))) => Asked::Metrics { head: method == "HEAD" },
        ("/metrics", _) => Asked::Other("405 Method Not Allowed"),
        _ => Asked::Other("404 Not Found"),
    }
}
