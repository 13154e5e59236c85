//! Rows that are read by blocking calls.

use futures_util::{Stream, stream};
use tokio::sync::mpsc;

/// Rows that are handed over at a time: one by one they would cost more to hand over than to read.
const BATCH: usize = 64;

/// Batches that may wait for the network.
const BATCHES_AHEAD: usize = 4;

/// Turns an iterator whose `next` blocks (files, processes, blocking drivers) into a stream. It runs on a thread of
/// its own, no further ahead than a few hundred rows, and is dropped when nobody reads on.
///
/// Call it within a Tokio runtime.
pub fn read_blocking<I>(rows: I) -> impl Stream<Item = I::Item> + Send + 'static
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut rows = rows;
        loop {
            let batch: Vec<I::Item> = rows.by_ref().take(BATCH).collect();
            let last = batch.len() < BATCH;
            // An error means that nobody reads on.
            if sender.blocking_send(batch).is_err() || last {
                return;
            }
        }
    });
    let batches = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    futures_util::StreamExt::flat_map(batches, stream::iter)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn all_rows_come_in_their_order() {
        for count in [0, 1, 64, 1_000] {
            let rows: Vec<u32> = read_blocking(0..count).collect().await;
            assert!(rows.into_iter().eq(0..count));
        }
    }

    #[tokio::test]
    async fn an_iterator_that_nobody_reads_ends() {
        let (alive, mut ended) = mpsc::channel::<()>(1);
        let endless = std::iter::repeat_with(move || alive.capacity());
        let mut rows = Box::pin(read_blocking(endless));
        assert!(rows.next().await.is_some());
        drop(rows);
        assert!(ended.recv().await.is_none());
    }
}
