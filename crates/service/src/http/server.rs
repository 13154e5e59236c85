//! Starting an HTTP server, and ending it well.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_http::{HttpService, Request};
use actix_service::map_config;
use actix_web::{
    App, Error, HttpResponse, Resource, Route,
    dev::{AppConfig, Server, Service, ServiceFactory, ServiceRequest, ServiceResponse},
    error::{JsonPayloadError, PathError, QueryPayloadError},
    http::{StatusCode, header::ContentType},
    middleware::{Condition, Next, from_fn},
    rt::net::TcpStream,
    web::{self, ServiceConfig},
};

use socket2::SockRef;

use super::{
    BodyLimits, CorsSettings, HttpError, HttpSettings,
    before_body::expectations,
    observe::{ObservedBody, Observer, observe},
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
    serve_asking(context, listen, settings, configure, |_| {})
}

/// As [`serve`], for a service that looks at requests before their bodies come. A client that waits to be told so
/// (`Expect: 100-continue`) is answered by the routes that `before_body` adds: 100 has it send the body to the
/// routes of `configure`, any other answer is the one it gets. Where `before_body` has no route it is told to go on.
///
/// # Errors
/// As [`serve`].
pub fn serve_asking<F, G>(
    context: &Context,
    listen: SocketAddr,
    settings: &HttpSettings,
    configure: F,
    before_body: G,
) -> io::Result<SocketAddr>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    G: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let listener = TcpListener::bind(listen)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr()?;
    let server = build(context, listener, settings, configure, before_body)?;
    let stop = context.clone();
    context.spawn("http", async move { run(server, &stop).await });
    tracing::info!(service = context.name(), %address, "listening");
    Ok(address)
}

fn build<F, G>(
    context: &Context,
    listener: TcpListener,
    settings: &HttpSettings,
    configure: F,
    before_body: G,
) -> io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    G: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let observer = web::Data::new(Observer {
        service: context.name(),
        metrics: context.http_metrics().clone(),
        max_head_bytes: settings.max_head_size.as_len(),
    });
    let body_limits = web::Data::new(settings.body.clone());
    let routes = Routes { observer, body_limits, cors: settings.cors.clone() };
    let (keep_alive, settings) = (settings.keep_alive.as_duration(), settings.clone());
    let mut server = Server::build()
        .max_concurrent_connections(settings.max_connections)
        .disable_signals()
        // Its own patience is without end: the context knows when the time is up.
        .shutdown_timeout(u64::from(u32::MAX));
    if let Some(workers) = settings.workers {
        server = server.workers(workers.max(1));
    }
    let stopping = server.graceful_shutdown_signal();
    let stall_timeout = settings.stall_timeout.as_duration();
    let listening = server.listen("http", listener, move || {
        let (routes, configure, stopping) = (routes.clone(), configure.clone(), stopping.clone());
        let asked = (routes.clone(), before_body.clone());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(settings.head_timeout.as_duration())
            .client_disconnect_timeout(settings.disconnect_timeout.as_duration())
            .on_connect_ext(move |connection: &TcpStream, _| drop_when_stalled(connection, stall_timeout))
            // An answer of several writes on a kept-alive connection would wait 40 ms for the client's
            // delayed acknowledgement.
            .tcp_nodelay(true)
            .expect(expectations(move || asked.0.clone().app(asked.1.clone(), web::to(go_on))))
            .finish(routes.app(configure, web::to(unknown_route)))
            .tcp()
    })?;
    Ok(listening.run())
}

/// What all routes of a server share.
#[derive(Debug, Clone)]
struct Routes {
    observer: web::Data<Observer>,
    body_limits: web::Data<BodyLimits>,
    cors: CorsSettings,
}

impl Routes {
    /// The routes that `configure` adds, and `other` for every other path.
    fn app<F>(
        self,
        configure: F,
        other: Route,
    ) -> impl ServiceFactory<
        Request,
        Config = (),
        Response = ServiceResponse<ObservedBody>,
        Error = Error,
        InitError = (),
        Service: Service<Request, Future: 'static>,
        Future: 'static,
    >
    where
        F: FnOnce(&mut ServiceConfig),
    {
        let observer = self.observer;
        let app = App::new()
            .app_data(self.body_limits)
            .configure(refuse_in_shape)
            .configure(configure)
            .default_service(other)
            .wrap(Condition::new(self.cors.enabled(), self.cors.middleware()))
            .wrap(from_fn(move |req: ServiceRequest, next: Next<_>| observe(observer.clone(), req, next)));
        map_config(app, |()| AppConfig::default())
    }
}

/// Lets the kernel break a connection whose client takes nothing for so long. The server below would wait
/// for ever: it has no timeout for writing.
fn drop_when_stalled(connection: &TcpStream, after: Duration) {
    if let Err(error) = SockRef::from(connection).set_tcp_user_timeout(Some(after)) {
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

/// Nobody has looked at the request: its body may come.
async fn go_on() -> HttpResponse {
    HttpResponse::new(StatusCode::CONTINUE)
}

/// The route `/openapi.json`, which answers `document`.
pub fn openapi(document: impl Into<bytes::Bytes>) -> Resource {
    let document = document.into();
    web::resource("/openapi.json").get(move || {
        let document = document.clone();
        async move { HttpResponse::Ok().content_type(ContentType::json()).body(document) }
    })
}
