//! Starting an HTTP server, and ending it well.

use std::{
    any::Any,
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer, Resource,
    dev::{Server, ServiceRequest},
    error::{JsonPayloadError, PathError, QueryPayloadError},
    http::header::ContentType,
    middleware::{Condition, Next, from_fn},
    rt::net::TcpStream,
    web::{self, ServiceConfig},
};

use socket2::SockRef;

use super::{
    HttpError, HttpSettings,
    observe::{Observer, observe},
};
use crate::{BoxError, Context};

/// Serves the routes that `configure` adds, on `listen`, as a task of `context`. Returns the address
/// listened on, which tells the port when `listen` has port 0.
///
/// Handlers return `HttpError`s or what becomes one; unknown routes, wrong methods, panics and what
/// extractors refuse are answered in the same shape. Handlers find the limits on bodies as
/// `web::Data<BodyLimits>`. `configure` runs once per thread: make shared state outside of it.
///
/// On the soft stop the server accepts no more connections, closes idle ones and finishes running
/// requests; on the hard stop it waits for them no longer, and the end of the process cuts them.
///
/// Add routes as `web::resource(…).get(…)`: `App::route` answers a wrong method with 404 instead of 405.
///
/// # Errors
/// If the address cannot be listened on; the text names it.
pub fn serve<F>(
    context: &Context,
    listen: SocketAddr,
    settings: &HttpSettings,
    configure: F,
) -> io::Result<SocketAddr>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let listener = TcpListener::bind(listen)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr()?;
    let server = build(context, listener, settings, configure)?;
    let stop = context.clone();
    context.spawn("http", async move { run(server, &stop).await });
    tracing::info!(service = context.name(), %address, "listening");
    Ok(address)
}

fn build<F>(
    context: &Context,
    listener: TcpListener,
    settings: &HttpSettings,
    configure: F,
) -> io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let observer = web::Data::new(Observer {
        service: context.name(),
        metrics: context.http_metrics().clone(),
        max_head_bytes: settings.max_head_size.as_len(),
    });
    let body_limits = web::Data::new(settings.body.clone());
    let cors = settings.cors.clone();
    let mut server = HttpServer::new(move || {
        let observer = observer.clone();
        App::new()
            .app_data(body_limits.clone())
            .configure(refuse_in_shape)
            .configure(configure.clone())
            .default_service(web::to(unknown_route))
            .wrap(Condition::new(cors.enabled(), cors.middleware()))
            .wrap(from_fn(move |req: ServiceRequest, next: Next<_>| observe(observer.clone(), req, next)))
    })
    .keep_alive(settings.keep_alive.as_duration())
    .client_request_timeout(settings.head_timeout.as_duration())
    .on_connect({
        let stall_timeout = settings.stall_timeout.as_duration();
        move |connection, _| drop_when_stalled(connection, stall_timeout)
    })
    .client_disconnect_timeout(settings.disconnect_timeout.as_duration())
    .max_connections(settings.max_connections)
    // An answer of several writes on a kept-alive connection would wait 40 ms for the client's
    // delayed acknowledgement.
    .tcp_nodelay(true)
    .disable_signals()
    // Its own patience is without end: the context knows when the time is up.
    .shutdown_timeout(u64::from(u32::MAX));
    if let Some(workers) = settings.workers {
        server = server.workers(workers.max(1));
    }
    Ok(server.listen(listener)?.run())
}

/// Lets the kernel break a connection whose client takes nothing for so long. The server below would wait
/// for ever: it has no timeout for writing.
fn drop_when_stalled(connection: &dyn Any, after: Duration) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>()
        && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(after))
    {
        tracing::debug!(%error, "a connection has no limit on stalling");
    }
}

async fn run(server: Server, context: &Context) -> Result<(), BoxError> {
    let handle = server.handle();
    let mut ended = tokio::spawn(server);
    tokio::select! {
        ended = &mut ended => {
            ended??;
            return Err("the HTTP server ended by itself".into());
        }
        () = context.soft_stop().cancelled() => {}
    }
    tokio::select! {
        () = handle.stop(true) => ended.await??,
        // While it drains, the server hears nothing. Its threads are left to the end of the process, which
        // is near, and closes their connections.
        () = context.hard_stop().cancelled() => ended.abort(),
    }
    Ok(())
}

/// What extractors refuse is answered like all errors.
fn refuse_in_shape(app: &mut ServiceConfig) {
    app.app_data(
        web::PathConfig::default().error_handler(|error: PathError, _| {
            HttpError::not_found("no such path").caused_by(error).into()
        }),
    )
    .app_data(
        web::QueryConfig::default()
            .error_handler(|error: QueryPayloadError, _| HttpError::bad_request(error.to_string()).into()),
    )
    .app_data(web::JsonConfig::default().error_handler(|error: JsonPayloadError, _| {
        HttpError::bad_request(format!("invalid JSON: {error}")).into()
    }));
}

async fn unknown_route() -> Result<HttpResponse, HttpError> {
    Err(HttpError::not_found("no such path"))
}

/// The route `/openapi.json`, which answers `document`.
pub fn openapi(document: impl Into<bytes::Bytes>) -> Resource {
    let document = document.into();
    web::resource("/openapi.json").get(move || {
        let document = document.clone();
        async move { HttpResponse::Ok().content_type(ContentType::json()).body(document) }
    })
}
