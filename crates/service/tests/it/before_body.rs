//! Clients that wait to be told to send their body.

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use service::http::HttpError;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::TestServer;

fn routes(app: &mut ServiceConfig) {
    for path in ["/asked", "/unasked"] {
        app.service(web::resource(path).post(async |body: String| HttpResponse::Ok().body(body)));
    }
}

/// Wants only what calls itself good.
fn before_body(app: &mut ServiceConfig) {
    app.service(web::resource("/asked").post(async |req: actix_web::HttpRequest| {
        if req.headers().contains_key("x-good") {
            Ok(HttpResponse::Continue().finish())
        } else {
            Err(HttpError::gone("nobody wants it"))
        }
    }));
}

/// Sends a head, and a body once the server has said to go on; returns all that the server says.
async fn told(server: &TestServer, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{header}expect: 100-continue\r\ncontent-length: 4\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    if said == b"HTTP/1.1 100 Continue\r\n\r\n" {
        stream.write_all(b"data").await.unwrap();
    }
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_refused_before_it_comes_as_any_request_is() {
    let server = TestServer::start_asking(routes, before_body);
    let said = told(&server, "/asked", "").await;
    assert!(said.starts_with("HTTP/1.1 410 Gone\r\n"), "{said}");
    assert!(said.contains("x-request-id: ") && said.contains(r#""message":"nobody wants it""#), "{said}");
    server.has_metric(r#"route="/asked",service="test",status="410"} 1"#).await;
}

#[tokio::test]
async fn a_body_that_is_wanted_or_not_asked_about_comes_and_is_answered_by_the_usual_routes() {
    let server = TestServer::start_asking(routes, before_body);
    for (path, header) in [("/asked", "x-good: 1\r\n"), ("/unasked", "")] {
        let said = told(&server, path, header).await;
        let (on, answer) = said.split_once("\r\n\r\n").unwrap();
        assert_eq!(on, "HTTP/1.1 100 Continue", "{path}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ndata"), "{answer}");
    }
}

#[tokio::test]
async fn without_anything_to_ask_every_client_is_told_to_go_on() {
    let server = TestServer::start(routes);
    assert!(
        told(&server, "/asked", "").await.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    );
}
