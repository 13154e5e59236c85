//! A server of the tests' own, on a port of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::web::ServiceConfig;
use domain::SystemClock;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use service::{
    Context,
    http::{self, HttpSettings},
};

pub(crate) struct TestServer {
    pub(crate) ctx: Context,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

impl TestServer {
    pub(crate) fn start(configure: fn(&mut ServiceConfig)) -> Self {
        Self::start_with(HttpSettings::default(), configure)
    }

    pub(crate) fn start_with(
        settings: HttpSettings,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        Self::serving(|ctx, any_port| {
            let settings = HttpSettings { workers: Some(1), ..settings };
            http::serve(ctx, any_port, &settings, configure)
        })
    }

    pub(crate) fn start_asking(
        configure: fn(&mut ServiceConfig),
        before_body: fn(&mut ServiceConfig),
    ) -> Self {
        Self::serving(|ctx, any_port| {
            let settings = HttpSettings { workers: Some(1), ..HttpSettings::default() };
            http::serve_asking(ctx, any_port, &settings, configure, before_body)
        })
    }

    fn serving(serve: impl FnOnce(&Context, SocketAddr) -> std::io::Result<SocketAddr>) -> Self {
        let ctx = Context::new("test", Arc::new(SystemClock));
        let address = serve(&ctx, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { ctx, address, client: Client::new() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Waits until the metrics hold `line`.
    pub(crate) async fn has_metric(&self, line: &str) {
        until(|| self.ctx.metrics().render().contains(line), || self.ctx.metrics().render()).await;
    }
}

/// Waits, within bounds, until `holds`; says what there was instead.
pub(crate) async fn until(holds: impl Fn() -> bool, instead: impl FnOnce() -> String) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not come about:\n{}", instead());
}

pub(crate) async fn json(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}
