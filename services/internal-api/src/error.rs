//! What is answered when something is wrong (S0-17, S0-43, S0-47, S0-48).

use access::{InvalidSegment, KeyError, oidc::KeysUnavailable};
use actix_web::http::StatusCode;
use blobs::StorageError;
use domain::{
    ByteSize,
    ids::{ExportId, ResourceId},
};
use receive::{UploadError, in_customary_units};
use service::http::{self, HttpError};
use store::StoreError;

use crate::settings::DuplicateUploadStatus;

/// Why the body of a request does not come to its end.
pub(crate) type BodyError = UploadError<http::BodyError>;

/// What a client is told of how to call (RFC 6750, section 3).
const BAD_TOKEN: &str = r#"Bearer error="invalid_token""#;

/// Everything that an endpoint refuses or fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("missing x-rh-exports-psk header")]
    MissingKey,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("invalid x-rh-exports-psk header")]
    NoOperator,
    #[error("application '{0}' not found")]
    NoApplication(String),
    #[error("invalid bearer token")]
    Token,
    #[error("the issuer of the token cannot be asked now")]
    Issuer(#[source] KeysUnavailable),
    #[error("the client of this bearer token does not belong to the application")]
    OtherClient,
    #[error("the application of the path is not a name: {0}")]
    Application(InvalidSegment),
    #[error("'{0}' is not a valid export UUID")]
    NotAnExportId(String),
    #[error("'{0}' is not a valid resource UUID")]
    NotAResourceId(String),
    #[error("record '{0}' not found")]
    NoExport(ExportId),
    #[error("record '{0}' not found")]
    NoResource(ResourceId),
    #[error("the resource belongs to another application")]
    OtherApplication,
    #[error("this resource has already been processed")]
    AlreadyProcessed(DuplicateUploadStatus),
    #[error("payload is too large, max size: {}", in_customary_units(*.0))]
    TooLarge(ByteSize),
    #[error("Both 'message' and 'code' are required fields")]
    IncompleteReport,
    #[error("Content-Encoding must be gzip or identity")]
    UnknownEncoding,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the upload was given up because its lease ran out")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the upload could not be noted")]
    Journal(#[source] blobs::JournalError),
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        match error {
            ApiError::MissingKey
            | ApiError::Application(_)
            | ApiError::NotAnExportId(_)
            | ApiError::NotAResourceId(_)
            | ApiError::IncompleteReport
            | ApiError::Body(UploadError::Utf16)
            | ApiError::AlreadyProcessed(DuplicateUploadStatus::BadRequest) => Self::bad_request(message),
            ApiError::Key(KeyError::Unknown) | ApiError::NoOperator => Self::unauthorized(message),
            ApiError::Token => Self::unauthorized(message).challenge(BAD_TOKEN),
            ApiError::Key(KeyError::OtherApplication)
            | ApiError::OtherApplication
            | ApiError::OtherClient => Self::forbidden(message),
            ApiError::Issuer(source) => Self::unavailable(source),
            ApiError::NoExport(_) | ApiError::NoResource(_) | ApiError::NoApplication(_) => {
                Self::not_found(message)
            }
            ApiError::AlreadyProcessed(DuplicateUploadStatus::Gone) => Self::gone(message),
            ApiError::TooLarge(_) | ApiError::Body(UploadError::TooLarge) => Self::payload_too_large(message),
            ApiError::UnknownEncoding => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            ApiError::Body(UploadError::Received(error)) => error.into(),
            ApiError::Body(UploadError::NotGzip(error)) => Self::bad_request(message).caused_by(error),
            ApiError::LeaseLost | ApiError::Body(UploadError::Interrupted) => Self::unavailable(message),
            ApiError::Store(source) if source.is_transient() => Self::unavailable(source),
            ApiError::Store(source) => Self::internal(source),
            ApiError::Storage(source) if source.is_transient() => Self::unavailable(source),
            ApiError::Storage(source) => Self::internal(source),
            ApiError::Journal(source) => Self::unavailable(source),
            ApiError::Http(error) => error,
        }
    }
}

impl From<ApiError> for actix_web::Error {
    fn from(error: ApiError) -> Self {
        HttpError::from(error).into()
    }
}
