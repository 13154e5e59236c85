//! An upload for a source that is complete: the same bytes are welcome, others are not (S0-47c).

use bytes::Bytes;
use domain::{ByteSize, StoredData};
use futures_util::{Stream, TryStreamExt as _, pin_mut};
use sha2::{Digest as _, Sha256};

use crate::{api::Api, error::ApiError, inflate::UploadError};

/// Reads the body without storing it.
///
/// # Errors
/// [`ApiError::AlreadyProcessed`] as soon as it differs from `known`; the body's own.
pub(crate) async fn expect_same(
    api: &Api,
    known: &StoredData,
    body: impl Stream<Item = Result<Bytes, UploadError>>,
    limit: ByteSize,
) -> Result<(), ApiError> {
    let conflict = || ApiError::AlreadyProcessed(api.duplicate_upload_status);
    let (mut sha256, mut size_bytes) = (Sha256::new(), 0_u64);
    pin_mut!(body);
    while let Some(chunk) = body.try_next().await? {
        size_bytes += chunk.len() as u64;
        if size_bytes > limit.bytes().max(known.size_bytes) {
            return Err(ApiError::TooLarge(limit));
        }
        if size_bytes > known.size_bytes {
            return Err(conflict());
        }
        // A chunk is what the connection had ready, a few KiB: microseconds on this thread.
        sha256.update(&chunk);
    }
    if sha256.finalize().as_slice() == known.sha256 { Ok(()) } else { Err(conflict()) }
}
