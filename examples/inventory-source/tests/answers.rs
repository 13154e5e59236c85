//! What the application sends, seen from the other side of the connection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use clap::Parser as _;
use inventory_source::{
    answer::Answers,
    arguments::Arguments,
    request::{Format, Request},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

/// A request as it came over the wire, head and body.
struct Received {
    head: String,
    body: Vec<u8>,
}

/// Serves one connection for each status, answers with it, and returns what was received.
async fn serve(listener: TcpListener, statuses: &'static [&'static str]) -> Vec<Received> {
    let mut received = Vec::new();
    for status in statuses {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 8 * 1024];
        while !is_whole(&bytes) {
            let count = connection.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the connection ended early");
            bytes.extend_from_slice(&buffer[..count]);
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        connection.write_all(answer.as_bytes()).await.unwrap();
        let end_of_head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let body = bytes.split_off(end_of_head);
        received.push(Received { head: String::from_utf8(bytes).unwrap().to_ascii_lowercase(), body });
    }
    received
}

/// A chunked body ends with a chunk of length 0, a sized one here with its closing brace.
fn is_whole(request: &[u8]) -> bool {
    let chunked = String::from_utf8_lossy(request).to_lowercase().contains("transfer-encoding: chunked");
    request.ends_with(if chunked { b"\r\n0\r\n\r\n" } else { b"}" })
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
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

fn answers(url: &str) -> Answers {
    let mut key_file = tempfile::NamedTempFile::new().unwrap();
    writeln!(key_file, "the-key").unwrap();
    let path = key_file.path().to_str().unwrap();
    let arguments = ["inventory-source", "--internal-url", url, "--key-file", path];
    Answers::new(&Arguments::parse_from(arguments)).unwrap()
}

async fn answer(request: &Request, statuses: &'static [&'static str]) -> Vec<Received> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answers = answers(&format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(serve(listener, statuses));
    assert!(answers.answer(request, &CancellationToken::new()).await);
    server.await.unwrap()
}

fn request(resource: &str, filters: &Value) -> Request {
    Request {
        uuid: "r1".to_owned(),
        export_request_uuid: "e1".to_owned(),
        application: "inventory".to_owned(),
        format: Format::Json,
        resource: resource.to_owned(),
        filters: filters.as_object().cloned().unwrap_or_else(Map::new),
    }
}

#[tokio::test]
async fn rows_are_streamed_in_chunks_with_the_key() {
    let received = answer(&request("processes", &json!({})), &["202 Accepted"]).await;
    let Received { head, body } = &received[0];
    assert!(head.starts_with("post /app/export/v1/e1/inventory/r1/upload "), "{head}");
    assert!(
        head.contains("transfer-encoding: chunked") && head.contains("x-rh-exports-psk: the-key"),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    let rows: Vec<Value> = serde_json::from_slice(&dechunk(body)).unwrap();
    let own = std::process::id();
    assert!(rows.iter().any(|row| row["pid"] == own), "this process is among {} rows", rows.len());
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again() {
    let received = answer(
        &request("mounts", &json!({})),
        &["503 Service Unavailable", "408 Request Timeout", "401 Unauthorized", "202 Accepted"],
    )
    .await;
    assert_eq!(received.len(), 4);
    for Received { body, .. } in &received {
        assert!(serde_json::from_slice::<Vec<Value>>(&dechunk(body)).is_ok_and(|rows| !rows.is_empty()));
    }
}

#[tokio::test]
async fn a_platform_that_asks_for_a_pause_gets_it() {
    let began = Instant::now();
    let statuses = &["503 Service Unavailable\r\nretry-after: 1", "202 Accepted"];
    let received = answer(&request("mounts", &json!({})), statuses).await;
    assert_eq!(received.len(), 2);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_cannot_be_answered_is_reported_with_a_reason() {
    for (request, code) in [
        (request("toasters", &json!({})), 404),
        (request("packages", &json!({"colour": "red"})), 400),
        (request("packages", &json!({"name": {"like": "z"}})), 400),
    ] {
        let received = answer(&request, &["202 Accepted"]).await;
        assert!(
            received[0].head.starts_with("post /app/export/v1/e1/inventory/r1/error "),
            "{}",
            received[0].head
        );
        let report: Value = serde_json::from_slice(&received[0].body).unwrap();
        assert_eq!(report["error"], code);
        assert!(report["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    let received = answer(&request("mounts", &json!({})), &["410 Gone"]).await;
    assert_eq!(received.len(), 1);
}

#[tokio::test]
async fn ids_cannot_lead_elsewhere() {
    let foreign = Request { uuid: "../../x?y".to_owned(), ..request("mounts", &json!({})) };
    let received = answer(&foreign, &["404 Not Found"]).await;
    let head = &received[0].head;
    assert!(head.starts_with("post /app/export/v1/e1/inventory/..%2f..%2fx%3fy/upload "), "{head}");
}

#[tokio::test]
async fn what_is_not_taken_waits_for_another_start_when_the_application_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, &["503 Service Unavailable"]));
    let answers = answers(&url);
    let request = request("mounts", &json!({}));
    let stopped = tokio::join!(answers.answer(&request, &stop), async {
        server.await.unwrap();
        stop.cancel();
    });
    assert!(!stopped.0);
}
