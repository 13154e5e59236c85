//! What Prometheus is told of requests.

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    web::{self, Bytes, ServiceConfig},
};
use futures_util::{StreamExt as _, stream};
use reqwest::Method;

use crate::support::TestServer;

fn routes(app: &mut ServiceConfig) {
    app.service(web::resource("/things/{id}").get(async |request: HttpRequest| request.path().to_owned()))
        .route("/upload", web::post().to(async |body: Bytes| HttpResponse::Accepted().json(body.len())))
        .route("/broken", web::get().to(broken))
        .route("/endless", web::get().to(endless));
}

async fn broken() -> HttpResponse {
    let chunks = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("storage is gone"))];
    HttpResponse::Ok().body(SizedStream::new(8, stream::iter(chunks)))
}

async fn endless() -> HttpResponse {
    let chunks = stream::repeat(Bytes::from_static(&[0; 8192])).map(Ok::<_, std::io::Error>);
    HttpResponse::Ok().streaming(chunks)
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let server = TestServer::start(routes);
    for id in ["a", "b", "c"] {
        server.get(&format!("/things/{id}")).await;
    }
    server.get("/elsewhere/1").await;
    server.request(Method::from_bytes(b"BREW").unwrap(), "/things/a").send().await.unwrap();
    server
        .has_metric(r#"http_requests_total{method="GET",route="/things/{id}",service="test",status="200"} 3"#)
        .await;
    server
        .has_metric(r#"http_requests_total{method="GET",route="unmatched",service="test",status="404"} 1"#)
        .await;
    server
        .has_metric(
            r#"http_requests_total{method="OTHER",route="/things/{id}",service="test",status="405"} 1"#,
        )
        .await;
    server
        .has_metric(r#"http_request_seconds_count{method="GET",route="/things/{id}",service="test"} 3"#)
        .await;
    server.has_metric(r#"http_requests_in_flight{service="test"} 0"#).await;
    assert!(!server.ctx.metrics().render().contains("elsewhere"));
}

#[tokio::test]
async fn bytes_in_and_out_are_counted() {
    let server = TestServer::start(routes);
    let sized = server.request(Method::POST, "/upload").body(vec![0; 70_000]);
    assert_eq!(sized.send().await.unwrap().text().await.unwrap(), "70000");
    server.has_metric(r#"http_request_bytes_total{route="/upload",service="test"} 70000"#).await;
    server.has_metric(r#"http_response_bytes_total{route="/upload",service="test"} 5"#).await;
}

#[tokio::test]
async fn an_answer_that_fails_midway_breaks_the_connection_and_is_counted() {
    let server = TestServer::start(routes);
    let whole = async { server.request(Method::GET, "/broken").send().await?.bytes().await };
    assert!(whole.await.is_err(), "a short body is no clean end");
    server.has_metric(r#"http_responses_broken_off_total{route="/broken",service="test"} 1"#).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let server = TestServer::start(routes);
    let mut body = server.get("/endless").await.bytes_stream();
    body.next().await.unwrap().unwrap();
    server.has_metric(r#"http_requests_in_flight{service="test"} 1"#).await;
    drop(body);
    server.has_metric(r#"http_requests_in_flight{service="test"} 0"#).await;
    server.has_metric(r#"http_responses_broken_off_total{route="/endless",service="test"} 1"#).await;
}
