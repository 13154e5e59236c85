//! From a stream of bytes to a stored gzip object.
//!
//! ```text
//! body ─▶ gather: blocks of 1 MiB ─▶ compress: hash in order, deflate in parallel ─▶ unsent ─▶ parts ─▶ store
//! ```
//!
//! Each stage takes from the one before it only when it has room, so that a store that is slow slows the
//! client down and fills no memory.

use std::pin::Pin;

use archive::gzip::{Digest, HEADER, trailer};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesOrdered,
};
use tokio::sync::AcquireError;

use crate::{
    HashState, ObjectKey, PutError, StorageError, StoredObject, UploadJournal,
    backend::Backend,
    blobs::Inner,
    compress::{BlockLost, Blocks, Deflated},
    gather::{Gather, Slot},
    memory::{Permit, UploadMemory},
    part_upload::PartUpload,
    parts::Unsent,
    unfinished::Unfinished,
};

/// Stores `body` under `key`, hashing on behind the bytes `before` it; see [`crate::Blobs::put_piece`].
pub(crate) async fn put_piece<S, E, J>(
    inner: &Inner,
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
    let _base = inner.memory.admit(inner.upload_wait).await?;
    let mut unfinished = Unfinished::new(inner.backend.clone(), key.into());
    let put = Put::new(inner, key, limit_bytes, journal, before);
    let stored = put.run(std::pin::pin!(body), &mut unfinished).await;
    match &stored {
        Ok(_) => unfinished.keep(),
        Err(_) => unfinished.remove().await,
    }
    stored
}

/// One upload. Its memory permits go with it.
struct Put<'a, J> {
    inner: &'a Inner,
    key: &'a ObjectKey,
    journal: &'a J,
    limit_bytes: u64,
    size_bytes: u64,
    body_ended: bool,
    gather: Gather,
    blocks: Blocks,
    deflating: FuturesOrdered<BoxFuture<'static, Result<(Deflated, Slot), BlockLost>>>,
    digest: Digest,
    stored_bytes: u64,
    unsent: Unsent,
    parts: PartUpload,
    late_memory: Option<BoxFuture<'static, Result<Permit, AcquireError>>>,
}

/// What an upload waits for.
enum Event<E> {
    Chunk(Option<Result<Bytes, E>>),
    Block(Result<(Deflated, Slot), BlockLost>),
    PartArrived(Result<(), StorageError>),
    LateMemory(Result<Permit, AcquireError>),
    Nothing,
}

impl<'a, J: UploadJournal> Put<'a, J> {
    fn new(
        inner: &'a Inner,
        key: &'a ObjectKey,
        limit_bytes: u64,
        journal: &'a J,
        before: HashState,
    ) -> Self {
        let memory = UploadMemory::clone(&inner.memory);
        let mut put = Self {
            inner,
            key,
            journal,
            limit_bytes,
            size_bytes: 0,
            body_ended: false,
            gather: Gather::new(memory.clone()),
            blocks: inner.compressor.begin(before),
            deflating: FuturesOrdered::new(),
            digest: Digest::default(),
            stored_bytes: 0,
            unsent: Unsent::default(),
            parts: PartUpload::new(
                inner.backend.clone(),
                key.into(),
                memory,
                inner.part_bytes,
                inner.parts_in_flight,
            ),
            late_memory: None,
        };
        put.append(&HEADER);
        put
    }

    async fn run<S, E>(
        mut self,
        mut body: Pin<&mut S>,
        unfinished: &mut Unfinished,
    ) -> Result<(StoredObject, HashState), PutError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        loop {
            self.dispatch_blocks();
            self.send_full_parts(unfinished).await?;
            match self.next_event(body.as_mut()).await {
                Event::Chunk(chunk) => self.take_in(chunk)?,
                Event::Block(block) => self.append_block(block)?,
                Event::PartArrived(arrived) => arrived?,
                Event::LateMemory(permit) => {
                    self.late_memory = None;
                    self.parts.hold_late_memory(permit);
                }
                Event::Nothing => break,
            }
        }
        self.finish(unfinished).await
    }

    /// Waits for whatever comes first; [`Event::Nothing`] when all of the body is in `unsent` or sent.
    async fn next_event<S, E>(&mut self, mut body: Pin<&mut S>) -> Event<E>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let unsent = self.unsent.bytes();
        if self.parts.needs_late_memory(unsent) && self.parts.is_idle() && self.late_memory.is_none() {
            // Kept over many waits, so that its place in the queue is kept.
            self.late_memory = Some(Box::pin(self.inner.memory.clone().late_part()));
        }
        let takes_chunk = !self.body_ended && self.gather.has_room();
        let takes_block = !self.deflating.is_empty() && self.parts.can_fill(unsent);
        let late_memory: OptionFuture<_> = self.late_memory.as_mut().into();
        tokio::select! {
            // What frees memory goes first.
            biased;
            arrived = self.parts.arrival(), if !self.parts.is_idle() => Event::PartArrived(arrived),
            Some(permit) = late_memory => Event::LateMemory(permit),
            Some(block) = self.deflating.next(), if takes_block => Event::Block(block),
            chunk = body.next(), if takes_chunk => Event::Chunk(chunk),
            else => Event::Nothing,
        }
    }

    fn take_in<E>(&mut self, chunk: Option<Result<Bytes, E>>) -> Result<(), PutError<E>> {
        let Some(chunk) = chunk.transpose().map_err(PutError::Body)? else {
            self.body_ended = true;
            return Ok(());
        };
        self.size_bytes += chunk.len() as u64;
        if self.size_bytes > self.limit_bytes {
            return Err(PutError::TooLarge { limit_bytes: self.limit_bytes });
        }
        self.gather.push(chunk);
        Ok(())
    }

    /// Hands what is gathered to the compressing threads.
    fn dispatch_blocks(&mut self) {
        while let Some(full) = self.gather.next_full() {
            self.compress(full);
        }
        if self.body_ended
            && !self.gather.has_rest()
            && let Some(last) = self.gather.last()
        {
            self.compress(last);
        }
    }

    fn compress(&mut self, (block, slot): (Vec<u8>, Slot)) {
        let deflating = self.blocks.push(block);
        self.deflating.push_back(Box::pin(async move {
            let deflated = deflating.await.map_err(|_| BlockLost)??;
            Ok((deflated, slot))
        }));
    }

    fn append_block(&mut self, block: Result<(Deflated, Slot), BlockLost>) -> Result<(), StorageError> {
        let (deflated, slot) = block.map_err(|error| StorageError::unavailable("compress", error))?;
        self.digest = self.digest.combine(deflated.digest);
        self.append(&deflated.bytes);
        self.gather.release(slot, deflated.buffer);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        self.stored_bytes += bytes.len() as u64;
        self.unsent.push(bytes);
    }

    async fn send_full_parts<E>(&mut self, unfinished: &mut Unfinished) -> Result<(), PutError<E>> {
        while self.parts.is_full(self.unsent.bytes()) && self.parts.can_send() {
            self.begin_parts(unfinished).await?;
            self.parts.send(&mut self.unsent);
        }
        Ok(())
    }

    async fn begin_parts<E>(&mut self, unfinished: &mut Unfinished) -> Result<(), PutError<E>> {
        if self.parts.is_begun() {
            return Ok(());
        }
        unfinished.touch();
        let upload_id = self.parts.begin().await?;
        unfinished.begun(upload_id.clone());
        match upload_id {
            Some(id) => self.journal.multipart_started(&id).await.map_err(PutError::Journal),
            None => Ok(()),
        }
    }

    /// Stores what is unsent, and looks whether all of it arrived.
    async fn finish<E>(
        mut self,
        unfinished: &mut Unfinished,
    ) -> Result<(StoredObject, HashState), PutError<E>> {
        let Digest { crc32, size_bytes } = self.digest;
        self.append(&trailer(crc32, size_bytes));
        unfinished.touch();
        let fits_one_request = self.unsent.bytes() <= self.parts.next_bytes();
        let completed = if fits_one_request && !self.parts.is_begun() {
            let (key, payload) = (self.key.clone(), self.unsent.take(self.parts.next_bytes()));
            let put = |backend: Backend| async move { backend.put(key.as_str(), payload).await };
            self.inner.backend.run(put).await
        } else {
            self.begin_parts(unfinished).await?;
            self.send_rest().await?;
            self.parts.complete().await
        };
        verify(&self.inner.backend, self.key, self.stored_bytes, completed).await?;
        let hash = self.blocks.hash().await.map_err(|error| StorageError::unavailable("compress", error))?;
        let (key, sha256) = (self.key.clone(), hash.digest());
        Ok((StoredObject { key, size_bytes, stored_bytes: self.stored_bytes, crc32, sha256 }, hash))
    }

    async fn send_rest(&mut self) -> Result<(), StorageError> {
        while self.unsent.bytes() > 0 || !self.parts.is_idle() {
            if self.unsent.bytes() > 0 && self.parts.can_send() {
                self.parts.send(&mut self.unsent);
            } else {
                self.parts.arrival().await?;
            }
        }
        Ok(())
    }
}

/// Looks whether the store has the object, in its full length. `completed` is what the last request of the
/// upload was answered: as nothing else is ever written to the key, an answer that was lost is made up for
/// by the size.
async fn verify(
    backend: &Backend,
    key: &ObjectKey,
    expected: u64,
    completed: Result<(), StorageError>,
) -> Result<(), StorageError> {
    let looked_up = key.clone();
    let size = backend.run(|backend| async move { backend.size_of(looked_up.as_str()).await }).await;
    match (size, completed) {
        (Ok(Some(actual)), _) if actual == expected => Ok(()),
        (_, Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(Some(actual)), Ok(())) => Err(StorageError::WrongSize { key: key.to_string(), expected, actual }),
        (Ok(None), Ok(())) => Err(StorageError::NotFound { key: key.to_string() }),
    }
}

#[cfg(test)]
mod tests;
