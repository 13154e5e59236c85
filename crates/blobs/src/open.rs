//! From segments to a stream of bytes, read ahead.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use archive::zip::Segment;
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

use crate::{StorageError, backend::Backend, object_read::ObjectRead};

/// How far ahead of the byte that is given now objects are asked for. An answer that nobody reads is held
/// up by its connection, so that little of it is in memory.
const AHEAD_BYTES: u64 = 1 << 20;

/// How many objects are asked for ahead, which is what many small ones need.
const AHEAD_REQUESTS: usize = 8;

/// The bytes of segments, in their order. It ends after the last byte, or after an error, which is its last
/// item.
pub struct SegmentStream(BoxStream<'static, Result<Bytes, StorageError>>);

impl SegmentStream {
    /// Begins to read, and waits for the first bytes of the first object, if one is within reach.
    pub(crate) async fn open(backend: Backend, segments: Vec<Segment>) -> Result<Self, StorageError> {
        let mut reader = Reader { backend, pending: segments.into(), ahead: VecDeque::new() };
        reader.read_ahead();
        let first = reader.ahead.iter_mut().find_map(|source| match source {
            Source::Inline(_) => None,
            Source::Object(object) => Some(object),
        });
        if let Some(object) = first {
            object.begin().await?;
        }
        let bytes = stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|bytes| (bytes, reader)))
        });
        Ok(Self(bytes.boxed()))
    }
}

impl Stream for SegmentStream {
    type Item = Result<Bytes, StorageError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for SegmentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentStream").finish_non_exhaustive()
    }
}

struct Reader {
    backend: Backend,
    /// What was not asked for yet.
    pending: VecDeque<Segment>,
    /// What was asked for; the bytes of the first are given now.
    ahead: VecDeque<Source>,
}

enum Source {
    Inline(Bytes),
    Object(ObjectRead),
}

impl Source {
    fn remaining_bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object(object) => object.remaining_bytes(),
        }
    }
}

impl Reader {
    /// The next bytes; None after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            self.read_ahead();
            match self.ahead.front_mut() {
                None => return Ok(None),
                Some(Source::Object(object)) => {
                    if let Some(bytes) = object.next().await? {
                        return Ok(Some(bytes));
                    }
                    self.ahead.pop_front();
                }
                Some(Source::Inline(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    self.ahead.pop_front();
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Asks for what lies within reach.
    fn read_ahead(&mut self) {
        let mut bytes: u64 = self.ahead.iter().map(Source::remaining_bytes).sum();
        while bytes < AHEAD_BYTES && self.ahead.len() < AHEAD_REQUESTS {
            let Some(segment) = self.pending.pop_front() else { break };
            bytes += segment.len_bytes();
            match segment {
                Segment::Inline(bytes) => self.ahead.push_back(Source::Inline(bytes)),
                Segment::Object { range, .. } if range.is_empty() => {}
                Segment::Object { key, range } => {
                    let object = ObjectRead::start(self.backend.clone(), key, range);
                    self.ahead.push_back(Source::Object(object));
                }
            }
        }
    }
}
