//! A body that is taken piece by piece, and of which a part counts when the rest does not arrive.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::timeout;

use super::{checksum::Checksum, error::ResumableError};
use crate::error::{ApiError, BodyError};

/// After so long without a byte, what has come of a piece is stored, and others may add to the upload: a connection
/// whose other end is dead is silent like one whose client pauses.
const SILENCE: Duration = Duration::from_secs(3);

/// What is known of the next bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// They are there.
    Bytes,
    /// There are none.
    End,
    /// They have not come for a while.
    Silence,
}

/// The body of a request.
pub(super) struct CutBody<S> {
    body: S,
    /// What has arrived and was not taken.
    next: Bytes,
    ended: bool,
    broken: Option<BodyError>,
    checksum: Option<Checksum>,
}

impl<S: Stream<Item = Result<Bytes, BodyError>> + Unpin> CutBody<S> {
    pub(super) fn new(body: S, checksum: Option<Checksum>) -> Self {
        Self { body, next: Bytes::new(), ended: false, broken: None, checksum }
    }

    /// Whether it has one to be checked: then nothing of it counts before all of it has arrived.
    pub(super) fn has_checksum(&self) -> bool {
        self.checksum.is_some()
    }

    /// Whether all of it was taken, or no more will arrive. Waits until that is known.
    pub(super) async fn is_at_end(&mut self) -> bool {
        while self.next.is_empty() && !self.ended {
            match self.body.next().await {
                Some(Ok(bytes)) => self.next = bytes,
                Some(Err(error)) => (self.ended, self.broken) = (true, Some(error)),
                None => self.ended = true,
            }
        }
        self.next.is_empty()
    }

    /// Whether all of it was taken, and no more will arrive, as far as is known.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.next.is_empty()
    }

    /// Waits for the next bytes, for a while; to the end for a body that counts only as a whole.
    pub(super) async fn next(&mut self) -> Next {
        let patience = if self.has_checksum() { Duration::MAX } else { SILENCE };
        match timeout(patience, self.is_at_end()).await {
            Ok(false) => Next::Bytes,
            Ok(true) => Next::End,
            Err(_) => Next::Silence,
        }
    }

    /// The next `bytes` of it, or fewer when it falls silent, ends or breaks off: that is seen later, when what has
    /// arrived is stored.
    pub(super) fn piece(&mut self, bytes: u64) -> impl Stream<Item = Result<Bytes, BodyError>> {
        stream::unfold((self, bytes), |(body, left)| async move {
            if left == 0 || body.next().await != Next::Bytes {
                return None;
            }
            let length = body.next.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let taken = body.next.split_to(length);
            if let Some(checksum) = &mut body.checksum {
                checksum.update(&taken);
            }
            Some((Ok(taken), (body, left - length as u64)))
        })
    }

    /// Whether all of it has arrived as it should.
    ///
    /// # Errors
    /// Why it broke off; that its checksum is another.
    pub(super) fn check(&mut self) -> Result<(), ApiError> {
        if let Some(error) = self.broken.take() {
            return Err(error.into());
        }
        let holds = self.checksum.take().is_none_or(Checksum::holds);
        if holds { Ok(()) } else { Err(ResumableError::OtherChecksum.into()) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    async fn take<S>(body: &mut CutBody<S>, bytes: u64) -> Vec<u8>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        body.piece(bytes).map_ok(|bytes| bytes.to_vec()).try_concat().await.unwrap()
    }

    #[tokio::test]
    async fn pieces_are_cut_to_the_byte() {
        let chunks = ["abc", "", "defg", "h"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let mut body = CutBody::new(stream::iter(chunks), None);
        assert_eq!(take(&mut body, 4).await, b"abcd");
        assert!(!body.is_at_end().await);
        assert_eq!(take(&mut body, 100).await, b"efgh");
        assert!(body.is_at_end().await);
        body.check().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_ends_when_its_body_falls_silent_and_the_next_goes_on() {
        let slow = stream::iter([0, 2, 5, 1]).then(|seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(Bytes::from_static(b"a"))
        });
        let mut body = CutBody::new(Box::pin(slow), None);
        assert_eq!(take(&mut body, 100).await, b"aa");
        assert!(!body.is_over());
        assert_eq!(body.next().await, Next::Bytes);
        assert_eq!(take(&mut body, 100).await, b"aa");
        assert_eq!((body.next().await, body.is_over()), (Next::End, true));
        body.check().unwrap();
    }

    #[tokio::test]
    async fn what_arrived_before_a_break_is_taken_and_the_break_told_afterwards() {
        let chunks = [Ok(Bytes::from_static(b"abc")), Err(BodyError::Interrupted)];
        let mut body = CutBody::new(stream::iter(chunks), None);
        assert_eq!(take(&mut body, 100).await, b"abc");
        assert!(body.is_at_end().await);
        assert!(matches!(body.check(), Err(ApiError::Body(BodyError::Interrupted))));
    }
}
