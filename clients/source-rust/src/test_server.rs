//! An internal API for tests: answers as it is told, and keeps what it received.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::{Credentials, Request, Settings};

/// A request as it came over the wire, head (in lower case) and body.
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Received {
    /// The value of a line of the head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Answers one request for each of `answers` (a status and further lines of the head, or nothing: the connection
/// is closed), each on a connection of its own.
pub(crate) async fn serve(listener: TcpListener, answers: Vec<&'static str>) -> Vec<Received> {
    let mut received = Vec::new();
    for answer in answers {
        received.push(serve_one(&listener, |_| answer.to_owned()).await);
    }
    received
}

/// Answers the next request with what `answer` makes of it.
pub(crate) async fn serve_one(listener: &TcpListener, answer: impl FnOnce(&Received) -> String) -> Received {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 8 * 1024];
    while !is_whole(&bytes) {
        // An error is a connection that was reset in the middle of a body.
        let count = connection.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    // A body that fails at once may take the head with it.
    let end_of_head = end_of_head(&bytes).unwrap_or(bytes.len());
    let body = bytes.split_off(end_of_head);
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let mut received = Received { head, body, at: Instant::now() };
    answer_with(connection, &answer(&received)).await;
    received.at = Instant::now();
    received
}

async fn answer_with(mut connection: TcpStream, answer: &str) {
    if !answer.is_empty() {
        let (head, body) = answer.split_once('|').unwrap_or((answer, ""));
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        connection.write_all(head.as_bytes()).await.unwrap();
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// A chunked body ends with a chunk of length 0, a sized one when all is there.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = end_of_head(request) else { return false };
    let (head, body) = (String::from_utf8_lossy(&request[..end]).to_lowercase(), &request[end..]);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length {
        Some(length) => body.len() >= length.parse().unwrap(),
        None if head.contains("transfer-encoding") => body.ends_with(b"0\r\n\r\n"),
        None => true,
    }
}

pub(crate) fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
}

/// What a request for invoices in JSON is posted below.
pub(crate) const SOURCE: &str = "/app/export/v1/11111111-1111-4111-8111-111111111111/urn:app:billing/\
                                 22222222-2222-4222-8222-222222222222";

pub(crate) fn request() -> Request {
    let event = json!({
        "id": "e", "type": "com.redhat.console.export-service.request", "redhatorgid": "1",
        "data": {"resource_request": {
            "uuid": "22222222-2222-4222-8222-222222222222",
            "export_request_uuid": "11111111-1111-4111-8111-111111111111",
            "application": "urn:app:billing", "format": "json", "resource": "invoices", "x-rh-identity": "e30="}}
    });
    Request::decode(event.to_string().as_bytes()).unwrap()
}

/// Settings that are impatient.
pub(crate) fn settings(url: &str, credentials: Credentials) -> Settings {
    let settings = Settings::new("urn:app:billing", "nowhere:1", url, credentials);
    Settings { first_wait: Duration::from_millis(5), patience: Duration::from_millis(60), ..settings }
}
