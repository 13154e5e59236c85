//! Storage that goes away, clients that do.

use domain::Period;
use e2e::{Export, PUBLIC, TestApp, expect, refusal};
use testkit::{Fault, FaultProxy};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{get, large_export, small_export};

/// More than connections and read-ahead take in.
const LARGE: usize = 32 << 20;

async fn app_behind(proxy: &FaultProxy) -> TestApp {
    TestApp::with(|settings| {
        settings.storage_through(proxy);
        settings.object_store.max_retries = 1;
    })
    .await
}

fn go_away(proxy: &FaultProxy) {
    proxy.set(Fault::Refuse);
    proxy.cut_all();
}

#[tokio::test]
async fn without_storage_a_download_is_503_before_its_first_byte_and_works_again_by_itself() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = app_behind(&proxy).await;
    let export = small_export(&app).await;
    go_away(&proxy);
    let answer = app.try_download(&export).await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    refusal(Ok(answer), 503).await;
    // What needs no storage works.
    assert_eq!(app.status(&export).await["status"], "complete");
    proxy.set(Fault::None);
    expect(app.try_download(&export).await, 200).await;
    app.end().await;
}

#[tokio::test]
async fn storage_that_goes_away_mid_body_breaks_the_connection_and_the_rest_can_be_had_later() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = app_behind(&proxy).await;
    let (export, _) = large_export(&app, LARGE).await;
    let whole = app.download(&export).await.bytes;
    let mut broken = expect(app.try_download(&export).await, 200).await;
    let etag = broken.headers()["etag"].to_str().unwrap().to_owned();
    let mut received = broken.chunk().await.unwrap().unwrap().to_vec();
    go_away(&proxy);
    let error = loop {
        match broken.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => panic!("a clean end after {} of {} bytes", received.len(), whole.len()),
            Err(error) => break error,
        }
    };
    assert!(received.len() < whole.len() && whole.starts_with(&received), "{error}");

    proxy.set(Fault::None);
    let range = format!("bytes={}-", received.len());
    let rest = get(&app, &export, &[("range", &range), ("if-range", &etag)]).await;
    assert_eq!(rest.status, 206);
    received.extend_from_slice(&rest.body);
    assert!(received == whole);
    app.end().await;
}

/// Asks for the archive on a connection of its own and reads nothing.
async fn stalling_client(app: &TestApp, export: &Export) -> TcpStream {
    let mut client = TcpStream::connect(app.settings.public_api.listen).await.unwrap();
    let request = format!(
        "GET {PUBLIC}{} HTTP/1.1\r\nhost: x\r\nx-rh-identity: {}\r\n\r\n",
        export.path(),
        export.customer.header()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn a_client_that_stalls_is_dropped_and_does_not_hold_up_another() {
    let app = TestApp::with(|settings| {
        settings.public_api.http.stall_timeout = Period::from_secs(2);
    })
    .await;
    let (export, bytes) = large_export(&app, LARGE).await;
    let _stalled = stalling_client(&app, &export).await;
    app.wait_for_metric(r#"http_requests_in_flight{service="public-api"} 1"#).await;
    assert!(app.download(&export).await.members[2].1 == bytes);
    app.wait_for_metric(r#"http_requests_in_flight{service="public-api"} 0"#).await;
    app.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_download() {
    let app = TestApp::start().await;
    let (export, _) = large_export(&app, LARGE).await;
    let mut answer = expect(app.try_download(&export).await, 200).await;
    answer.chunk().await.unwrap();
    drop(answer);
    app.wait_for_metric(r#"http_requests_in_flight{service="public-api"} 0"#).await;
    app.end().await;
}
