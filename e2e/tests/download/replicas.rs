//! Every replica serves the same bytes, so that a download goes on anywhere.

use bytes::BytesMut;
use chrono::TimeDelta;
use e2e::{Customer, Export, TestApp, expect};
use reqwest::Response;
use serde_json::json;

use crate::support::{large_export, wanted};

async fn from(app: &TestApp, url: &str, export: &Export, headers: &[(&str, &str)]) -> Response {
    let mut request = app.http().get(format!("{url}/api/export/v1/exports/{}", export.id));
    request = request.header("x-rh-identity", export.customer.header());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn etag(response: &Response) -> String {
    response.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_broken_download_is_resumed_on_another_replica() {
    let app = TestApp::start().await;
    let (export, _) = large_export(&app, 5 << 20).await;
    let replicas = [app.public_url.clone(), app.second_public_api().await];
    let whole = app.download(&export).await.bytes;

    let first = from(&app, &replicas[0], &export, &[]).await;
    let tag = etag(&first);
    let mut received = BytesMut::new();
    let mut body = first;
    while received.len() < 1 << 20 {
        received.extend_from_slice(&body.chunk().await.unwrap().unwrap());
    }
    drop(body);
    // Goes on in pieces, from one replica and the other in turn.
    for turn in 0.. {
        let range = format!("bytes={}-{}", received.len(), received.len() + 700_000);
        let piece =
            from(&app, &replicas[(turn + 1) % 2], &export, &[("range", &range), ("if-range", &tag)]).await;
        assert_eq!((piece.status().as_u16(), etag(&piece)), (206, tag.clone()));
        received.extend_from_slice(&piece.bytes().await.unwrap());
        if received.len() == whole.len() {
            break;
        }
    }
    assert!(received == whole);
    app.end().await;
}

#[tokio::test]
async fn a_download_is_not_resumed_with_bytes_of_another_revision() {
    let app = TestApp::start().await;
    let mut wanted = wanted(2);
    wanted["sources"][0]["expires"] = json!("2026-11-22T00:00:00Z");
    let export = app.complete(&Customer::new(), &wanted, |_| "[1]".repeat(1000)).await;
    let replicas = [app.public_url.clone(), app.second_public_api().await];
    let before = expect(Ok(from(&app, &replicas[0], &export, &[]).await), 200).await;
    let tag = etag(&before);
    app.clock.advance(TimeDelta::days(1));
    let resumed = from(&app, &replicas[1], &export, &[("range", "bytes=10-"), ("if-range", &tag)]).await;
    assert_eq!(resumed.status(), 200);
    assert_ne!(etag(&resumed), tag);
    let (one, two) = (from(&app, &replicas[0], &export, &[]).await.bytes().await, resumed.bytes().await);
    assert!(one.unwrap() == two.unwrap());
    app.end().await;
}
