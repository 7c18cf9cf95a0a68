//! As much HTTP as a fake host needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Reads a request; none when the other side has gone.
    pub(crate) fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            match line.split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut asked = Self { method, path, query, headers, body: Vec::new() };
        let length = asked.number("content-length").unwrap_or(0);
        asked.body = vec![0; usize::try_from(length).unwrap()];
        reader.read_exact(&mut asked.body).ok()?;
        Some(asked)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    /// A value of the query; none of those here has escapes but a page token.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Method, path and query.
    pub(crate) fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }
}

/// An answer to send.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn head(&self, length: Option<usize>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", self.status);
        if let Some(length) = length {
            head += &format!("content-length: {length}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    /// Sends it, without the body when it answers to HEAD.
    pub(crate) fn send(&self, mut stream: &TcpStream, is_head: bool) {
        let mut bytes = self.head(Some(self.body.len()));
        if !is_head {
            bytes.extend_from_slice(&self.body);
        }
        // The other side may have gone: that is what some tests are about.
        let _ = stream.write_all(&bytes);
    }

    /// Sends the beginning and hangs up.
    pub(crate) fn send_half(&self, mut stream: &TcpStream) {
        let mut bytes = self.head(Some(self.body.len()));
        bytes.extend_from_slice(&self.body[..self.body.len() / 2]);
        let _ = stream.write_all(&bytes);
    }

    /// Sends white space and no end, until the other side has had enough.
    pub(crate) fn send_without_end(&self, mut stream: &TcpStream) -> u64 {
        let _ = stream.write_all(&self.head(None));
        let mut sent = 0;
        while stream.write_all(&[b' '; 1 << 16]).is_ok() {
            sent += 1 << 16;
        }
        sent
    }

    /// Sends a byte from time to time.
    pub(crate) fn send_slowly(&self, mut stream: &TcpStream, pause: Duration) {
        let _ = stream.write_all(&self.head(Some(self.body.len())));
        for byte in &self.body {
            thread::sleep(pause);
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    }
}
