//! Why data was not taken in.

use archive::gzip::InvalidGzip;
use blobs::{JournalError, PutError, StorageError};
use domain::ByteSize;
use spreadsheet::Utf16;
use store::StoreError;

/// Why the bytes of a delivery do not come to an end; `E` is the error of whoever brings them.
#[derive(Debug, thiserror::Error)]
pub enum UploadError<E> {
    /// They could not be received.
    #[error(transparent)]
    Received(E),
    /// What was to be gzip is not.
    #[error("the payload is not valid gzip")]
    NotGzip(#[from] InvalidGzip),
    /// CSV that is to be changed for spreadsheets is in UTF-16, where its cells would not be found.
    #[error("the CSV of this source is changed for spreadsheets and must be in UTF-8, not UTF-16")]
    Utf16,
    /// There are more than the limit, noticed before they are stored.
    #[error("the payload is too large")]
    TooLarge,
    /// The process is stopping.
    #[error("the payload could not be read to its end")]
    Interrupted,
}

/// Why a source was not settled with what came for it.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError<E> {
    /// The export does not exist any more, was deleted, or has expired.
    #[error("the export is gone")]
    NoExport,
    /// The export has no such source.
    #[error("the export has no such source")]
    NoResource,
    /// The source was answered otherwise before.
    #[error("this resource has already been processed")]
    AlreadyProcessed,
    /// There are more bytes than this limit. A source that was pending has failed for it (S0-48).
    #[error("payload is too large, max size: {}", in_customary_units(*.0))]
    TooLarge(ByteSize),
    /// The process lost its lease on the delivery, as when it was suspended; it may be repeated.
    #[error("the upload was given up because its lease ran out")]
    LeaseLost,
    /// The bytes did not come to their end; the source stays open.
    #[error(transparent)]
    Body(#[from] UploadError<E>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Object storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database, when the upload was to be noted in it.
    #[error("the upload could not be noted")]
    Journal(#[source] JournalError),
}

/// A limit as clients in the field know it: 500 MiB is `500MB` to them (S0-48).
pub fn in_customary_units(limit: ByteSize) -> String {
    limit.to_string().replace("iB", "B")
}

impl<E> DeliveryError<E> {
    /// What a failed upload comes to, where `limit` was its limit.
    pub fn of_put(error: PutError<UploadError<E>>, limit: ByteSize) -> Self {
        match error {
            PutError::TooLarge { .. } | PutError::Body(UploadError::TooLarge) => Self::TooLarge(limit),
            PutError::Body(error) => Self::Body(error),
            PutError::Storage(error) => Self::Storage(error),
            PutError::Journal(error) => Self::Journal(error),
        }
    }
}

impl<E> From<Utf16> for UploadError<E> {
    fn from(Utf16: Utf16) -> Self {
        Self::Utf16
    }
}
