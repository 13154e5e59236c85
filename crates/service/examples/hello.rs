//! The smallest service: one route, one loop. The tests run it as a process.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use service::{
    BoxError, Context, ServiceSettings,
    http::{self, HttpSettings},
    worker::{Outcome, Worker},
};

/// All that the service reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    hello: HelloSettings,
}

/// The service's own section.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HelloSettings {
    /// Where the API listens.
    listen: SocketAddr,
    /// Where probes and Prometheus ask.
    ops_listen: SocketAddr,
    /// Whether the loop fails, to show what happens then.
    #[serde(default)]
    panics: bool,
}

impl ServiceSettings for Settings {
    fn ops_listen(&self) -> SocketAddr {
        self.hello.ops_listen
    }
}

fn main() -> ExitCode {
    service::run("hello", wire)
}

async fn wire(ctx: Context, settings: Settings) -> Result<(), BoxError> {
    ctx.health().register("self", || async { Ok::<_, BoxError>(()) });
    Worker::new("loop", Duration::from_millis(50)).start(&ctx, move || async move {
        assert!(!settings.hello.panics, "told to");
        Ok::<_, BoxError>(Outcome::Idle)
    });
    http::serve(&ctx, settings.hello.listen, &HttpSettings::default(), |app| {
        app.route("/hello", web::get().to(HttpResponse::Ok)).route("/slow", web::get().to(slow));
    })?;
    Ok(())
}

/// Takes longer than anybody waits.
async fn slow() -> HttpResponse {
    tokio::time::sleep(Duration::from_mins(10)).await;
    HttpResponse::Ok().finish()
}
