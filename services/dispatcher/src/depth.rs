//! How much waits in the outbox, for Prometheus.

use std::time::Duration;

use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::{Store, StoreError};

/// Starts the loop.
pub(crate) fn start(context: &Context, store: &Store, every: Duration) {
    let metrics = context.metrics();
    let records =
        metrics.gauge("outbox_records", "Records in the outbox, by state: waiting, parked.", ["state"]);
    let age =
        metrics.gauge("outbox_oldest_age_seconds", "Age of the oldest record that waits to be sent.", []);
    let (store, clock) = (store.clone(), context.clock().clone());
    Worker::new("outbox-depth", every).start(context, move || {
        let (store, clock, records, age) = (store.clone(), clock.clone(), records.clone(), age.clone());
        async move {
            let depth = store.outbox_depth().await?;
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
            for (state, count) in [("waiting", depth.waiting), ("parked", depth.parked)] {
                records.set([state], count as f64);
            }
            // Its clock may be ahead of ours.
            let waited = depth.oldest.map_or(0.0, |oldest| (clock.now() - oldest).as_seconds_f64().max(0.0));
            age.set([], waited);
            Ok::<_, StoreError>(Outcome::Idle)
        }
    });
}
