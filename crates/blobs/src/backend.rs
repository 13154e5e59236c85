//! The store behind one face: keys in, prefix added, errors sorted.

use std::{fmt, future::Future, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    list::{PaginatedListOptions, PaginatedListStore},
    local::LocalFileSystem,
    multipart::MultipartStore,
    path::Path,
    signer::Signer,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{ObjectKey, StorageError};

/// What one read of a local file brings.
const LOCAL_READ_BYTES: usize = 512 << 10;

/// How many reads of a local file are under way.
const LOCAL_READS_AHEAD: usize = 2;

/// A store with what only its kind can do.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The same store for reading: how long an answer takes is up to whoever reads it.
    reader: Arc<dyn ObjectStore>,
    pub(crate) kind: StoreKind,
}

/// What differs between the kinds of stores.
#[derive(Clone)]
pub(crate) enum StoreKind {
    /// Uploads in parts have an id that can be noted, listings have pages, and objects have URLs.
    Remote {
        multipart: Arc<dyn MultipartStore>,
        listing: Arc<dyn PaginatedListStore>,
        signer: Arc<dyn Signer>,
    },
    /// Files below `root`. An unfinished upload is a file `key#N` beside its key.
    Local { root: PathBuf },
}

impl Store {
    pub(crate) fn remote<S>(store: S, reader: S) -> Self
    where
        S: ObjectStore + MultipartStore + PaginatedListStore + Signer,
    {
        let store = Arc::new(store);
        let kind =
            StoreKind::Remote { multipart: store.clone(), listing: store.clone(), signer: store.clone() };
        Self { objects: store, reader: Arc::new(reader), kind }
    }

    pub(crate) fn local(files: LocalFileSystem, root: PathBuf) -> Self {
        let files = Arc::new(files);
        Self { objects: files.clone(), reader: files, kind: StoreKind::Local { root } }
    }
}

/// The store, reached by keys. Its clones share connections.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) store: Store,
    prefix: Path,
    stall_timeout: Duration,
    runtime: Handle,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store.objects, self.prefix)
    }
}

impl Backend {
    pub(crate) fn new(store: Store, prefix: Path, stall_timeout: Duration, runtime: Handle) -> Self {
        Self { store, prefix, stall_timeout, runtime }
    }

    /// Begins a task on the runtime that all connections live on: a connection made on another would be
    /// served by it, for whoever uses it later. Dropping the handle cancels the task.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(self.runtime.spawn(task))
    }

    /// Runs a request as such a task.
    pub(crate) async fn run<T, F>(&self, request: impl FnOnce(Self) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        match self.spawn(request(self.clone())).await {
            Ok(answer) => answer,
            Err(error) => Err(StorageError::unavailable("run request", error)),
        }
    }

    /// The runtime of the connections.
    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Where the object of `key` lies in the store.
    pub(crate) fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    /// The key of the object at `path`; `None` for what this program did not put there.
    pub(crate) fn key(&self, path: &Path) -> Option<ObjectKey> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        let texts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        texts.join("/").parse().ok()
    }

    pub(crate) fn prefix(&self) -> Option<&Path> {
        (!self.prefix.as_ref().is_empty()).then_some(&self.prefix)
    }

    /// Asks for what takes one request with a small answer, and at most the stall timeout.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        key: &str,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StorageError> {
        match timeout(self.stall_timeout, request).await {
            Ok(answer) => answer.map_err(|error| StorageError::of(operation, key, error)),
            Err(late) => Err(StorageError::unavailable(operation, late)),
        }
    }

    /// Whether the store answers and lets us look: one listing of at most one object.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        match &self.store.kind {
            StoreKind::Remote { listing, .. } => {
                let one = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
                let prefix = self.prefix().map(AsRef::as_ref);
                self.ask("check", "", listing.list_paginated(prefix, one)).await.map(drop)
            }
            StoreKind::Local { root } => {
                let root = root.clone();
                tokio::task::spawn_blocking(move || std::fs::read_dir(root).map(drop))
                    .await
                    .map_err(|error| StorageError::unavailable("check", error))?
                    .map_err(|error| StorageError::unavailable("check", error))
            }
        }
    }

    /// Stores a whole object.
    pub(crate) async fn put(&self, key: &str, payload: PutPayload) -> Result<(), StorageError> {
        let path = self.path(key);
        let put = self.store.objects.put(&path, payload.clone()).await;
        // Another's deletion removes the folder when it was empty for a moment.
        let put = match (&self.store.kind, put) {
            (StoreKind::Local { .. }, Err(_)) => self.store.objects.put(&path, payload).await,
            (_, put) => put,
        };
        put.map(drop).map_err(|error| StorageError::of("put object", key, error))
    }

    /// The size of an object in bytes; `None` if there is none.
    pub(crate) async fn size_of(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let path = self.path(key);
        match self.ask("head object", key, self.store.objects.head(&path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, if there is one.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = self.path(key);
        match self.ask("delete object", key, self.store.objects.delete(&path)).await {
            Ok(()) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the parts of an unfinished upload, if there are any.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), StorageError> {
        let StoreKind::Remote { multipart, .. } = &self.store.kind else { return Ok(()) };
        let (path, id) = (self.path(key), upload_id.to_owned());
        match self.ask("abort upload", key, multipart.abort_multipart(&path, &id)).await {
            Ok(()) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How long the next bytes of an answer may be waited for.
    pub(crate) const fn stall_timeout(&self) -> Duration {
        self.stall_timeout
    }

    /// Asks for `range` of an object; returns its bytes once the store begins to send them. They may end
    /// early, and may be waited for for ever.
    pub(crate) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, StorageError> {
        let path = self.path(key);
        let StoreKind::Local { .. } = self.store.kind else {
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..Default::default() };
            let answer = self.ask("get object", key, self.store.reader.get_opts(&path, options)).await?;
            return Ok(answer.into_stream());
        };
        let file = Arc::clone(&self.store.reader);
        let end = range.end;
        // As a stream a file would come 8 KiB at a time, each by way of another thread.
        let starts = stream::iter((range.start..end).step_by(LOCAL_READ_BYTES));
        let read = move |start: u64| {
            let (file, path) = (Arc::clone(&file), path.clone());
            async move { file.get_range(&path, start..end.min(start + LOCAL_READ_BYTES as u64)).await }
        };
        Ok(starts.map(read).buffered(LOCAL_READS_AHEAD).boxed())
    }
}
