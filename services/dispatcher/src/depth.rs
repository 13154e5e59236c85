//! How much waits in the outbox, for Prometheus.

use std::time::Duration;

use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::{OutboxKind, Store, StoreError};

/// Everything that can wait.
const KINDS: [OutboxKind; 3] = [OutboxKind::Request, OutboxKind::Lifecycle, OutboxKind::Announcement];

/// Starts the loop.
pub(crate) fn start(context: &Context, store: &Store, every: Duration) {
    let metrics = context.metrics();
    let records = metrics.gauge(
        "outbox_records",
        "Records in the outbox, by kind and by state: waiting, parked.",
        ["kind", "state"],
    );
    let age = metrics.gauge(
        "outbox_oldest_age_seconds",
        "Age of the oldest record that waits to be sent, by kind.",
        ["kind"],
    );
    let (store, clock) = (store.clone(), context.clock().clone());
    Worker::new("outbox-depth", every).start(context, move || {
        let (store, clock, records, age) = (store.clone(), clock.clone(), records.clone(), age.clone());
        async move {
            for kind in KINDS {
                let depth = store.outbox_depth(kind).await?;
                let kind = kind.as_str();
                #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
                for (state, count) in [("waiting", depth.waiting), ("parked", depth.parked)] {
                    records.set([kind, state], count as f64);
                }
                // Its clock may be ahead of ours.
                let waited =
                    depth.oldest.map_or(0.0, |oldest| (clock.now() - oldest).as_seconds_f64().max(0.0));
                age.set([kind], waited);
            }
            Ok::<_, StoreError>(Outcome::Idle)
        }
    });
}
