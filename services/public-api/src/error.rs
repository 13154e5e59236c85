//! What is answered when something is wrong (S0-20, S0-42 to S0-47).

use access::IdentityError;
use actix_web::http::StatusCode;
use blobs::StorageError;
use bus::EventError;
use domain::{
    CreateError, ListError,
    ids::{ExportId, ResourceId},
    registry::NotOffered,
};
use service::http::HttpError;
use store::StoreError;

/// Everything that an endpoint refuses or fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("Bad Request: {0}")]
    Identity(IdentityError),
    #[error("invalid x-rh-exports-psk header")]
    ServiceKey,
    #[error("'{0}' is not a valid export UUID")]
    NotAnExportId(String),
    #[error("record '{0}' not found")]
    NotFound(ExportId),
    #[error("'{0}' is not a valid source UUID")]
    NotASourceId(String),
    #[error("record '{0}' not found")]
    NoSource(ResourceId),
    #[error("source '{0}' has not failed")]
    NotFailed(ResourceId),
    #[error("'{0}' has expired")]
    Expired(ExportId),
    #[error("'{0}' is not ready for download")]
    NotReady(ExportId),
    #[error("every source of '{0}' failed: there is nothing to download")]
    AllFailed(ExportId),
    #[error("the archive is not the one that If-Match names")]
    PreconditionFailed,
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("a source is too large to be asked for")]
    EventTooLarge,
    #[error("a source cannot be asked for")]
    Event(#[source] EventError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the manifest of '{0}' cannot be laid out")]
    Layout(ExportId, #[source] archive::zip::LayoutError),
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl From<NotOffered> for ApiError {
    fn from(error: NotOffered) -> Self {
        Self::Create(error.into())
    }
}

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::TooLarge { .. } => Self::EventTooLarge,
            EventError::Json(_) | EventError::Schema(_) => Self::Event(error),
        }
    }
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        match error {
            ApiError::Identity(_) => Self::bad_request(message).plain_text(),
            ApiError::ServiceKey => Self::unauthorized(message),
            ApiError::NotAnExportId(_)
            | ApiError::NotASourceId(_)
            | ApiError::NotReady(_)
            | ApiError::AllFailed(_)
            | ApiError::List(_) => Self::bad_request(message),
            ApiError::NotFound(_) | ApiError::NoSource(_) => Self::not_found(message),
            ApiError::NotFailed(_) => Self::new(StatusCode::CONFLICT, message),
            ApiError::Expired(_) => Self::gone(message),
            ApiError::PreconditionFailed => Self::new(StatusCode::PRECONDITION_FAILED, message),
            ApiError::Create(refused) => Self::new(create_status(&refused), message),
            ApiError::EventTooLarge => Self::payload_too_large(message),
            ApiError::Event(source) => Self::bad_request(message).caused_by(source),
            ApiError::Store(source) if source.is_transient() => Self::unavailable(source),
            ApiError::Store(source) => Self::internal(source),
            ApiError::Storage(source) if source.is_transient() => Self::unavailable(source),
            ApiError::Storage(source) => Self::internal(source),
            ApiError::Layout(_, source) => Self::internal(source),
            ApiError::Http(error) => error,
        }
    }
}

impl From<ApiError> for actix_web::Error {
    fn from(error: ApiError) -> Self {
        HttpError::from(error).into()
    }
}

fn create_status(error: &CreateError) -> StatusCode {
    match error {
        CreateError::NotConfigured(_) => StatusCode::NOT_ACCEPTABLE,
        CreateError::TooManySources(_) => StatusCode::PAYLOAD_TOO_LARGE,
        CreateError::NotAnObject
        | CreateError::MissingName
        | CreateError::InvalidName(_)
        | CreateError::InvalidFormat
        | CreateError::NoSources
        | CreateError::InvalidSource
        | CreateError::InvalidFilters
        | CreateError::InvalidCsv(_)
        | CreateError::InvalidDate(_)
        | CreateError::PastExpiry => StatusCode::BAD_REQUEST,
    }
}
