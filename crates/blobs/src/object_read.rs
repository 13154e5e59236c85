//! The bytes of one object, to their last.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{StorageError, backend::Backend};

const GET_OBJECT: &str = "get object";

/// How often in a row an answer may break off without having brought anything.
const MAX_FRUITLESS: u32 = 3;

type Body = BoxStream<'static, object_store::Result<Bytes>>;

/// Reads a range of an object, exactly. When an answer breaks off, is too short or stalls, the rest is asked
/// for again, from where it stopped: the bytes of an object never change. A request that is not answered at
/// all was repeated by the client library already.
pub(crate) struct ObjectRead {
    backend: Backend,
    key: Arc<str>,
    asked_bytes: u64,
    remaining: Range<u64>,
    answer: Answer,
    /// Bytes that came and were not given yet.
    begun: Option<Bytes>,
    fruitless: u32,
}

enum Answer {
    Awaited(AbortOnDropHandle<Result<Body, StorageError>>),
    Open(Body),
}

impl ObjectRead {
    /// Asks for `range` of an object, which is not empty.
    pub(crate) fn start(backend: Backend, key: Arc<str>, range: Range<u64>) -> Self {
        Self {
            answer: ask(&backend, &key, &range),
            backend,
            key,
            asked_bytes: range.end.saturating_sub(range.start),
            remaining: range,
            begun: None,
            fruitless: 0,
        }
    }

    /// How many bytes are yet to come.
    pub(crate) const fn remaining_bytes(&self) -> u64 {
        self.remaining.end.saturating_sub(self.remaining.start)
    }

    /// Waits until the first bytes are here; the next call of [`ObjectRead::next`] gives them.
    pub(crate) async fn begin(&mut self) -> Result<(), StorageError> {
        self.begun = self.next().await?;
        Ok(())
    }

    /// The next bytes; None after the last of the range. May be cancelled.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if let Some(bytes) = self.begun.take() {
            return Ok(Some(bytes));
        }
        while !self.remaining.is_empty() {
            if let Answer::Awaited(answer) = &mut self.answer {
                let answer = answer.await.map_err(|error| StorageError::unavailable(GET_OBJECT, error))?;
                self.answer = Answer::Open(answer?);
            }
            match self.receive().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    self.fruitless = 0;
                    self.remaining.start += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Err(error) if self.fruitless == MAX_FRUITLESS => return Err(error),
                Err(error) => self.ask_again(&error),
            }
        }
        Ok(None)
    }

    /// The next bytes of the open answer.
    async fn receive(&mut self) -> Result<Bytes, StorageError> {
        let Answer::Open(body) = &mut self.answer else { return Ok(Bytes::new()) };
        match timeout(self.backend.stall_timeout(), body.next()).await {
            Ok(Some(Ok(bytes))) if bytes.len() as u64 <= self.remaining_bytes() => Ok(bytes),
            Ok(Some(Ok(bytes))) => Err(self.wrong_size(bytes.len() as u64)),
            Ok(Some(Err(error))) => Err(StorageError::of(GET_OBJECT, &self.key, error)),
            Ok(None) => Err(self.wrong_size(0)),
            Err(late) => Err(StorageError::unavailable(GET_OBJECT, late)),
        }
    }

    fn wrong_size(&self, more_bytes: u64) -> StorageError {
        StorageError::WrongSize {
            key: self.key.to_string(),
            expected: self.asked_bytes,
            actual: self.asked_bytes - self.remaining_bytes() + more_bytes,
        }
    }

    fn ask_again(&mut self, broken: &StorageError) {
        tracing::debug!(
            object.key = %self.key,
            error = broken as &dyn std::error::Error,
            "an object's bytes broke off and are asked for again"
        );
        self.fruitless += 1;
        self.answer = ask(&self.backend, &self.key, &self.remaining);
    }
}

fn ask(backend: &Backend, key: &Arc<str>, range: &Range<u64>) -> Answer {
    let (reader, key, range) = (backend.clone(), Arc::clone(key), range.clone());
    Answer::Awaited(backend.spawn(async move { reader.read(&key, range).await }))
}
