//! The socket for operators: probes and metrics, apart from the API's so that neither its load nor its
//! gateway stands in the way.

use std::{future::ready, io, net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::header::{CACHE_CONTROL, ContentType},
    web,
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{Context, health::Verdict};

/// A runtime that does not run an empty task in this time is stuck.
const RESPONSIVE_WITHIN: Duration = Duration::from_secs(1);

/// Answers `/livez`, `/readyz` and `/metrics`, until the very end of the process.
pub(crate) struct OpsServer {
    address: SocketAddr,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
}

impl OpsServer {
    /// Listens on `listen`, with a thread of its own.
    pub(crate) fn start(context: &Context, listen: SocketAddr) -> io::Result<Self> {
        let state = web::Data::new(context.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .route("/livez", web::get().to(livez))
                .route("/readyz", web::get().to(readyz))
                .route("/metrics", web::get().to(metrics))
        })
        .workers(1)
        .disable_signals()
        .bind(listen)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
        let address = server.addrs().first().copied().unwrap_or(listen);
        let server = server.run();
        Ok(Self { address, handle: server.handle(), server: tokio::spawn(server) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
        self.server.abort();
    }
}

/// 200 as long as the process gets anything done.
async fn livez(context: web::Data<Context>) -> HttpResponse {
    let task = context.tasks().runtime().spawn(ready(()));
    match timeout(RESPONSIVE_WITHIN, task).await {
        Ok(Ok(())) => HttpResponse::Ok().content_type(ContentType::plaintext()).body("alive\n"),
        _ => HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body("stuck\n"),
    }
}

/// 200 when the service can work, else 503; either way with every check's result.
async fn readyz(context: web::Data<Context>) -> HttpResponse {
    let readiness = context.health().readiness().await;
    let mut response = match readiness.status {
        Verdict::Ok => HttpResponse::Ok(),
        Verdict::Failed => HttpResponse::ServiceUnavailable(),
    };
    response.insert_header((CACHE_CONTROL, "no-store")).json(readiness)
}

async fn metrics(context: web::Data<Context>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(context.metrics().render())
}
