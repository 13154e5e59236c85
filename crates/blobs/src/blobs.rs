//! The object storage, as the services see it.

use std::{sync::Arc, time::Duration};

use archive::zip::Segment;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;

use crate::{
    ConnectError, HashState, ObjectKey, PutError, SegmentStream, Settings, StorageError, UploadJournal,
    backend::{Backend, StoreKind},
    compress::Compressor,
    connect,
    memory::UploadMemory,
    parts::{PartBytes, part_bytes},
    put, sweep,
};

/// The object storage. Cheap to clone; clones share connections, compressing threads and the memory of
/// uploads: a process connects once.
///
/// Requests run on the runtime that [`Blobs::connect`] was called on, wherever its methods are awaited; only
/// a listing runs where it is polled.
#[derive(Debug, Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) compressor: Compressor,
    pub(crate) memory: UploadMemory,
    pub(crate) upload_wait: Duration,
    pub(crate) part_bytes: PartBytes,
    pub(crate) parts_in_flight: usize,
}

/// An object that was stored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key.
    pub key: ObjectKey,
    /// Size of the data, before compression, in bytes.
    pub size_bytes: u64,
    /// Size of the object, after compression, in bytes.
    pub stored_bytes: u64,
    /// CRC-32 of the data, before compression.
    pub crc32: u32,
    /// SHA-256 of the data, before compression.
    pub sha256: [u8; 32],
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in the store, in bytes.
    pub size_bytes: u64,
    /// When it was stored, by the clock of the store.
    pub last_modified: DateTime<Utc>,
}

impl Blobs {
    /// A client for the store that `settings` describe. Asks the store nothing yet, so that a service starts
    /// while its store is away; for local files the folder is made.
    ///
    /// # Errors
    /// When settings are missing or wrong, a file they name cannot be used, or there is no Tokio runtime.
    pub fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        let runtime = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let inner = Inner {
            backend: connect::backend(settings, runtime.clone())?,
            compressor: Compressor::new(runtime, settings.compression_threads)
                .map_err(ConnectError::Threads)?,
            memory: UploadMemory::new(settings.upload_memory.as_len()),
            upload_wait: settings.upload_wait.as_duration(),
            part_bytes,
            parts_in_flight: settings.parts_in_flight,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the store answers and knows our credentials and bucket, for readiness: one small request.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer in time, `Refused` when it knows no such bucket or keys.
    pub async fn check(&self) -> Result<(), StorageError> {
        self.inner.backend.run(|backend| async move { backend.check().await }).await
    }

    /// Stores the bytes of `body` as one gzip object under `key`, which must be new. Works in constant
    /// memory; waits before the first byte while all memory for uploads is in use, at most for
    /// [`Settings::upload_wait`]. Small objects are one request; `journal` is told of larger ones before
    /// their first part. When this returns, the store has
    /// all bytes and said so. On an error, or when the future is dropped, what was stored is removed again,
    /// as well as that goes.
    ///
    /// # Errors
    /// `TooLarge` as soon as the body has more than `limit_bytes`, `Body` with the error of the body,
    /// `Storage` when the store is away, refuses, or keeps another size than was sent, or when no memory was
    /// free in time, `Journal` with the error of the journal.
    pub async fn put_gzip<S, E, J>(
        &self,
        key: &ObjectKey,
        body: S,
        limit_bytes: u64,
        journal: &J,
    ) -> Result<StoredObject, PutError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
        J: UploadJournal,
    {
        self.put_piece(key, body, limit_bytes, journal, HashState::default()).await.map(|(stored, _)| stored)
    }

    /// As [`Blobs::put_gzip`], for bytes that others come before: `before` is the SHA-256 of those. The
    /// SHA-256 of the object is that of all bytes up to its end, and is returned to go on from; all else about
    /// the object is of its own bytes.
    ///
    /// # Errors
    /// As [`Blobs::put_gzip`].
    pub async fn put_piece<S, E, J>(
        &self,
        key: &ObjectKey,
        body: S,
        limit_bytes: u64,
        journal: &J,
        before: HashState,
    ) -> Result<(StoredObject, HashState), PutError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
        J: UploadJournal,
    {
        put::put_piece(&self.inner, key, body, limit_bytes, journal, before).await
    }

    /// Streams the bytes of `segments`, in their order. Returns once the first bytes of the first object are
    /// here, so that an error that can be answered is one. Later ones are items of the stream, its last: it
    /// ends without one only after every byte. What breaks off on the way is resumed a few times. Little is
    /// held in memory: the store is read as fast as the stream is.
    ///
    /// # Errors
    /// `Unavailable` when the store is away, `NotFound` or `WrongSize` when an object is not as expected,
    /// `Refused`.
    pub async fn open(&self, segments: Vec<Segment>) -> Result<SegmentStream, StorageError> {
        SegmentStream::open(self.inner.backend.clone(), segments).await
    }

    /// Deletes an object; there being none is fine.
    ///
    /// # Errors
    /// `Unavailable`, `Refused`.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let key = key.clone();
        self.inner.backend.run(|backend| async move { backend.delete(key.as_str()).await }).await
    }

    /// Removes the parts of the unfinished upload that the store gave the id `upload_id`; there being none
    /// is fine. An object that the upload has become stays.
    ///
    /// # Errors
    /// `Unavailable`, `Refused`.
    pub async fn abort(&self, key: &ObjectKey, upload_id: &str) -> Result<(), StorageError> {
        let (key, upload_id) = (key.clone(), upload_id.to_owned());
        self.inner.backend.run(|backend| async move { backend.abort(key.as_str(), &upload_id).await }).await
    }

    /// The size of an object in the store, in bytes; `None` if there is none.
    ///
    /// # Errors
    /// `Unavailable`, `Refused`.
    pub async fn size_of(&self, key: &ObjectKey) -> Result<Option<u64>, StorageError> {
        let key = key.clone();
        self.inner.backend.run(|backend| async move { backend.size_of(key.as_str()).await }).await
    }

    /// All objects below the configured prefix, a page of the store at a time, in the order of the store
    /// (by key, except for local files). What has no key of ours is left out. An error is the last item.
    pub fn list(&self) -> impl Stream<Item = Result<ListedObject, StorageError>> + Send + use<> {
        let backend = self.inner.backend.clone();
        let listing = backend.store.objects.list(backend.prefix());
        listing.filter_map(move |listed| {
            let listed = match listed {
                Ok(meta) => backend.key(&meta.location).map(|key| {
                    Ok(ListedObject { key, size_bytes: meta.size, last_modified: meta.last_modified })
                }),
                Err(error) => Some(Err(StorageError::of("list objects", "", error))),
            };
            std::future::ready(listed)
        })
    }

    /// Removes what uploads that never ended left in a folder of local files (`key#1`), and folders that
    /// became empty, if last written before `before`. Returns how many files were removed. For other stores
    /// there is nothing to do: their unfinished uploads are removed by [`Blobs::abort`].
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be read.
    pub async fn sweep_unfinished(&self, before: DateTime<Utc>) -> Result<u64, StorageError> {
        let StoreKind::Local { root } = &self.inner.backend.store.kind else { return Ok(0) };
        let root = root.clone();
        let sweep = self.inner.backend.runtime().spawn_blocking(move || sweep::sweep(&root, before.into()));
        let unavailable = |error| StorageError::unavailable("sweep", error);
        match sweep.await {
            Ok(swept) => swept.map_err(unavailable),
            Err(error) => Err(StorageError::unavailable("sweep", error)),
        }
    }
}
