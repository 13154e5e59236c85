//! Clients that take nothing of what they asked for.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{self, Bytes, ServiceConfig},
};
use domain::Period;
use futures_util::stream;
use service::http::HttpSettings;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::support::TestServer;

const LIMIT: Duration = Duration::from_secs(1);

static ZEROS: [u8; 65536] = [0; 65536];

fn routes(app: &mut ServiceConfig) {
    app.route("/endless", web::get().to(endless));
}

async fn endless() -> HttpResponse {
    HttpResponse::Ok().streaming(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&ZEROS))))
}

async fn asking(server: &TestServer) -> TcpStream {
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    client
}

fn server() -> TestServer {
    let settings = HttpSettings { stall_timeout: Period::from(LIMIT), ..HttpSettings::default() };
    TestServer::start_with(settings, routes)
}

#[tokio::test]
async fn a_client_that_stops_reading_is_dropped_after_the_stall_timeout() {
    let server = server();
    let started = Instant::now();
    let _silent = asking(&server).await;
    server.has_metric(r#"http_requests_in_flight{service="test"} 1"#).await;
    server.has_metric(r#"http_requests_in_flight{service="test"} 0"#).await;
    assert!(started.elapsed() >= LIMIT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not() {
    let server = server();
    let mut client = asking(&server).await;
    let started = Instant::now();
    let mut piece = vec![0; 256 * 1024];
    while started.elapsed() < 3 * LIMIT {
        client.read_exact(&mut piece).await.unwrap();
        sleep(LIMIT / 10).await;
    }
}
