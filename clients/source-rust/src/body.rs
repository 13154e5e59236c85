//! The body of an upload: the data, with notes of how it goes.

use std::{
    io, iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future::Either, stream};
use tokio::time::{Instant, sleep};

use crate::{Metrics, Refusal, answer::ByteStream};

/// The network is given no more at a time.
const PART_BYTES: usize = 64 * 1024;

/// What whoever waits for the end of an upload may know of its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Why the data ended early. To whoever sends the body that looks like any other broken connection.
    refusal: Option<Refusal>,
    /// Since when it is the network that is waited for, not the data.
    network_since: Option<Instant>,
}

impl Notes {
    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Why the data ended early, if it did.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal.take()
    }

    /// Ends when the network has taken nothing for `limit`, or has not answered for so long after the end.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            let since = self.0.lock().unwrap_or_else(PoisonError::into_inner).network_since;
            let left = limit.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed()));
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

/// `data` as a body. When it fails, the body does: a broken connection, never a short file.
pub(crate) fn body(
    data: ByteStream,
    notes: Notes,
    metrics: Metrics,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    notes.update(|state| state.network_since = Some(Instant::now()));
    let data = data.flat_map(|chunk| match chunk {
        Ok(chunk) => Either::Left(in_parts(chunk).map(Ok)),
        Err(refusal) => Either::Right(stream::iter([Err(refusal)])),
    });
    stream::unfold(Some((data, notes, metrics)), |state| async {
        let (mut data, notes, metrics) = state?;
        notes.update(|state| state.network_since = None);
        let next = data.next().await;
        notes.update(|state| state.network_since = Some(Instant::now()));
        match next? {
            Ok(chunk) => {
                metrics.sent(chunk.len());
                Some((Ok(chunk), Some((data, notes, metrics))))
            }
            Err(refusal) => Some((fail(&notes, refusal), None)),
        }
    })
}

/// A chunk as the network takes it: of a whole one nobody could tell whether it moves.
fn in_parts(mut chunk: Bytes) -> impl Stream<Item = Bytes> {
    let parts = iter::from_fn(move || {
        let part = chunk.split_to(chunk.len().min(PART_BYTES));
        (!part.is_empty()).then_some(part)
    });
    stream::iter(parts)
}

fn fail(notes: &Notes, refusal: Refusal) -> io::Result<Bytes> {
    notes.update(|state| state.refusal = Some(refusal));
    Err(io::Error::other("the data cannot be read to its end"))
}
