//! Rows that are read by blocking calls.

use std::{
    panic::resume_unwind,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

/// Rows that are handed over at a time: one by one they would cost more to hand over than to read.
const BATCH: usize = 64;

/// Rows that come slowly are handed over after this time, though they are fewer.
const LONGEST_HELD: Duration = Duration::from_millis(100);

/// Batches that may wait for the network.
const BATCHES_AHEAD: usize = 4;

/// Turns an iterator whose `next` blocks (files, processes, blocking drivers) into a stream. It runs on a thread of
/// its own, no further ahead than a few hundred rows, and is dropped when nobody reads on. A panic of it goes on in
/// whoever reads.
///
/// Call it within a Tokio runtime.
pub fn read_blocking<I>(rows: I) -> impl Stream<Item = I::Item> + Send + 'static
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(rows, &sender));
    let batches = stream::unfold(Some((receiver, reading)), |state| async {
        let (mut receiver, reading) = state?;
        if let Some(batch) = receiver.recv().await {
            return Some((batch, Some((receiver, reading))));
        }
        // Rows that were not read must not look like the end of them.
        if let Err(error) = reading.await {
            resume_unwind(error.try_into_panic().unwrap_or_else(|error| Box::new(error)));
        }
        None
    });
    batches.flat_map(stream::iter)
}

fn read<I: Iterator>(rows: I, sender: &mpsc::Sender<Vec<I::Item>>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut sent = Instant::now();
    for row in rows {
        batch.push(row);
        if batch.len() == BATCH || sent.elapsed() >= LONGEST_HELD {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            // An error means that nobody reads on.
            if sender.blocking_send(full).is_err() {
                return;
            }
            sent = Instant::now();
        }
    }
    // What nobody reads is no loss.
    let _ = sender.blocking_send(batch);
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn all_rows_come_in_their_order() {
        for count in [0, 1, 64, 1_000] {
            let rows: Vec<u32> = read_blocking(0..count).collect().await;
            assert!(rows.into_iter().eq(0..count));
        }
    }

    #[tokio::test]
    async fn an_iterator_that_panics_does_not_look_as_if_it_had_ended() {
        for last in [0, 10, 64, 200] {
            let rows = (0..1_000).inspect(move |number| assert!(*number < last, "a bug in the application"));
            let read = AssertUnwindSafe(read_blocking(rows).count()).catch_unwind().await;
            assert!(read.is_err(), "{last}");
        }
    }

    #[tokio::test]
    async fn rows_that_come_slowly_are_not_collected() {
        let (asking, asked) = std::sync::mpsc::channel();
        // The next row comes when the one before was read.
        let mut rows =
            Box::pin(read_blocking(asked.into_iter().inspect(|_| std::thread::sleep(LONGEST_HELD))));
        for number in 0..3 {
            asking.send(number).unwrap();
            let next = tokio::time::timeout(Duration::from_secs(10), rows.next()).await;
            assert_eq!(next.unwrap(), Some(number));
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
