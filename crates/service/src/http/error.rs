//! Errors as clients see them (S0-43): `{"message": …, "code": <http status>}`.

use std::{borrow::Cow, error::Error, fmt, time::Duration};

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{ContentType, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::current_request_id;
use crate::BoxError;

/// What clients are told to wait when something that the service needs is away.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong, for people.
    pub message: String,
    /// The HTTP status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub code: u16,
}

/// An answer that says what went wrong. A service's own error enum becomes one by `From`, in one
/// exhaustive match, and an `actix_web::Error` by way of it, so that handlers can return that enum.
///
/// A 5xx shows clients a fixed sentence and the id of the request, whatever its message; its cause is
/// logged, once.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: Cow<'static, str>,
    plain_text: bool,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
    source: Option<BoxError>,
}

impl HttpError {
    /// An answer with `status`, which tells `message`.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            plain_text: false,
            retry_after: None,
            challenge: None,
            source: None,
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 410.
    pub fn gone(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, message)
    }

    /// 413.
    pub fn payload_too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 500: a mistake in the program or its data; a person should look.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error").caused_by(cause)
    }

    /// 503 with `Retry-After`: something that the service needs is away for the moment.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            .caused_by(cause)
            .retry_after(UNAVAILABLE_RETRY_AFTER)
    }

    /// Keeps what led to it, for the log.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<BoxError>) -> Self {
        Self { source: Some(cause.into()), ..self }
    }

    /// Adds `Retry-After`, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Adds `WWW-Authenticate`, which says how to call instead (RFC 9110, section 11.6.1).
    #[must_use]
    pub fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// Answers with the message alone, as `text/plain`, where the contract says so (S0-20).
    #[must_use]
    pub fn plain_text(self) -> Self {
        Self { plain_text: true, ..self }
    }

    fn visible_message(&self) -> Cow<'_, str> {
        if !self.status.is_server_error() {
            return Cow::Borrowed(&self.message);
        }
        let sentence = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => "the service is unavailable for the moment, please try again",
            _ => "something went wrong on our side",
        };
        match current_request_id() {
            Some(id) => format!("{sentence} (request {id})").into(),
            None => sentence.into(),
        }
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, whole_seconds(wait)));
        }
        if let Some(challenge) = self.challenge {
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        let message = self.visible_message().into_owned();
        if self.plain_text {
            return response.content_type(ContentType::plaintext()).body(message);
        }
        response.json(ErrorBody { message, code: self.status.as_u16() })
    }
}

/// `wait` in seconds, rounded up, at least one: a client that comes back at once helps nobody.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
