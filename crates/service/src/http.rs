//! HTTP servers: one way to start them, one shape of errors, and what every request goes through.
//!
//! From the outside in, a request passes: its id, span, log line and figures, with panics caught
//! (`observe`); CORS; then the routes, with the limits that a service puts before them.

mod before_body;
mod body;
mod cors;
mod error;
mod observe;
mod patience;
mod rate_limit;
mod request_id;
mod request_span;
mod server;
mod settings;

pub use body::{BodyError, BodyLimits, BodyStream, read_body, read_json};
pub use cors::CorsSettings;
pub use error::{ErrorBody, HttpError};
pub(crate) use observe::HttpMetrics;
pub use rate_limit::{RateLimit, RateLimitSettings};
pub use request_id::{RequestId, current_request_id};
pub use request_span::{Fact, note};
pub use server::{openapi, serve, serve_asking};
pub use settings::HttpSettings;
