//! What Prometheus learns of requests.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use crate::metrics::{Counter, Gauge, Histogram, Metrics, SECONDS};

/// Figures of all HTTP servers of a service. Routes are patterns, never paths: a path holds ids, and
/// each would be a series of its own.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    requests: Counter<3>,
    seconds: Histogram<2>,
    bytes_in: Counter<1>,
    bytes_out: Counter<1>,
    broken_off: Counter<1>,
    pub(super) in_flight: Gauge<0>,
}

impl HttpMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter(
                "http_requests_total",
                "Requests answered.",
                ["route", "method", "status"],
            ),
            seconds: metrics.histogram(
                "http_request_seconds",
                "Time until the head of the answer.",
                ["route", "method"],
                SECONDS,
            ),
            bytes_in: metrics.counter("http_request_bytes_total", "Bytes of requests' bodies.", ["route"]),
            bytes_out: metrics.counter("http_response_bytes_total", "Bytes of answers' bodies.", ["route"]),
            broken_off: metrics.counter(
                "http_responses_broken_off_total",
                "Answers whose body was not sent to its end.",
                ["route"],
            ),
            in_flight: metrics.gauge(
                "http_requests_in_flight",
                "Requests not yet answered to the last byte.",
                [],
            ),
        }
    }

    pub(super) fn answered(&self, route: &str, method: &str, status: StatusCode, after: Duration) {
        self.requests.inc([route, method, status.as_str()]);
        self.seconds.observe([route, method], after.as_secs_f64());
    }

    pub(super) fn ended(&self, route: &str, bytes_in: u64, bytes_out: u64, complete: bool) {
        self.in_flight.add([], -1.0);
        self.bytes_in.add([route], bytes_in);
        self.bytes_out.add([route], bytes_out);
        if !complete {
            self.broken_off.inc([route]);
        }
    }
}

/// The method, where it is one that APIs have; clients may make up others without end.
pub(super) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
