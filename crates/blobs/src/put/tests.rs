//! The memory of uploads, looked at from inside: what is held while they run, and that all of it comes back.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    ByteSize,
    ids::{AttemptId, ExportId},
};
use futures_util::{Stream, StreamExt, future::join_all, stream};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    Blobs, LocalSettings, NoJournal, Settings, StorageError, StoredObject,
    memory::{MIN_POOL_BYTES, UploadMemory},
    object_key,
    parts::{FIRST_PART_BYTES, LATE_PART_BYTES},
};

use super::verify;

const MIB: usize = 1 << 20;

/// What an upload may hold, by the target of 24 MiB, which has room for the buffers of connections.
const MOST_OF_ONE_UPLOAD: usize = 22 * MIB;

/// Like [`crate::parts::part_bytes`], but early enough for a test.
const fn soon_late(number: usize) -> usize {
    if number <= 3 { FIRST_PART_BYTES } else { LATE_PART_BYTES }
}

fn store(upload_memory: usize) -> (Blobs, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        local: LocalSettings { directory: folder.path().to_owned() },
        upload_memory: ByteSize::from_bytes(upload_memory as u64),
        ..Settings::default()
    };
    let mut blobs = Blobs::connect(&settings).unwrap();
    Arc::get_mut(&mut blobs.inner).unwrap().part_bytes = soon_late;
    (blobs, folder)
}

/// Bytes that do not compress.
fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.take(bytes / 8).flat_map(u64::to_le_bytes).collect()
}

/// `data` in chunks, looking at the free memory at each; the least of it goes to `least_free`.
fn watched<'a>(
    data: &'a Bytes,
    memory: &'a UploadMemory,
    least_free: &'a mut usize,
) -> impl Stream<Item = Result<Bytes, Infallible>> + 'a {
    stream::iter((0..data.len()).step_by(65_536)).map(move |start| {
        *least_free = memory.free_bytes().min(*least_free);
        Ok(data.slice(start..data.len().min(start + 65_536)))
    })
}

async fn put(blobs: &Blobs, data: &Bytes, least_free: &mut usize) -> StoredObject {
    let key = object_key(ExportId::random(), AttemptId::random());
    let body = watched(data, &blobs.inner.memory, least_free);
    blobs.put_gzip(&key, body, u64::MAX, &NoJournal).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_holds_its_base_at_least_and_22_mib_at_most_and_gives_all_back() {
    let (blobs, _folder) = store(100 * MIB);
    let (data, mut least_free) = (noise(80 * MIB), usize::MAX);
    let stored = put(&blobs, &data, &mut least_free).await;

    assert_eq!(stored.sha256[..], Sha256::digest(&data)[..]);
    let held = 100 * MIB - least_free;
    assert!((8 * MIB..=MOST_OF_ONE_UPLOAD).contains(&held), "{held}");
    assert_eq!(blobs.inner.memory.free_bytes(), 100 * MIB);
}

#[tokio::test]
async fn the_size_of_the_object_makes_up_for_an_answer_that_was_lost() {
    let (blobs, _folder) = store(MIN_POOL_BYTES);
    let stored = put(&blobs, &noise(MIB), &mut usize::MAX.clone()).await;
    let lost = || Err(StorageError::unavailable("complete upload", "the connection broke"));
    let verified = |expected, completed| verify(&blobs.inner.backend, &stored.key, expected, completed);

    assert!(verified(stored.stored_bytes, lost()).await.is_ok());
    let error = verified(stored.stored_bytes + 1, lost()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = verified(stored.stored_bytes + 1, Ok(())).await.unwrap_err();
    assert!(matches!(error, StorageError::WrongSize { .. }), "{error:?}");

    blobs.delete(&stored.key).await.unwrap();
    let error = verified(stored.stored_bytes, Ok(())).await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_uploads_end_in_the_smallest_pool() {
    let (blobs, _folder) = store(MIN_POOL_BYTES);
    let data = noise(50 * MIB);
    let uploads = (0..4).map(|_| async { put(&blobs, &data, &mut usize::MAX.clone()).await });
    let stored = tokio::time::timeout(Duration::from_mins(2), join_all(uploads)).await.expect("a deadlock");

    let digest = Sha256::digest(&data);
    assert!(stored.iter().all(|object| object.sha256[..] == digest[..]));
    assert_eq!(blobs.inner.memory.free_bytes(), MIN_POOL_BYTES);
}
