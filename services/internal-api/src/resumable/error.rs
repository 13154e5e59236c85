//! Why a request for a resumable upload is refused, besides what any upload is refused for.

use actix_web::http::StatusCode;
use domain::ids::UploadId;
use service::http::HttpError;

use crate::error::ApiError;

/// See the protocol for the statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResumableError {
    #[error("Tus-Resumable must be 1.0.0")]
    OtherVersion,
    #[error("'{0}' is not a valid upload UUID")]
    NotAnUploadId(String),
    #[error("upload '{0}' not found")]
    NoUpload(UploadId),
    #[error("upload '{0}' has expired")]
    Expired(UploadId),
    #[error("{0} is missing or not what the protocol has it")]
    InvalidHeader(&'static str),
    #[error("either Upload-Length or Upload-Defer-Length: 1 is required")]
    NoLength,
    #[error("Upload-Length is not what it was, or less than what has arrived")]
    OtherLength,
    #[error("the upload has more bytes than its Upload-Length")]
    BeyondLength,
    #[error("Content-Type must be application/offset+octet-stream, without a Content-Encoding")]
    OtherMediaType,
    #[error("the upload goes on at offset {0}")]
    OtherOffset(u64),
    #[error("another request is adding to this upload")]
    Busy,
    #[error("Upload-Checksum must be sha1 or sha256")]
    UnknownChecksum,
    #[error("the data does not have the checksum of Upload-Checksum")]
    OtherChecksum,
}

/// 460, which the protocol defines and no registry knows.
fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST)
}

impl From<ResumableError> for HttpError {
    fn from(error: ResumableError) -> Self {
        let message = error.to_string();
        match error {
            ResumableError::OtherVersion => Self::new(StatusCode::PRECONDITION_FAILED, message),
            ResumableError::NotAnUploadId(_)
            | ResumableError::InvalidHeader(_)
            | ResumableError::NoLength
            | ResumableError::OtherLength
            | ResumableError::BeyondLength
            | ResumableError::UnknownChecksum => Self::bad_request(message),
            ResumableError::NoUpload(_) => Self::not_found(message),
            ResumableError::Expired(_) => Self::gone(message),
            ResumableError::OtherMediaType => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            ResumableError::OtherOffset(_) => Self::new(StatusCode::CONFLICT, message),
            ResumableError::Busy => Self::new(StatusCode::LOCKED, message),
            ResumableError::OtherChecksum => Self::new(checksum_mismatch(), message),
        }
    }
}

impl From<ResumableError> for ApiError {
    fn from(error: ResumableError) -> Self {
        Self::Http(error.into())
    }
}
