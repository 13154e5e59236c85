//! What is answered when something is wrong (S0-17, S0-43, S0-47, S0-48).

use access::{InvalidSegment, KeyError};
use actix_web::http::StatusCode;
use blobs::{PutError, StorageError};
use domain::{
    ByteSize,
    ids::{ExportId, ResourceId},
};
use service::http::HttpError;
use store::StoreError;

use crate::{inflate::UploadError, settings::DuplicateUploadStatus};

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
    Body(#[from] UploadError),
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

/// A limit as clients in the field know it: 500 MiB is `500MB` to them (S0-48).
pub(crate) fn in_customary_units(limit: ByteSize) -> String {
    limit.to_string().replace("iB", "B")
}

impl ApiError {
    /// What a failed upload is answered with, where `limit` was its limit.
    pub(crate) fn of_put(error: PutError<UploadError>, limit: ByteSize) -> Self {
        match error {
            PutError::TooLarge { .. } => Self::TooLarge(limit),
            PutError::Body(error) => Self::Body(error),
            PutError::Storage(error) => Self::Storage(error),
            PutError::Journal(error) => Self::Journal(error),
        }
    }
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
            | ApiError::AlreadyProcessed(DuplicateUploadStatus::BadRequest) => Self::bad_request(message),
            ApiError::Key(KeyError::Unknown) | ApiError::NoOperator => Self::unauthorized(message),
            ApiError::Key(KeyError::OtherApplication) | ApiError::OtherApplication => {
                Self::forbidden(message)
            }
            ApiError::NoExport(_) | ApiError::NoResource(_) | ApiError::NoApplication(_) => {
                Self::not_found(message)
            }
            ApiError::AlreadyProcessed(DuplicateUploadStatus::Gone) => Self::gone(message),
            ApiError::TooLarge(_) => Self::payload_too_large(message),
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
