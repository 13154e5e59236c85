//! Folds the deltas of listing counts, so that reading a count stays cheap.

use std::time::Duration;

use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::StoreError;

use crate::Reaper;

/// How often. A busy owner gathers a few thousand deltas meanwhile, which add up in a millisecond.
const EVERY: Duration = Duration::from_secs(1);

/// Most owners folded in one step.
const BATCH: usize = 1000;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let store = reaper.store.clone();
    Worker::new("counts", EVERY).start(context, move || {
        let store = store.clone();
        async move {
            store.fold_export_counts(BATCH).await?;
            Ok::<_, StoreError>(Outcome::Idle)
        }
    });
}
