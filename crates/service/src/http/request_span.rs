//! The span of a request, which all its log lines carry: what is known from the start, and what becomes known
//! on the way.

use actix_web::dev::ServiceRequest;
use tracing::{Span, field::Empty};

use super::RequestId;

/// What a service finds out about a request while it handles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The organization of the caller.
    Organization,
    /// The export that the request is about.
    Export,
    /// The application that calls.
    Application,
}

impl Fact {
    fn field(self) -> &'static str {
        match self {
            Self::Organization => "org.id",
            Self::Export => "export.id",
            Self::Application => "application",
        }
    }
}

pub(super) fn begin(service: &'static str, id: &RequestId, method: &str, req: &ServiceRequest) -> Span {
    tracing::info_span!(
        "request",
        service,
        request.id = %id,
        http.method = method,
        http.path = req.path(),
        org.id = Empty,
        export.id = Empty,
        application = Empty,
    )
}

/// Lets the log lines of the request that is being handled say `fact` from now on. Outside of a request nothing
/// happens.
pub fn note(fact: Fact, value: impl std::fmt::Display) {
    Span::current().record(fact.field(), tracing::field::display(value));
}
