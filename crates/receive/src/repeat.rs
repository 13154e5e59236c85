//! An upload for a source that is complete: the same bytes are welcome, others are not (S0-47c).

use bytes::Bytes;
use domain::{ByteSize, UploadedData};
use futures_util::{Stream, TryStreamExt as _, pin_mut};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{DeliveryError, UploadError},
    receiver::Receiver,
};

/// Most bytes that are hashed on the caller's thread: what a connection has ready is a few KiB, and takes
/// microseconds. An inflated step is up to a MiB, and takes milliseconds.
const SHORT_CHUNK: usize = 64 * 1024;

impl Receiver {
    /// Reads `body` without storing it, for a source that is complete with the upload `known`.
    ///
    /// # Errors
    /// [`DeliveryError::AlreadyProcessed`] as soon as it differs from `known`, `TooLarge` above both `limit` and
    /// what is known, `Body`.
    pub async fn expect_same<E>(
        &self,
        known: UploadedData,
        body: impl Stream<Item = Result<Bytes, UploadError<E>>>,
        limit: ByteSize,
    ) -> Result<(), DeliveryError<E>> {
        let (mut sha256, mut size_bytes) = (Sha256::new(), 0_u64);
        pin_mut!(body);
        while let Some(chunk) = body.try_next().await? {
            size_bytes += chunk.len() as u64;
            if size_bytes > limit.bytes().max(known.size_bytes) {
                return Err(DeliveryError::TooLarge(limit));
            }
            if size_bytes > known.size_bytes {
                return Err(DeliveryError::AlreadyProcessed);
            }
            sha256 = hash_further(sha256, chunk).await?;
        }
        if sha256.finalize().as_slice() == known.sha256 {
            Ok(())
        } else {
            Err(DeliveryError::AlreadyProcessed)
        }
    }
}

async fn hash_further<E>(mut sha256: Sha256, chunk: Bytes) -> Result<Sha256, UploadError<E>> {
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
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn short_and_long_chunks_are_hashed_in_their_order() {
        let bytes: Vec<u8> = (0..=250).cycle().take(5 * SHORT_CHUNK).collect();
        let mut sha256 = Sha256::new();
        for (start, end) in [(0, 10), (10, 2 * SHORT_CHUNK), (2 * SHORT_CHUNK, bytes.len())] {
            let chunk = Bytes::copy_from_slice(&bytes[start..end]);
            sha256 = hash_further::<Infallible>(sha256, chunk).await.unwrap();
        }
        assert_eq!(sha256.finalize(), Sha256::digest(&bytes));
    }
}
