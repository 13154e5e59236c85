//! Bodies of requests within their limits, heads of requests within theirs.

use std::net::SocketAddr;

use actix_web::{
    HttpResponse, dev,
    web::{self, ServiceConfig},
};
use domain::{ByteSize, Period};
use reqwest::Method;
use serde_json::{Value, json};
use service::http::{BodyLimits, HttpError, HttpSettings, read_json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{TestServer, json};

const MAX_BYTES: u64 = 1_000;

fn routes(app: &mut ServiceConfig) {
    app.route("/echo", web::post().to(echo));
}

async fn echo(payload: web::Payload, limits: web::Data<BodyLimits>) -> Result<HttpResponse, HttpError> {
    let payload: dev::Payload = payload.into_inner();
    let value: Value = read_json(payload, &limits, MAX_BYTES).await?;
    Ok(HttpResponse::Ok().json(value))
}

/// Sends `request` as it is and returns all that comes back until the connection is closed or reset.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let _ = connection.write_all(request).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn json_is_read_whatever_its_content_type() {
    let server = TestServer::start(routes);
    for content_type in ["application/json", "text/csv"] {
        let request = server.request(Method::POST, "/echo").header("content-type", content_type);
        let response = request.body(r#"{"a":[1]}"#).send().await.unwrap();
        assert_eq!(json(response).await, json!({"a": [1]}));
    }
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let server = TestServer::start(routes);
    let deep = "[".repeat(900);
    for body in ["", "{", "{\"a\":}", "{} x", "\u{0}", &deep] {
        let response = server.request(Method::POST, "/echo").body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 400, "{body}");
        let message = json(response).await["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("invalid JSON: "), "{message}");
    }
    let response = server.request(Method::POST, "/echo").body(vec![b'"', 0xff, b'"']).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_client_gets_to_read_why() {
    let server = TestServer::start(routes);
    for size in [1_001, 20_000_000] {
        let request = server.request(Method::POST, "/echo").body(vec![b' '; size]);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 413, "{size}");
        let expected = json!({"message": "payload is too large, max size: 1kB", "code": 413});
        assert_eq!(json(response).await, expected);
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_gets_408() {
    let body = BodyLimits { idle_timeout: Period::from_millis(100), ..BodyLimits::default() };
    let server = TestServer::start_with(HttpSettings { body, ..HttpSettings::default() }, routes);
    let answer = raw(server.address, b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.ends_with(r#"{"message":"the payload arrives too slowly","code":408}"#), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_gets_408() {
    let settings = HttpSettings { head_timeout: Period::from_millis(100), ..HttpSettings::default() };
    let server = TestServer::start_with(settings, routes);
    let answer = raw(server.address, b"POST /echo HTTP/1.1\r\nhost: x\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_header_bomb_is_refused() {
    let settings = HttpSettings { max_head_size: ByteSize::from_kib(4), ..HttpSettings::default() };
    let server = TestServer::start_with(settings, routes);
    let response =
        server.request(Method::POST, "/echo").header("x", "y".repeat(5_000)).body("{}").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 431);
    assert_eq!(json(response).await, json!({"message": "the headers are too large", "code": 431}));
    // Beyond what the parser takes the answer is a bare one, or none if the client does not stop sending.
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(500));
    assert!(raw(server.address, many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let endless = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(500_000));
    let answer = raw(server.address, endless.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.get("/nowhere").await.status().as_u16(), 404, "it lives on");
}
