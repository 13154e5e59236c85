//! Exports past expiry or deletion hand over their objects, and old rows are purged.

use service::{
    Context,
    metrics::Counter,
    worker::{Outcome, Worker},
};
use store::StoreError;

use crate::Reaper;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let done = context.metrics().counter(
        "reaper_exports_total",
        "Exports dealt with, by what was done: deleted, expired, source_expired, purged.",
        ["done"],
    );
    let reaper = reaper.clone();
    Worker::new("release", reaper.settings.poll.as_duration())
        .start(context, move || step(reaper.clone(), done.clone()));
}

async fn step(reaper: Reaper, done: Counter<1>) -> Result<Outcome, StoreError> {
    let (store, settings, now) = (&reaper.store, &reaper.settings, reaper.clock.now());
    let ended_before = now - settings.grace.as_time_delta();
    let released_before = now - settings.retention.as_time_delta();
    let counts = [
        ("deleted", store.release_deleted(ended_before, now, settings.batch).await?),
        ("expired", store.release_expired(ended_before, now, settings.batch).await?),
        ("source_expired", store.release_expired_sources(ended_before, now, settings.batch).await?),
        ("purged", store.purge_expired(released_before, settings.batch).await?),
    ];
    if counts.iter().any(|(_, count)| *count > 0) {
        service::failpoint!("expiry-reaper::released");
    }
    for (what, count) in counts {
        done.add([what], count as u64);
    }
    Ok(if counts.iter().any(|(_, count)| *count > 0) { Outcome::Done } else { Outcome::Idle })
}
