//! An upload for a source that is complete: the same bytes are welcome, others are not (S0-47c).

use bytes::Bytes;
use domain::{ByteSize, StoredData};
use futures_util::{Stream, TryStreamExt as _, pin_mut};
use sha2::{Digest as _, Sha256};

use crate::{api::Api, error::ApiError, inflate::UploadError};

/// Most bytes that are hashed on the server's thread: what a connection has ready is a few KiB, and takes
/// microseconds. An inflated step is up to a MiB, and takes milliseconds.
const SHORT_CHUNK: usize = 64 * 1024;

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
        sha256 = hash_further(sha256, chunk).await?;
    }
    if sha256.finalize().as_slice() == known.sha256 { Ok(()) } else { Err(conflict()) }
}

async fn hash_further(mut sha256: Sha256, chunk: Bytes) -> Result<Sha256, UploadError> {
    if chunk.len() <= SHORT_CHUNK {
        sha256.update(&chunk);
        return Ok(sha256);
    }
    let hashed = tokio::task::spawn_blocking(move || {
        sha256.update(&chunk);
        sha256
    });
    hashed.await.map_err(|_| UploadError::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn short_and_long_chunks_are_hashed_in_their_order() {
        let bytes: Vec<u8> = (0..=250).cycle().take(5 * SHORT_CHUNK).collect();
        let mut sha256 = Sha256::new();
        for (start, end) in [(0, 10), (10, 2 * SHORT_CHUNK), (2 * SHORT_CHUNK, bytes.len())] {
            sha256 = hash_further(sha256, Bytes::copy_from_slice(&bytes[start..end])).await.unwrap();
        }
        assert_eq!(sha256.finalize(), Sha256::digest(&bytes));
    }
}
