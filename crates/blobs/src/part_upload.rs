//! The parts of one upload on their way to the store.

use std::sync::Arc;

use object_store::{
    MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload,
    multipart::{MultipartStore, PartId},
};
use tokio::{sync::AcquireError, task::JoinSet};

use crate::{
    StorageError,
    backend::{Backend, StoreKind},
    memory::{Permit, UploadMemory},
    parts::{FIRST_PART_BYTES, PartBytes, Unsent},
};

/// What a part that fills and parts under way may hold together before the filling waits. The store has
/// enough to do then, and an upload keeps well within its permits, of which the allocator wants some too.
const MAX_HELD_BYTES: usize = 10 << 20;

const PUT_PART: &str = "put part";

/// Where the parts go.
enum Target {
    Remote { multipart: Arc<dyn MultipartStore>, upload_id: String },
    Local(Box<dyn MultipartUpload>),
}

/// A part that has arrived.
struct Sent {
    index: usize,
    bytes: usize,
    /// `None` for local files.
    id: Option<PartId>,
    /// What the part took beyond the base; `None` when it was in the base.
    extra: Option<Permit>,
}

/// Sends parts, several at a time while there is memory for it, in any order.
pub(crate) struct PartUpload {
    backend: Backend,
    key: Arc<str>,
    memory: UploadMemory,
    target: Option<Target>,
    part_bytes: PartBytes,
    max_in_flight: usize,
    in_flight: JoinSet<Result<Sent, StorageError>>,
    in_flight_bytes: usize,
    /// A part under way is in the base, so that no other can fill there.
    base_in_flight: bool,
    /// What a late part needs beyond the base, held from when it fills until it is sent.
    late: Option<Permit>,
    begun: usize,
    arrived: Vec<Option<PartId>>,
}

impl PartUpload {
    pub(crate) fn new(
        backend: Backend,
        key: Arc<str>,
        memory: UploadMemory,
        part_bytes: PartBytes,
        max_in_flight: usize,
    ) -> Self {
        Self {
            backend,
            key,
            memory,
            target: None,
            part_bytes,
            max_in_flight: max_in_flight.max(1),
            in_flight: JoinSet::new(),
            in_flight_bytes: 0,
            base_in_flight: false,
            late: None,
            begun: 0,
            arrived: Vec::new(),
        }
    }

    pub(crate) const fn is_begun(&self) -> bool {
        self.target.is_some()
    }

    /// The size of the part that fills now.
    pub(crate) fn next_bytes(&self) -> usize {
        (self.part_bytes)(self.begun + 1)
    }

    /// Whether `unsent` bytes make a part that should go out before more are added.
    pub(crate) fn is_full(&self, unsent: usize) -> bool {
        unsent >= self.next_bytes()
    }

    /// Whether a part may be sent now.
    pub(crate) fn can_send(&self) -> bool {
        !self.base_in_flight && self.in_flight.len() < self.max_in_flight
    }

    /// Whether a late part has come to where the base ends. It gets more once no part is under way, as there
    /// would not be room for both.
    pub(crate) fn needs_late_memory(&self, unsent: usize) -> bool {
        self.late.is_none() && unsent >= FIRST_PART_BYTES && !self.is_full(unsent)
    }

    pub(crate) fn hold_late_memory(&mut self, permit: Result<Permit, AcquireError>) {
        // The pool is never closed.
        self.late = permit.ok();
    }

    /// Whether there is memory to add one more block to `unsent` bytes.
    pub(crate) fn can_fill(&self, unsent: usize) -> bool {
        let holds_enough = !self.is_idle() && unsent + self.in_flight_bytes >= MAX_HELD_BYTES;
        !holds_enough && !self.base_in_flight && !self.is_full(unsent) && !self.needs_late_memory(unsent)
    }

    /// Tells the store that parts will come. Returns the id by which the upload can be aborted; `None` where
    /// there is none: for local files and Azure.
    pub(crate) async fn begin(&mut self) -> Result<Option<String>, StorageError> {
        let key = Arc::clone(&self.key);
        let (target, id) = self.backend.run(|backend| async move { begin(&backend, &key).await }).await?;
        self.target = Some(target);
        Ok(id)
    }

    /// Sends the next part, which is all of `unsent` unless that is more than a part. [`PartUpload::begin`] was
    /// called, and [`PartUpload::can_send`] is true.
    pub(crate) fn send(&mut self, unsent: &mut Unsent) {
        let index = self.begun;
        self.begun += 1;
        let payload = unsent.take(self.next_bytes());
        let bytes = payload.content_length();
        self.in_flight_bytes += bytes;
        // A late part leaves no room for another beside it.
        let is_early = bytes <= FIRST_PART_BYTES && self.next_bytes() <= FIRST_PART_BYTES;
        let extra = if is_early { self.memory.try_extra(bytes) } else { None };
        self.base_in_flight = extra.is_none();
        if let Some(target) = &mut self.target {
            let part = put_part(target, &self.backend, &self.key, index, payload);
            self.in_flight.spawn_on(
                async move { part.await.map(|id| Sent { index, bytes, id, extra }) },
                self.backend.runtime(),
            );
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Waits until a part under way has arrived. May be cancelled.
    pub(crate) async fn arrival(&mut self) -> Result<(), StorageError> {
        let Some(sent) = self.in_flight.join_next().await else { return Ok(()) };
        let sent = sent.map_err(|error| StorageError::unavailable(PUT_PART, error))??;
        self.in_flight_bytes -= sent.bytes;
        if sent.extra.is_none() {
            self.base_in_flight = false;
            self.late = None;
        }
        if self.arrived.len() <= sent.index {
            self.arrived.resize_with(sent.index + 1, || None);
        }
        self.arrived[sent.index] = sent.id;
        Ok(())
    }

    /// Puts the parts together, after the last has arrived.
    pub(crate) async fn complete(self) -> Result<(), StorageError> {
        let Some(target) = self.target else { return Ok(()) };
        let (key, parts) = (self.key, self.arrived.into_iter().flatten().collect());
        self.backend.run(|backend| async move { complete(target, parts, &backend, &key).await }).await
    }
}

async fn begin(backend: &Backend, key: &str) -> Result<(Target, Option<String>), StorageError> {
    const OPERATION: &str = "begin upload";
    let path = backend.path(key);
    let error = |error| StorageError::of(OPERATION, key, error);
    match &backend.store.kind {
        StoreKind::Remote { multipart, .. } => {
            let multipart = Arc::clone(multipart);
            let upload_id = backend.ask(OPERATION, key, multipart.create_multipart(&path)).await?;
            // Azure gives none: what is not completed goes by itself there.
            let id = Some(upload_id.clone()).filter(|id| !id.is_empty());
            Ok((Target::Remote { multipart, upload_id }, id))
        }
        StoreKind::Local { .. } => {
            let objects = &backend.store.objects;
            let begin = || objects.put_multipart_opts(&path, PutMultipartOptions::default());
            // Another's deletion removes the folder when it was empty for a moment.
            let upload = match begin().await {
                Err(_) => begin().await,
                begun => begun,
            };
            Ok((Target::Local(upload.map_err(error)?), None))
        }
    }
}

fn put_part(
    target: &mut Target,
    backend: &Backend,
    key: &Arc<str>,
    index: usize,
    payload: PutPayload,
) -> impl Future<Output = Result<Option<PartId>, StorageError>> + Send + use<> {
    let (path, key) = (backend.path(key), Arc::clone(key));
    let error = move |error| StorageError::of(PUT_PART, &key, error);
    let part: futures_util::future::BoxFuture<'static, object_store::Result<Option<PartId>>> = match target {
        Target::Remote { multipart, upload_id } => {
            let (multipart, id) = (Arc::clone(multipart), upload_id.clone());
            Box::pin(async move { multipart.put_part(&path, &id, index, payload).await.map(Some) })
        }
        Target::Local(upload) => {
            let part = upload.put_part(payload);
            Box::pin(async move { part.await.map(|()| None) })
        }
    };
    async move { part.await.map_err(error) }
}

async fn complete(
    target: Target,
    parts: Vec<PartId>,
    backend: &Backend,
    key: &str,
) -> Result<(), StorageError> {
    let completed = match target {
        Target::Remote { multipart, upload_id } => {
            multipart.complete_multipart(&backend.path(key), &upload_id, parts).await
        }
        Target::Local(mut upload) => upload.complete().await,
    };
    completed.map(drop).map_err(|error| StorageError::of("complete upload", key, error))
}
