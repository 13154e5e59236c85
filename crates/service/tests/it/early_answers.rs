//! Answers that are given before the body has come.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::{Body, Method, StatusCode};
use service::http::HttpError;

use crate::support::TestServer;

fn routes(app: &mut ServiceConfig) {
    let refuse = async || {
        // Meanwhile as much of the body comes as there is room for.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err::<HttpResponse, _>(HttpError::gone("nobody wants it"))
    };
    app.service(web::resource("/refuse").post(refuse));
    app.service(web::resource("/read").post(async |mut body: web::Payload| {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = body.next().await {
            bytes += chunk.len();
        }
        HttpResponse::Ok().body(bytes.to_string())
    }));
}

/// 4 MiB, in chunks.
fn data() -> Body {
    let chunks = std::iter::repeat_n(Bytes::from(vec![b' '; 64 << 10]), 64);
    Body::wrap_stream(stream::iter(chunks.map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn after_an_early_refusal_the_next_upload_of_the_same_client_comes_through() {
    let server = TestServer::start(routes);
    for round in 0..10 {
        for (path, status) in [("/refuse", StatusCode::GONE), ("/read", StatusCode::OK)] {
            let post = server.request(Method::POST, path).body(data()).timeout(Duration::from_secs(10));
            let answer = post.send().await.unwrap_or_else(|error| panic!("{round}: {path}: {error:?}"));
            assert_eq!(answer.status(), status, "{round}: {path}");
        }
    }
}
