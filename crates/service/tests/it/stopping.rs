//! How a service ends.

use std::{future::pending, sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    web::{self, Bytes, ServiceConfig},
};
use domain::SystemClock;
use futures_util::{StreamExt as _, stream};
use service::{Context, http::HttpSettings};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream, sync::Notify, time::Instant};

use crate::support::{TestServer, until};

const PATIENCE: Duration = Duration::from_secs(30);

fn routes(finish: Arc<Notify>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |app| {
        app.app_data(web::Data::from(finish.clone()))
            .route("/running", web::get().to(running))
            .route("/endless", web::get().to(endless))
            .route("/ping", web::get().to(HttpResponse::Ok));
    }
}

async fn running(finish: web::Data<Notify>) -> &'static str {
    finish.notified().await;
    "finished"
}

async fn endless() -> HttpResponse {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"first"))]);
    HttpResponse::Ok().streaming(first.chain(stream::pending()))
}

#[tokio::test]
async fn a_running_request_is_finished_and_no_further_one_is_taken() {
    let finish = Arc::new(Notify::new());
    let server = TestServer::start_with(HttpSettings::default(), routes(finish.clone()));
    let answer = tokio::spawn(server.request(reqwest::Method::GET, "/running").send());
    server.has_metric(r#"http_requests_in_flight{service="test"} 1"#).await;
    let ctx = server.ctx.clone();
    let stop = tokio::spawn(async move { ctx.stop(PATIENCE, pending()).await });
    for _ in 0..1_000 {
        if TcpStream::connect(server.address).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!stop.is_finished());
    finish.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().text().await.unwrap(), "finished");
    assert!(stop.await.unwrap());
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_stop() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 20]).await.unwrap();
    let started = Instant::now();
    assert!(server.ctx.stop(PATIENCE, pending()).await);
    assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
}

#[tokio::test]
async fn after_the_hard_stop_nothing_is_waited_for() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let mut body = server.get("/endless").await.bytes_stream();
    body.next().await.unwrap().unwrap();
    let started = Instant::now();
    assert!(server.ctx.stop(Duration::from_millis(50), pending()).await);
    assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_second_signal_hurries_the_stop() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let _body = server.get("/endless").await;
    let started = Instant::now();
    assert!(server.ctx.stop(PATIENCE, async {}).await);
    assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_must_outlive_the_tasks_is_ended_after_them() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let tasks = server.ctx.tasks().clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    server.ctx.at_end(async move { tell.send(tasks.running()).unwrap() });
    assert!(server.ctx.stop(PATIENCE, pending()).await);
    assert!(told.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_tasks_has_the_time_that_they_did_not_need() {
    let (context, started) = (Context::new("test", Arc::new(SystemClock)), Instant::now());
    context.at_end(tokio::time::sleep(PATIENCE));
    assert!(context.stop(PATIENCE, pending()).await);
    assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_hurries_what_outlives_the_tasks_as_well() {
    let (context, started) = (Context::new("test", Arc::new(SystemClock)), Instant::now());
    context.at_end(pending());
    assert!(!context.stop(PATIENCE, tokio::time::sleep(Duration::from_secs(1))).await);
    assert!(started.elapsed() < PATIENCE / 3, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_at_once() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let again =
        service::http::serve(&server.ctx, server.address, &HttpSettings::default(), routes(Arc::default()));
    let error = again.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}

#[tokio::test]
async fn services_of_one_process_stop_together() {
    let server = TestServer::start_with(HttpSettings::default(), routes(Arc::default()));
    let other = server.ctx.for_service("other");
    let any_port = ([127, 0, 0, 1], 0).into();
    service::http::serve(&other, any_port, &HttpSettings::default(), routes(Arc::default())).unwrap();
    until(|| server.ctx.tasks().running().len() == 2, String::new).await;
    assert_eq!(server.ctx.tasks().running(), ["test/http", "other/http"]);
    assert!(other.stop(PATIENCE, pending()).await);
    assert!(server.ctx.soft_stop().is_cancelled());
}
