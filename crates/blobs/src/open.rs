//! From segments to a stream of bytes, read ahead.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    vec,
};

use archive::zip::Segment;
use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::{StorageError, backend::Backend};

/// What one request asks for at most. A piece is asked for, received and given as a whole, so that a client
/// that stalls keeps no request open.
const PIECE_BYTES: u64 = 1 << 20;

/// The first piece is smaller: the first byte waits for it.
const FIRST_PIECE_BYTES: u64 = 256 << 10;

/// What is asked for ahead of the piece that is being given.
const AHEAD_BYTES: u64 = 2 * PIECE_BYTES;

/// How many requests are under way ahead of it, which is what many small objects need.
const AHEAD_REQUESTS: usize = 8;

/// The bytes of segments, in their order. It ends after the last byte, or after an error, which is its last
/// item.
pub struct SegmentStream {
    backend: Backend,
    /// What was not asked for yet.
    pending: VecDeque<Segment>,
    /// What was asked for, in the order it is to be given.
    ahead: VecDeque<Piece>,
    ahead_bytes: u64,
    ahead_requests: usize,
    next_piece_bytes: u64,
    /// What remains of the piece that is being given.
    given: vec::IntoIter<Bytes>,
}

type Fetched = Result<Vec<Bytes>, StorageError>;

enum Piece {
    Inline(Bytes),
    Object {
        bytes: u64,
        task: AbortOnDropHandle<Fetched>,
    },
    /// An object's piece whose result was waited for already.
    Fetched {
        bytes: u64,
        fetched: Fetched,
    },
}

impl SegmentStream {
    /// Begins to read, and waits for the first bytes of the first object.
    pub(crate) async fn open(backend: Backend, segments: Vec<Segment>) -> Result<Self, StorageError> {
        let mut stream = Self {
            backend,
            pending: segments.into(),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            ahead_requests: 0,
            next_piece_bytes: FIRST_PIECE_BYTES,
            given: Vec::new().into_iter(),
        };
        stream.read_ahead();
        for piece in &mut stream.ahead {
            if let Piece::Object { bytes, task } = piece {
                let fetched = Ok(settle(task.await)?);
                *piece = Piece::Fetched { bytes: *bytes, fetched };
                break;
            }
        }
        Ok(stream)
    }

    /// Asks for what comes next, as far as there is room.
    fn read_ahead(&mut self) {
        while self.ahead_requests < AHEAD_REQUESTS && self.ahead_bytes < AHEAD_BYTES {
            let Some(segment) = self.pending.pop_front() else { break };
            let (key, range) = match segment {
                Segment::Inline(bytes) => {
                    self.ahead.push_back(Piece::Inline(bytes));
                    continue;
                }
                Segment::Object { range, .. } if range.is_empty() => continue,
                Segment::Object { key, range } => (key, range),
            };
            let end = range.end.min(range.start + self.next_piece_bytes);
            self.next_piece_bytes = PIECE_BYTES;
            if end < range.end {
                let rest = Segment::Object { key: Arc::clone(&key), range: end..range.end };
                self.pending.push_front(rest);
            }
            let bytes = end - range.start;
            self.ahead_bytes += bytes;
            self.ahead_requests += 1;
            let backend = self.backend.clone();
            let task = self.backend.spawn(async move { backend.read(&key, range.start..end).await });
            self.ahead.push_back(Piece::Object { bytes, task });
        }
    }

    /// The next piece, once it is here; `None` after the last.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Fetched>> {
        let (bytes, fetched) = match self.ahead.pop_front() {
            None => return Poll::Ready(None),
            Some(Piece::Inline(bytes)) => return Poll::Ready(Some(Ok(vec![bytes]))),
            Some(Piece::Fetched { bytes, fetched }) => (bytes, fetched),
            Some(Piece::Object { bytes, mut task }) => match task.poll_unpin(context) {
                Poll::Ready(joined) => (bytes, settle(joined)),
                Poll::Pending => {
                    self.ahead.push_front(Piece::Object { bytes, task });
                    return Poll::Pending;
                }
            },
        };
        self.ahead_bytes -= bytes;
        self.ahead_requests -= 1;
        Poll::Ready(Some(fetched))
    }
}

impl Stream for SegmentStream {
    type Item = Result<Bytes, StorageError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(bytes) = self.given.next() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            self.read_ahead();
            match ready!(self.poll_piece(context)) {
                Some(Ok(piece)) => {
                    self.given = piece.into_iter();
                    self.read_ahead();
                }
                Some(Err(error)) => {
                    self.pending.clear();
                    self.ahead.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for SegmentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentStream")
            .field("pending", &self.pending.len())
            .field("ahead_bytes", &self.ahead_bytes)
            .finish_non_exhaustive()
    }
}

fn settle(joined: Result<Fetched, JoinError>) -> Fetched {
    joined.unwrap_or_else(|error| Err(StorageError::unavailable("get object", error)))
}
