//! Requests that no well-behaved client would send, byte by byte.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::PATIENCE;

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, as far as the connection gave it.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The value of the first header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends `request` on a connection of its own and reads the answer until the connection ends or the answer
/// is whole. None when the server closes the connection without one.
///
/// # Errors
/// When there is no connection, what comes is not HTTP, or nothing comes within [`PATIENCE`].
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Result<Option<RawAnswer>> {
    let mut stream = TcpStream::connect(address).await?;
    // The server may refuse and close before it has read everything: what it answered counts.
    let _ = stream.write_all(request).await;
    timeout(PATIENCE, read_answer(&mut stream)).await.context("the server does not answer")?
}

/// Reads one answer from `stream`.
///
/// # Errors
/// When what comes is not HTTP.
pub async fn read_answer(stream: &mut TcpStream) -> Result<Option<RawAnswer>> {
    let mut received = Vec::new();
    loop {
        if let Some(answer) = whole(&received)? {
            return Ok(Some(answer));
        }
        match stream.read_buf(&mut received).await {
            Ok(read) if read > 0 => {}
            // The end, or a reset because of what the server did not read.
            _ => return partial(&received),
        }
    }
}

/// Whether the server is still there, shown by a request that must succeed.
///
/// # Errors
/// When it does not answer 200 soon.
pub async fn ping(address: SocketAddr, path: &str) -> Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = timeout(Duration::from_secs(10), exchange(address, request.as_bytes())).await??;
    match answer {
        Some(answer) if answer.status == 200 => Ok(()),
        other => bail!("the server answers {other:?}"),
    }
}

/// The answer, once as much of it has come as its Content-Length says.
fn whole(received: &[u8]) -> Result<Option<RawAnswer>> {
    let Some(answer) = parse(received)? else { return Ok(None) };
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    Ok(length.filter(|length| answer.body.len() >= *length).map(|_| answer))
}

fn partial(received: &[u8]) -> Result<Option<RawAnswer>> {
    let answer = parse(received)?;
    if answer.is_none() && !received.is_empty() {
        bail!("not an answer: {:?}", String::from_utf8_lossy(received));
    }
    Ok(answer)
}

fn parse(received: &[u8]) -> Result<Option<RawAnswer>> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?.parse()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Some(RawAnswer { status, headers, body: received[end + 4..].to_vec() }))
}
