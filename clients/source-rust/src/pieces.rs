//! Data in pieces, each small enough to be held until the platform has it.

use std::{mem, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::{Refusal, answer::ByteStream};

/// Data that comes slowly does not wait for a full piece: the platform forgets an upload that is not continued,
/// and shows the customer how far it is.
const LONGEST_HELD: Duration = Duration::from_secs(15);

/// A part of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// Whether nothing comes after it.
    pub(crate) is_last: bool,
}

/// The data, as far as it was not taken.
pub(crate) struct Pieces {
    data: ByteStream,
    /// What has come of it and was not taken.
    chunk: Bytes,
    ended: bool,
    piece_bytes: usize,
}

impl Pieces {
    /// Pieces of `piece_bytes`. Shorter are the last, and those of slow data.
    pub(crate) fn new(data: ByteStream, piece_bytes: usize) -> Self {
        Self { data, chunk: Bytes::new(), ended: false, piece_bytes }
    }

    /// The next piece. There is always one, though it may be empty; after the last only empty ones.
    ///
    /// # Errors
    /// Why the data ended early.
    pub(crate) async fn next(&mut self) -> Result<Piece, Refusal> {
        let mut held = BytesMut::new();
        let mut due = None;
        // A byte more than a piece has come, or the end, before a full piece is given: it may be the last.
        while self.arrived(due).await? && held.len() < self.piece_bytes {
            due.get_or_insert_with(|| Instant::now() + LONGEST_HELD);
            let taken = self.chunk.len().min(self.piece_bytes - held.len());
            held.extend_from_slice(&self.chunk.split_to(taken));
        }
        Ok(Piece { bytes: held.freeze(), is_last: self.ended && self.chunk.is_empty() })
    }

    /// Waits for bytes, if there are none, until `due`. False when there are none then.
    async fn arrived(&mut self, due: Option<Instant>) -> Result<bool, Refusal> {
        while self.chunk.is_empty() && !self.ended {
            let next = match due {
                Some(due) => match timeout_at(due, self.data.next()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(false),
                },
                None => self.data.next().await,
            };
            match next {
                Some(chunk) => self.chunk = chunk?,
                None => self.ended = true,
            }
        }
        Ok(!self.chunk.is_empty())
    }

    /// All of the data from `piece` on, which was the last that was taken.
    pub(crate) fn from(mut self, piece: Piece) -> ByteStream {
        let taken = [piece.bytes, mem::take(&mut self.chunk)].map(Ok);
        let rest = if self.ended { stream::empty().boxed() } else { self.data };
        stream::iter(taken).chain(rest).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(chunks: &[&'static str]) -> ByteStream {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        stream::iter(chunks).boxed()
    }

    async fn all(mut pieces: Pieces) -> Vec<Piece> {
        let mut all = vec![pieces.next().await.unwrap()];
        while !all.last().unwrap().is_last {
            all.push(pieces.next().await.unwrap());
        }
        all
    }

    #[tokio::test]
    async fn only_the_last_piece_is_short() {
        for (chunks, expected) in [
            (&[][..], &[""][..]),
            (&[""], &[""]),
            (&["a"], &["a"]),
            (&["abc"], &["abc"]),
            (&["abc", ""], &["abc"]),
            (&["abc", "", "d"], &["abc", "d"]),
            (&["a", "b", "cdef"], &["abc", "def"]),
            (&["abcdefghij"], &["abc", "def", "ghi", "j"]),
        ] {
            let pieces = all(Pieces::new(data(chunks), 3)).await;
            let text = pieces.iter().map(|piece| std::str::from_utf8(&piece.bytes).unwrap());
            assert_eq!(text.collect::<Vec<_>>(), expected, "{chunks:?}");
        }
    }

    #[tokio::test]
    async fn what_was_not_taken_can_be_had_in_one() {
        for taken in 1..4 {
            let mut pieces = Pieces::new(data(&["ab", "cdef", "g"]), 2);
            let mut piece = pieces.next().await.unwrap();
            let mut before = Vec::new();
            for _ in 1..taken {
                before.extend_from_slice(&piece.bytes);
                piece = pieces.next().await.unwrap();
            }
            let chunks: Vec<_> = pieces.from(piece).map(|chunk| chunk.unwrap()).collect().await;
            assert_eq!([before, chunks.concat()].concat(), b"abcdefg");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_data_does_not_wait_for_a_full_piece() {
        let slow = stream::iter([b"a", b"b", b"c", b"d"]).then(|chunk| async {
            tokio::time::sleep(LONGEST_HELD * 2 / 3).await;
            Ok(Bytes::from_static(chunk))
        });
        let pieces = all(Pieces::new(slow.boxed(), 100)).await;
        assert_eq!(pieces.iter().map(|piece| piece.bytes.len()).collect::<Vec<_>>(), [2, 2]);
    }

    #[tokio::test]
    async fn data_that_fails_gives_no_piece_of_it() {
        let failing = stream::iter([Ok(Bytes::from_static(b"a")), Err(Refusal::new(507, "full"))]);
        assert_eq!(Pieces::new(failing.boxed(), 3).next().await.unwrap_err().code, 507);
    }
}
