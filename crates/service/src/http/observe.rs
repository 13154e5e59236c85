//! What every request goes through: an id, a span, one log line, figures, and a net for panics.

mod body;
mod metrics;

use std::{cell::Cell, panic::AssertUnwindSafe, rc::Rc, time::Duration};

use actix_web::{
    Error, HttpMessage as _, HttpResponse, ResponseError as _,
    body::{BodySize, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
    web,
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

pub(super) use self::body::ObservedBody;
pub(crate) use self::metrics::HttpMetrics;
use super::{
    HttpError, RequestId,
    request_id::{self, CURRENT},
    request_span,
};
use crate::tasks::Panicked;

/// The route of what no route was found for.
const UNMATCHED: &str = "unmatched";

/// What observing needs to know of the server.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    pub(super) service: &'static str,
    pub(super) metrics: HttpMetrics,
    pub(super) max_head_bytes: usize,
}

/// Where a request has got to; its end is logged and counted when this is dropped, which is when the
/// last of the answer was handed to the connection, or the connection was lost.
#[derive(Debug)]
pub(super) struct Exchange {
    metrics: HttpMetrics,
    span: Span,
    method: &'static str,
    path: String,
    route: String,
    /// `None` until there is an answer: a client may leave before.
    status: Option<StatusCode>,
    started: Instant,
    answered_after: Duration,
    bytes_in: Rc<Cell<u64>>,
    bytes_out: u64,
    /// Whether the whole answer was handed over.
    complete: bool,
}

/// The middleware. An answer made here and one of `next` look alike.
pub(super) async fn observe(
    observer: web::Data<Observer>,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<ObservedBody>, Error> {
    let id = RequestId::of(req.headers());
    let mut exchange = Exchange::begin(&observer, &mut req, &id);
    let span = exchange.span.clone();
    let head_fits = head_bytes(&req) <= observer.max_head_bytes;
    let handled = async move {
        if !head_fits {
            let refusal =
                HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large");
            return Ok(req.into_response(refusal.error_response()));
        }
        // Inside the block, so that a panic before the first await is caught as well.
        match AssertUnwindSafe(async { next.call(req).await }).catch_unwind().await {
            Ok(result) => result.map(ServiceResponse::map_into_boxed_body),
            Err(panic) => Err(HttpError::internal(Panicked::new(panic.as_ref())).into()),
        }
    };
    let result = CURRENT.scope(id.clone(), handled).instrument(span.clone()).await;
    // The server stops reading when nobody takes in a body, and nothing wakes it when nobody will any more: the
    // client would wait with the rest, and with its next request. So it looks once more before it has the answer.
    tokio::task::yield_now().await;
    let _entered = span.enter();
    match result {
        Ok(response) => {
            let route = response.request().match_pattern();
            let (request, response) = response.into_parts();
            let response = finish(response, &id);
            exchange.answered(route, &response);
            let response = response.map_body(|_, body| ObservedBody::new(body, exchange));
            Ok(ServiceResponse::new(request, response))
        }
        Err(error) => {
            // The request went down with the error: the server makes the answer of what we give it.
            let response = CURRENT.sync_scope(id.clone(), || error.error_response());
            log_failure(&error);
            let response = finish(response, &id);
            exchange.answered(None, &response);
            exchange.complete = true;
            Err(InternalError::from_response(error, response).into())
        }
    }
}

impl Exchange {
    fn begin(observer: &Observer, req: &mut ServiceRequest, id: &RequestId) -> Self {
        let method = metrics::method_label(req.method());
        let span = request_span::begin(observer.service, id, method, req);
        observer.metrics.in_flight.add([], 1.0);
        Self {
            metrics: observer.metrics.clone(),
            span,
            method,
            path: req.path().to_owned(),
            route: UNMATCHED.to_owned(),
            status: None,
            started: Instant::now(),
            answered_after: Duration::ZERO,
            bytes_in: count_bytes_in(req),
            bytes_out: 0,
            complete: false,
        }
    }

    fn answered(&mut self, route: Option<String>, response: &HttpResponse) {
        if let Some(route) = route {
            self.route = route;
        }
        self.status = Some(response.status());
        self.answered_after = self.started.elapsed();
        self.complete =
            matches!(response.body().size(), BodySize::None | BodySize::Sized(0)) || self.method == "HEAD";
        self.metrics.answered(&self.route, self.method, response.status(), self.answered_after);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.metrics.ended(&self.route, self.bytes_in.get(), self.bytes_out, self.complete);
        let _entered = self.span.enter();
        let status = self.status.map(|status| status.as_u16());
        tracing::info!(
            target: "access",
            {
                http.route = self.route,
                http.status = status,
                bytes_in = self.bytes_in.get(),
                bytes_out = self.bytes_out,
                answered_ms = millis(self.answered_after),
                duration_ms = millis(self.started.elapsed()),
                complete = self.complete,
            },
            "{} {} {}",
            self.method,
            self.path,
            status.map_or_else(|| "abandoned".to_owned(), |status| status.to_string()),
        );
    }
}

/// Gives the answer its id and the headers and body that every answer has, and logs what failed.
fn finish(response: HttpResponse, id: &RequestId) -> HttpResponse {
    if let Some(error) = response.error() {
        log_failure(error);
    }
    let mut response = with_error_body(response);
    let headers = response.headers_mut();
    if let Some(value) = id.header_value() {
        headers.insert(request_id::HEADER, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        // What we answer is one caller's own, unless a handler says otherwise.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Routing answers a wrong method with an `Allow` header and no body.
fn with_error_body(response: HttpResponse) -> HttpResponse {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || response.body().size() != BodySize::Sized(0) {
        return response;
    }
    let error = HttpError::new(response.status(), "method not allowed").error_response();
    let content_type = error.headers().clone();
    let mut response = response.set_body(error.into_body());
    for (name, value) in &content_type {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn log_failure(error: &Error) {
    let status = error.as_response_error().status_code();
    let text = match error.as_error::<HttpError>() {
        Some(error) => crate::chain(error),
        None => error.to_string(),
    };
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(error = text, "a request could not be served for now");
        }
        status if status.is_server_error() => tracing::error!(error = text, "a request failed"),
        _ => tracing::debug!(error = text, "a request was refused"),
    }
}

/// The bytes of path, header names and header values.
fn head_bytes(req: &ServiceRequest) -> usize {
    let headers = req.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.sum::<usize>() + req.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

/// Counts the bytes of the request's body as the handler reads them.
fn count_bytes_in(req: &mut ServiceRequest) -> Rc<Cell<u64>> {
    let count = Rc::new(Cell::new(0));
    if has_body(req.headers()) {
        let counter = Rc::clone(&count);
        let counted = req.take_payload().inspect(move |chunk| {
            if let Ok(bytes) = chunk {
                counter.set(counter.get() + bytes.len() as u64);
            }
        });
        req.set_payload(Payload::Stream { payload: counted.boxed_local() });
    }
    count
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
